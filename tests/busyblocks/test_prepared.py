"""Prepared occurrences: what is read of them is what expansion finds, whatever was written, by whom, in which order."""

import random
from datetime import timedelta
from typing import Any

import pytest

from busyblocks import freebusy, prepared, services
from busyblocks.models import BusyBlock, Horizon, Occurrence, Origin, Source
from busyblocks.tasks import prepare_due, sweep_occurrences
from busyblocks.timespans import Span
from tenancy.models import Company, CrmUser, bump_revision
from tests.busyblocks.rows import at, days, timed, write
from tests.busyblocks.test_expansion_against_others import random_series

NOW = at("2026-03-01 12:00")
SPAN = Span(at("2026-03-01 00:00"), at("2026-06-01 00:00"))
# Longer than the horizon on both sides.
AGES = Span(at("2025-10-01 00:00"), at("2027-09-01 00:00"))


def prepared_now(user: CrmUser) -> CrmUser:
    CrmUser.objects.filter(pk=user.pk).update(revision=user.revision + 1)
    prepared.prepare(user.pk, now=NOW)
    user.refresh_from_db()
    assert user.pk in prepared.horizons([user])
    return user


def expanded(user: CrmUser, span: Span, zone: str = "") -> list[Any]:
    """Free/busy without what was prepared."""
    Horizon.objects.filter(user=user).update(revision=-user.revision - 1)
    try:
        return freebusy.periods(user, span.start, span.end, zone)
    finally:
        Horizon.objects.filter(user=user).update(revision=user.revision)


