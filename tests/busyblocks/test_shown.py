"""Lists of a span: rows by their instances, and `expand=true`, prepared or not."""

import random
from datetime import timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from busyblocks import prepared, shown
from busyblocks.models import BusyBlock, Horizon, Origin, Source
from busyblocks.timespans import Span
from tenancy.models import Company, CrmUser
from tests.busyblocks.rows import at, days, timed, write
from tests.busyblocks.test_expansion_against_others import random_series
from tests.busyblocks.test_prepared import prepared_now
from tests.cast import client_for

BLOCKS = "/users/alice/busy_blocks"
MARCH = "start_time=2026-03-01&end_time=2026-04-01"


@pytest.fixture
def api(acme: Company) -> APIClient:
    return client_for(acme, "alice")


def _data(response: Any) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.content
    data: list[dict[str, Any]] = response.json()["data"]
    return data


def _times(response: Any) -> list[str]:
    return [one["attributes"]["start_time"][5:16] for one in _data(response)]


def _expanded(user: CrmUser) -> CrmUser:
    """The user as nobody has prepared them."""
    Horizon.objects.filter(user=user).delete()
    return user


@pytest.mark.parametrize("seed", range(3))
def test_lists_say_the_same_prepared_and_expanded(alice: CrmUser, seed: int) -> None:
    dice = random.Random(seed)
    for number in range(10):
        zone = dice.choice(["", "Europe/Berlin", "Pacific/Apia"])
        origin = (
            Origin.objects.create(user=alice, source=Source.CALDAV, time_zone=zone) if dice.random() < 0.5 else None
        )
        write(alice, *random_series(dice), origin=origin, uid=f"s{number}")
    for _ in range(6):
        begin = at("2026-01-01 00:00") + timedelta(hours=dice.randint(0, 8000))
        write(alice, timed(f"{begin:%Y-%m-%d %H:%M}", dice.choice([0, 30, 60 * 24 * 90])), days(f"{begin:%Y-%m-%d}"))
    prepared_now(alice)
    spans = []
    for _ in range(8):
        begin = at("2025-11-01 00:00") + timedelta(hours=dice.randint(0, 12000))
        spans.append(Span(begin, begin + timedelta(hours=dice.randint(1, 24 * 100))))
    rows = BusyBlock.objects.of(alice).without_copies()

    def answers() -> list[Any]:
        return [
            (
                shown.instances_in(rows, alice, span, asked=None),
                set(shown.in_span(rows, alice, span, asked=None).values_list("pk", flat=True)),
            )
            for span in spans
        ]

    found = answers()
    assert any(places for places, _ in found)
    assert alice.pk in prepared.horizons([alice])
    _expanded(alice)
    assert found == answers()


@pytest.mark.parametrize("ready", [True, False])
def test_instances_come_by_time_each_with_its_own(api: APIClient, alice: CrmUser, ready: bool) -> None:
    write(
        alice,
        timed("2026-03-02 09:00", 30, title="daily", uid="d", rule="FREQ=DAILY;COUNT=4", exdates=("20260304T090000Z",)),
        timed("2026-03-03 15:00", 45, title="moved", uid="d", recurrence_id="20260303T090000Z"),
        timed("2026-03-03 12:00", title="single"),
    )
    if ready:
        # The horizon of this test's own time.
        prepared_now(alice)
    found = _data(api.get(f"{BLOCKS}?{MARCH}&expand=true"))
    series = str(BusyBlock.objects.get(title="daily").unique_id)
    single = str(BusyBlock.objects.get(title="single").unique_id)
    assert [(one["id"], one["attributes"]["title"], one["attributes"]["start_time"]) for one in found] == [
        (f"{series}_20260302T090000Z", "daily", "2026-03-02T09:00:00Z"),
        (single, "single", "2026-03-03T12:00:00Z"),
        (f"{series}_20260303T090000Z", "moved", "2026-03-03T15:00:00Z"),
        (f"{series}_20260305T090000Z", "daily", "2026-03-05T09:00:00Z"),
    ]
    moved = found[2]["attributes"]
    assert (moved["recurrence_id"], moved["series_unique_id"]) == ("2026-03-03T09:00:00Z", series)
    assert moved["end_time"] == "2026-03-03T15:45:00Z"
    assert [one["attributes"]["recurring"] for one in found] == [False] * 4
    assert (found[1]["attributes"]["series_unique_id"], found[1]["attributes"]["recurrence_id"]) == (None, None)


def test_rows_of_a_series_name_it(api: APIClient, alice: CrmUser) -> None:
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    master = timed("2026-03-02 09:00", title="m", uid="d", rule="FREQ=DAILY;COUNT=4")
    write(alice, master, timed("2026-03-03 15:00", uid="d", recurrence_id="20260303T090000Z"), origin=origin)
    write(alice, timed("2026-03-05 09:00", uid="gone", recurrence_id="20260305T090000Z"), origin=origin)
    series = str(BusyBlock.objects.get(title="m").unique_id)
    assert [one["attributes"]["series_unique_id"] for one in _data(api.get(BLOCKS))] == [series, series, None]
    expanded = _data(api.get(f"{BLOCKS}?{MARCH}&expand=true"))
    alone = str(BusyBlock.objects.get(uid="gone").unique_id)
    assert sorted(one["id"] for one in expanded) == sorted(
        [alone, *(f"{series}_2026030{n}T090000Z" for n in (2, 3, 4, 5))]
    )