@pytest.mark.parametrize("seed", range(8))
def test_prepared_is_expanded_for_random_calendars(alice: CrmUser, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(12):
        mirrored = dice.random() < 0.5
        zone = dice.choice(["", "Europe/Berlin", "Pacific/Apia"])
        origin = Origin.objects.create(user=alice, source=Source.CALDAV, time_zone=zone) if mirrored else None
        entries = random_series(dice)
        fbtype = dice.choice(["busy", "busy", "busy-tentative", "busy-unavailable"])
        write(alice, *entries, origin=origin, uid=f"s{number}", fbtype=fbtype)
    start = at("2026-01-01 00:00")
    for _ in range(10):
        begin = start + timedelta(hours=dice.randint(0, 8000))
        write(alice, timed(f"{begin:%Y-%m-%d %H:%M}", dice.choice([30, 600, 60 * 24 * 90])))
        write(alice, days(f"{begin:%Y-%m-%d}", dice.choice([1, 3, 100])))
    prepared_now(alice)
    compared = 0
    for _ in range(12):
        begin = at("2025-11-01 00:00") + timedelta(hours=dice.randint(0, 12000))
        span = Span(begin, begin + timedelta(hours=dice.randint(1, 24 * 200)))
        zone = dice.choice(["", "Asia/Tokyo", "America/Havana"])
        found = freebusy.periods(alice, span.start, span.end, zone)
        assert found == expanded(alice, span, zone), (span, zone)
        compared += len(found)
    assert compared > 5


def test_question_beyond_the_horizon_is_answered_by_expansion(alice: CrmUser) -> None:
    write(alice, timed("2020-03-01 09:00", rule="FREQ=WEEKLY", uid="s"))
    prepared_now(alice)
    found = freebusy.periods(alice, AGES.start, AGES.end)
    assert found == expanded(alice, AGES)
    assert len(found) == 100


def test_blocks_by_hand_keep_what_is_prepared(alice: CrmUser) -> None:
    """Made, changed into a series and out of one, moved, deleted: after each, prepared is expanded, and is used."""
    prepared_now(alice)
    dice = random.Random(5)
    blocks: list[BusyBlock] = []
    for _ in range(40):
        entry = timed(
            f"2026-{dice.randint(1, 6):02}-{dice.randint(1, 28):02} {dice.randint(0, 23):02}:00",
            tz=dice.choice(["UTC", "Europe/Berlin"]),
            rule=dice.choice(["", "FREQ=DAILY;COUNT=20", "FREQ=WEEKLY", "FREQ=MONTHLY;UNTIL=20260601T000000Z"]),
        )
        deed = dice.choice(["create", "change", "delete"]) if blocks else "create"
        if deed == "create":
            blocks.append(services.create(alice, entry, now=NOW))
        elif deed == "change":
            services.change(dice.choice(blocks), entry, now=NOW)
        else:
            services.delete(blocks.pop(dice.randrange(len(blocks))), now=NOW)
        alice.refresh_from_db()
        assert alice.pk in prepared.horizons([alice])
        assert freebusy.periods(alice, SPAN.start, SPAN.end) == expanded(alice, SPAN)


def test_change_that_nobody_told_of_is_seen_at_once(alice: CrmUser) -> None:
    """Whatever bumps the revision alone leaves the horizon behind: readers expand."""
    prepared_now(alice)
    write(alice, timed("2026-03-02 09:00", rule="FREQ=DAILY;COUNT=3", uid="s"))
    bump_revision(alice.pk, at=NOW)
    alice.refresh_from_db()
    assert prepared.horizons([alice]) == {}
    assert len(freebusy.periods(alice, SPAN.start, SPAN.end)) == 3
    prepared.revised(alice.pk, at=NOW)
    alice.refresh_from_db()
    assert prepared.horizons([alice]) == {}, "one who tells does not make up for one who did not"


def test_occurrences_made_with_other_zone_rules_are_not_read(alice: CrmUser) -> None:
    prepared_now(alice)
    Horizon.objects.update(made_with="1999a/1")
    assert prepared.horizons([alice]) == {}
    assert prepared.due(NOW, limit=10) == [alice.pk]


DUE = [
    ("never prepared", {}, None, True),
    ("just prepared", {}, timedelta(0), False),
    ("prepared for an older ledger", {"revision": 0}, timedelta(0), True),
    ("prepared four weeks ago", {}, timedelta(days=28), False),
    ("prepared five weeks ago", {}, timedelta(days=35), True),
    ("too much to prepare, and nothing changed since", {"made_with": "too much"}, timedelta(0), False),
]


@pytest.mark.parametrize(("sentence", "changed", "ago", "expected"), DUE, ids=[row[0] for row in DUE])
def test_user_is_due(
    alice: CrmUser, sentence: str, changed: dict[str, Any], ago: timedelta | None, expected: bool
) -> None:
    bump_revision(alice.pk, at=NOW)
    if ago is not None:
        prepared.prepare(alice.pk, now=NOW - ago)
        Horizon.objects.update(**changed) if changed else None
    assert prepared.due(NOW, limit=10) == ([alice.pk] if expected else [])


def test_user_without_a_ledger_is_never_due(alice: CrmUser) -> None:
    assert prepared.due(NOW, limit=10) == []


def test_beat_prepares_and_the_second_time_finds_nothing_to_do(alice: CrmUser, django_assert_num_queries: Any) -> None:
    services.create(alice, timed("2026-03-02 09:00", rule="FREQ=DAILY"), now=NOW)
    assert Occurrence.objects.count() == 0
    prepare_due()
    alice.refresh_from_db()
    assert alice.pk in prepared.horizons([alice])
    assert Occurrence.objects.count() > 400
    with django_assert_num_queries(1):
        prepare_due()


def test_series_that_cost_too_much_are_left_to_readers(alice: CrmUser, monkeypatch: pytest.MonkeyPatch) -> None:
    services.create(alice, timed("2026-03-02 09:00", rule="FREQ=DAILY"), now=NOW)
    monkeypatch.setattr("busyblocks.prepared._STEPS", 10)
    assert prepared.prepare(alice.pk, now=NOW) == 0
    alice.refresh_from_db()
    assert prepared.horizons([alice]) == {}
    assert prepared.due(NOW, limit=10) == []
    assert len(freebusy.periods(alice, SPAN.start, SPAN.end)) == 91


def test_change_that_costs_too_much_leaves_the_horizon_behind(alice: CrmUser, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared_now(alice)
    monkeypatch.setattr("busyblocks.prepared._STEPS", 10)
    services.create(alice, timed("2026-03-02 09:00", rule="FREQ=DAILY"), now=NOW)
    alice.refresh_from_db()
    assert prepared.horizons([alice]) == {}
    assert BusyBlock.objects.count() == 1


def test_occurrences_of_deleted_rows_count_for_nothing_and_are_swept(alice: CrmUser) -> None:
    origin = Origin.objects.create(user=alice, source=Source.CALDAV)
    write(alice, timed("2026-03-02 09:00", rule="FREQ=DAILY", uid="s"), origin=origin)
    write(alice, timed("2026-03-02 12:00", rule="FREQ=DAILY;COUNT=5", uid="t"))
    prepared_now(alice)
    origin.delete()
    prepared.revised(alice.pk, at=NOW)
    alice.refresh_from_db()
    assert alice.pk in prepared.horizons([alice])
    assert len(freebusy.periods(alice, SPAN.start, SPAN.end)) == 5
    sweep_occurrences()
    assert Occurrence.objects.count() == 5


def test_question_inside_the_horizon_costs_two_queries(alice: CrmUser, django_assert_num_queries: Any) -> None:
    write(alice, *(timed("2026-03-01 09:00", uid=f"u{n}", rule="FREQ=DAILY") for n in range(40)))
    prepared_now(alice)
    with django_assert_num_queries(2):
        freebusy.periods(alice, SPAN.start, SPAN.end)


def test_question_with_dates_costs_one_more_and_what_is_read_together_one_less(
    alice: CrmUser, django_assert_num_queries: Any
) -> None:
    write(alice, days("2026-03-03"), timed("2026-03-01 09:00", uid="u", rule="FREQ=DAILY"))
    prepared_now(alice)
    with django_assert_num_queries(3):
        first = freebusy.periods(alice, SPAN.start, SPAN.end)
    # The chunks are known now, and in the zone that is asked for no calendar's own counts.
    together = CrmUser.objects.select_related("horizon").get(pk=alice.pk)
    with django_assert_num_queries(0):
        assert freebusy.periods(together, SPAN.start, SPAN.end, "UTC") == first


def test_user_read_together_with_an_older_horizon_is_expanded(alice: CrmUser) -> None:
    write(alice, timed("2026-03-01 09:00", uid="u", rule="FREQ=DAILY;COUNT=3"))
    assert prepared.horizons([CrmUser.objects.select_related("horizon").get(pk=alice.pk)]) == {}
    prepared_now(alice)
    bump_revision(alice.pk, at=NOW)
    assert prepared.horizons([CrmUser.objects.select_related("horizon").get(pk=alice.pk)]) == {}
    Horizon.objects.update(revision=alice.revision + 1, made_with="1999a/1")
    assert prepared.horizons([CrmUser.objects.select_related("horizon").get(pk=alice.pk)]) == {}


def test_fractions_of_seconds_are_left_out_prepared_or_expanded(alice: CrmUser) -> None:
    """One that lasts less than a second vanishes; what begins within a second begins with it."""
    start = SPAN.start + timedelta(days=3, milliseconds=500)
    for number, (begins, ends) in enumerate([(0, 200), (3_000, 5_200), (5_300, 9_000), (20_000, 20_700)]):
        facts: dict[str, Any] = {
            "start_time": start + timedelta(milliseconds=begins),
            "end_time": start + timedelta(milliseconds=ends),
        }
        write(alice, timed("2026-03-01 09:00", uid=f"u{number}"), **facts)
    prepared_now(alice)
    found = freebusy.periods(alice, SPAN.start, SPAN.end)
    assert found == expanded(alice, SPAN)
    whole = start.replace(microsecond=0)
    seconds = [((one.start - whole).seconds, (one.end - whole).seconds) for one in found]
    assert seconds == [(3, 9), (20, 21)]


def test_question_about_many_users_costs_no_more(acme: Company, django_assert_num_queries: Any) -> None:
    users = [CrmUser.objects.create(company=acme, unique_id=f"u{n}") for n in range(7)]
    for number, user in enumerate(users):
        write(user, timed("2026-03-01 09:00", 30 + number, uid="same", rule="FREQ=DAILY;COUNT=2"))
        if number < 4:
            prepared_now(user)
    # Horizons, one statement for the prepared; zones of dates, rows and overrides of the others.
    with django_assert_num_queries(5):
        found = freebusy.of_users(users, SPAN)
    assert [[(p.end - p.start).seconds // 60 for p in found[user.pk]] for user in users] == [
        [30 + number] * 2 for number in range(7)
    ]