def test_all_day_instances_are_dates(api: APIClient, alice: CrmUser) -> None:
    write(alice, days("2026-03-02", 2, title="trip", uid="t", rule="FREQ=WEEKLY;COUNT=2"))
    found = [one["attributes"] for one in _data(api.get(f"{BLOCKS}?{MARCH}&expand=true"))]
    assert [(one["start_date"], one["end_date"], one["recurrence_id"]) for one in found] == [
        ("2026-03-02", "2026-03-04", "2026-03-02"),
        ("2026-03-09", "2026-03-11", "2026-03-09"),
    ]


def test_instances_keep_their_wall_time_over_the_change_of_the_clock(api: APIClient, alice: CrmUser) -> None:
    write(alice, timed("2026-03-28 09:00", tz="Europe/Berlin", uid="d", rule="FREQ=DAILY;COUNT=3"))
    assert _times(api.get(f"{BLOCKS}?{MARCH}&expand=true")) == ["03-28T08:00", "03-29T07:00", "03-30T07:00"]


PAGES = [
    ("the first page", "records=2", ["03-02T09:00", "03-03T09:00"]),
    ("the last page", "records=2&page=3", ["03-06T09:00"]),
    ("beyond it", "records=2&page=9", []),
    ("the other way round", "records=2&sort=-start_time", ["03-06T09:00", "03-05T09:00"]),
    ("of a status", "status=pending", []),
    ("of a title", "search=DAI&records=1", ["03-02T09:00"]),
    ("of none", "search=zzz", []),
]


@pytest.mark.parametrize(("sentence", "query", "expected"), PAGES, ids=[row[0] for row in PAGES])
def test_instances_are_paged_and_filtered(
    api: APIClient, alice: CrmUser, sentence: str, query: str, expected: list[str]
) -> None:
    write(alice, timed("2026-03-02 09:00", title="daily", uid="d", rule="FREQ=DAILY;COUNT=5"))
    response = api.get(f"{BLOCKS}?{MARCH}&expand=true&{query}")
    assert _times(response) == expected
    if "page" in query:
        assert response.json()["meta"]["total_count"] == 5


BAD = [
    ("no span", "expand=true", "start_time"),
    ("half a span", "expand=true&start_time=2026-03-01", "end_time"),
    ("a span over the cap", "expand=true&start_time=2026-03-01&end_time=2027-03-04", "end_time"),
    ("neither true nor false", f"expand=perhaps&{MARCH}", "expand"),
    ("an order that instances do not have", f"expand=true&sort=title&{MARCH}", "sort"),
]


@pytest.mark.parametrize(("sentence", "query", "parameter"), BAD, ids=[row[0] for row in BAD])
def test_question_that_cannot_be_answered_names_its_parameter(
    api: APIClient, alice: CrmUser, sentence: str, query: str, parameter: str
) -> None:
    response = api.get(f"{BLOCKS}?{query}")
    assert response.status_code == 422
    assert parameter in {error["source"]["parameter"] for error in response.json()["errors"]}


def test_more_instances_than_a_list_may_hold_are_refused(
    api: APIClient, alice: CrmUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(alice, timed("2026-03-02 09:00", uid="d", rule="FREQ=DAILY"))
    prepared_now(alice)
    monkeypatch.setattr("busyblocks.shown.MAX_INSTANCES", 29)
    for user in (alice, _expanded(alice)):
        assert api.get(f"{BLOCKS}?{MARCH}&expand=true").status_code == 422, user.pk
    assert len(_data(api.get(f"{BLOCKS}?start_time=2026-03-01&end_time=2026-03-31&expand=true&records=100"))) == 29


def test_expanded_list_costs_the_same_queries_for_1_series_and_for_20(
    api: APIClient, alice: CrmUser, django_assert_max_num_queries: Any
) -> None:
    costs = []
    # The first call of a key says that it was used.
    api.get(BLOCKS)
    for first, last in ((0, 1), (1, 20)):
        for number in range(first, last):
            moved = timed("2026-03-09 10:00", uid=f"u{number}", recurrence_id="20260309T090000Z")
            write(alice, timed("2026-03-07 09:00", uid=f"u{number}", rule="FREQ=DAILY;COUNT=4"), moved)
        prepared_now(alice)
        with django_assert_max_num_queries(9) as queries:
            found = _data(api.get(f"{BLOCKS}?start_time=2026-03-09&end_time=2026-03-10&expand=true&records=100"))
        assert len(found) == last
        costs.append(len(queries))
    assert costs[0] == costs[1]


def test_mallory_expands_nothing_of_alice(globex: Company, alice: CrmUser) -> None:
    write(alice, timed("2026-03-02 09:00", uid="d", rule="FREQ=DAILY"))
    assert _data(client_for(globex).get(f"{BLOCKS}?{MARCH}&expand=true")) == []
