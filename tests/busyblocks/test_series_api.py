"""Series changed over HTTP, instance by instance: list, free/busy and feed say the same afterwards."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from busyblocks import freebusy, prepared
from busyblocks.models import BusyBlock, Horizon, Origin, Source
from busyblocks.timespans import Span, merge, stretch
from icsfeeds import services as feeds
from tenancy.callers import Scope
from tenancy.models import Company, CrmUser
from tests.busyblocks.rows import at, timed, write
from tests.cast import client_for
from tests.icsfeeds.ledger import read_back
from tests.together import at_once

BLOCKS = "/users/alice/busy_blocks"
START, END = at("2026-03-01 00:00"), at("2026-05-01 00:00")
LIST = f"{BLOCKS}?start_time=2026-03-01&end_time=2026-05-01&expand=true&records=100"
# Four days at nine in Berlin; the clock changes in the night before the third of them.
DAILY = {
    "title": "Daily",
    "start_time": "2026-03-27T09:00:00",
    "end_time": "2026-03-27T10:00:00",
    "time_zone": "Europe/Berlin",
    "recurrence_rule": "FREQ=DAILY;COUNT=4",
}
# Mondays, from 2 March on.
WEEKLY = {
    "title": "Weekly",
    "start_time": "2026-03-02T09:00:00Z",
    "end_time": "2026-03-02T10:00:00Z",
    "recurrence_rule": "FREQ=WEEKLY;BYDAY=MO;UNTIL=20260330T090000Z",
}
DAYS = {
    "title": "Days",
    "all_day": True,
    "start_time": "2026-03-02",
    "end_time": "2026-03-03",
    "recurrence_rule": "FREQ=DAILY;COUNT=4",
}


@pytest.fixture(autouse=True)
def _march() -> Iterator[None]:
    with time_machine.travel(START, tick=False):
        yield


@pytest.fixture
def api(acme: Company, alice: CrmUser) -> APIClient:
    return client_for(acme, "alice")


def _made(api: APIClient, body: dict[str, Any], *, ready: bool = False) -> str:
    response = api.post(BLOCKS, {"busy_block": body})
    assert response.status_code == 201, response.content
    if ready:
        prepared.prepare(CrmUser.objects.get().pk, now=START)
    return str(response.json()["data"]["id"])


def seen(api: APIClient) -> list[str]:
    """Start and title of every instance; first it is made sure that free/busy and the feed say the same."""
    alice = CrmUser.objects.get(unique_id="alice")
    listed = [one["attributes"] for one in api.get(LIST).json()["data"]]
    told = sorted((one["start_time"], one["end_time"], one["title"]) for one in listed)
    spans = [Span(datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end, _ in told]
    periods = freebusy.periods(alice, START, END)
    assert [stretch(Span(period.start, period.end)) for period in periods] == merge(map(stretch, spans))
    token = feeds.issue(alice, label="x")
    feed = api.get(f"/calendars/acme/ics/{token.encrypted_token}").content
    assert sorted((_text(start), _text(end), title) for start, end, title in read_back(feed, START, END)) == told
    return [f"{start[5:10]} {start[11:16]} {title}" for start, _, title in told]


def _text(moment: datetime | date) -> str:
    whole = moment if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%SZ}"


Step = tuple[str, str, dict[str, Any]]
FOLLOWING, ALL = {"scope": "following"}, {"scope": "all"}
EDITS: list[tuple[str, dict[str, Any], list[Step], list[str]]] = [
    ("as it was made", DAILY, [], ["03-27 08:00 Daily", "03-28 08:00 Daily", "03-29 07:00 Daily", "03-30 07:00 Daily"]),
    ("one is skipped", DAILY, [("delete", "20260328T080000Z", {})],
     ["03-27 08:00 Daily", "03-29 07:00 Daily", "03-30 07:00 Daily"]),
    ("the first is skipped, and COUNT still counts it", DAILY, [("delete", "20260327T080000Z", {})],
     ["03-28 08:00 Daily", "03-29 07:00 Daily", "03-30 07:00 Daily"]),
    ("one is moved, in its zone", DAILY,
     [("put", "20260329T070000Z", {"start_time": "2026-03-29T15:00:00", "end_time": "2026-03-29T15:30:00"})],
     ["03-27 08:00 Daily", "03-28 08:00 Daily", "03-29 13:00 Daily", "03-30 07:00 Daily"]),
    ("one is moved, and moved again", DAILY,
     [("put", "20260328T080000Z", {"start_time": "2026-04-10T15:00:00Z", "end_time": "2026-04-10T16:00:00Z"}),
      ("put", "20260328T080000Z", {"title": "Late"})],
     ["03-27 08:00 Daily", "03-29 07:00 Daily", "03-30 07:00 Daily", "04-10 15:00 Late"]),
    ("one that was moved is skipped", DAILY,
     [("put", "20260328T080000Z", {"start_time": "2026-04-10T15:00:00Z", "end_time": "2026-04-10T16:00:00Z"}),
      ("delete", "20260328T080000Z", {})],
     ["03-27 08:00 Daily", "03-29 07:00 Daily", "03-30 07:00 Daily"]),
    ("one is cancelled", DAILY, [("put", "20260328T080000Z", {"status": "inactive"})],
     ["03-27 08:00 Daily", "03-29 07:00 Daily", "03-30 07:00 Daily"]),
    ("a change of one is undone", DAILY,
     [("put", "20260328T080000Z", {"title": "Other"}), ("post", "20260328T080000Z/restore", {})],
     ["03-27 08:00 Daily", "03-28 08:00 Daily", "03-29 07:00 Daily", "03-30 07:00 Daily"]),
    ("a skip is undone, twice", DAILY,
     [("delete", "20260328T080000Z", {}), *[("post", "20260328T080000Z/restore", {})] * 2],
     ["03-27 08:00 Daily", "03-28 08:00 Daily", "03-29 07:00 Daily", "03-30 07:00 Daily"]),
    ("all that follow are retitled; what is left of COUNT is theirs", DAILY,
     [("put", "20260329T070000Z", {"title": "New", **FOLLOWING})],
     ["03-27 08:00 Daily", "03-28 08:00 Daily", "03-29 07:00 New", "03-30 07:00 New"]),
    ("all that follow are moved by the clock on the wall", DAILY,
     [("put", "20260328T080000Z", {"start_time": "2026-03-28T11:00:00", "end_time": "2026-03-28T12:00:00",
                                   **FOLLOWING})],
     ["03-27 08:00 Daily", "03-28 10:00 Daily", "03-29 09:00 Daily", "03-30 09:00 Daily"]),
    ("what was said of later ones goes along", DAILY,
     [("delete", "20260330T070000Z", {}), ("put", "20260329T070000Z", {"title": "Own"}),
      ("put", "20260328T080000Z", {"start_time": "2026-03-28T08:00:00", "end_time": "2026-03-28T09:00:00",
                                   **FOLLOWING})],
     ["03-27 08:00 Daily", "03-28 07:00 Daily", "03-29 07:00 Own"]),
    ("the first and all that follow are the whole series", DAILY,
     [("put", "20260327T080000Z", {"title": "New", **FOLLOWING})],
     ["03-27 08:00 New", "03-28 08:00 New", "03-29 07:00 New", "03-30 07:00 New"]),
    ("a series ends before one", DAILY, [("delete", "20260329T070000Z?scope=following", {})],
     ["03-27 08:00 Daily", "03-28 08:00 Daily"]),
    ("a series ends before its first", DAILY, [("delete", "20260327T080000Z?scope=following", {})], []),
    ("all go, told of one", DAILY, [("delete", "20260329T070000Z?scope=all", {})], []),
    ("all are moved, told of one", DAILY,
     [("put", "20260330T070000Z", {"start_time": "2026-03-30T10:30:00", "end_time": "2026-03-30T11:00:00", **ALL})],
     ["03-27 09:30 Daily", "03-28 09:30 Daily", "03-29 08:30 Daily", "03-30 08:30 Daily"]),
    ("all are moved, and what was said of single ones goes along", DAILY,
     [("delete", "20260328T080000Z", {}), ("put", "20260329T070000Z", {"title": "Own"}),
      ("put", "20260327T080000Z", {"start_time": "2026-03-27T10:00:00", "end_time": "2026-03-27T11:00:00", **ALL})],
     ["03-27 09:00 Daily", "03-29 07:00 Own", "03-30 08:00 Daily"]),
    ("all are moved by the series' own row, with the same outcome", DAILY,
     [("delete", "20260328T080000Z", {}), ("put", "20260329T070000Z", {"title": "Own"}),
      ("put", "", {"start_time": "2026-03-27T10:00:00", "end_time": "2026-03-27T11:00:00"})],
     ["03-27 09:00 Daily", "03-29 07:00 Own", "03-30 08:00 Daily"]),
    ("a new rule drops what was said of instances that it does not have", DAILY,
     [("put", "20260328T080000Z", {"title": "Own"}), ("put", "20260329T070000Z", {"title": "Kept"}),
      ("put", "", {"recurrence_rule": "FREQ=DAILY;INTERVAL=2;COUNT=2"})],
     ["03-27 08:00 Daily", "03-29 07:00 Kept"]),
    ("a series that stops being one loses what was said of its instances", DAILY,
     [("put", "20260328T080000Z", {"title": "Own"}), ("put", "", {"recurring": False, "recurrence_rule": None})],
     ["03-27 08:00 Daily"]),
    ("the whole goes, and its changed ones with it", DAILY,
     [("put", "20260328T080000Z", {"title": "Own"}), ("delete", "", {})], []),
    ("a weekly one moves to the day after, and its rule and its end with it", WEEKLY,
     [("put", "20260309T090000Z", {"start_time": "2026-03-10T10:00:00Z", "end_time": "2026-03-10T11:00:00Z", **ALL})],
     ["03-03 10:00 Weekly", "03-10 10:00 Weekly", "03-17 10:00 Weekly", "03-24 10:00 Weekly", "03-31 10:00 Weekly"]),
    ("later ones of a weekly one move to the day before", WEEKLY,
     [("put", "20260316T090000Z", {"start_time": "2026-03-15T09:00:00Z", "end_time": "2026-03-15T10:00:00Z",
                                   **FOLLOWING})],
     ["03-02 09:00 Weekly", "03-09 09:00 Weekly", "03-15 09:00 Weekly", "03-22 09:00 Weekly", "03-29 09:00 Weekly"]),
    ("later ones get a rule of their own", WEEKLY,
     [("put", "20260316T090000Z", {"recurrence_rule": "FREQ=DAILY;COUNT=2", **FOLLOWING})],
     ["03-02 09:00 Weekly", "03-09 09:00 Weekly", "03-16 09:00 Weekly", "03-17 09:00 Weekly"]),
    ("a day is skipped", DAYS, [("delete", "20260303", {})],
     ["03-02 00:00 Days", "03-04 00:00 Days", "03-05 00:00 Days"]),
    ("a day is moved", DAYS, [("put", "20260303", {"start_time": "2026-03-10", "end_time": "2026-03-12"})],
     ["03-02 00:00 Days", "03-04 00:00 Days", "03-05 00:00 Days", "03-10 00:00 Days"]),
    ("a day becomes an hour", DAYS,
     [("put", "20260303",
       {"all_day": False, "start_time": "2026-03-03T09:00:00Z", "end_time": "2026-03-03T10:00:00Z"})],
     ["03-02 00:00 Days", "03-03 09:00 Days", "03-04 00:00 Days", "03-05 00:00 Days"]),
    ("days end before one", DAYS, [("delete", "20260304?scope=following", {})],
     ["03-02 00:00 Days", "03-03 00:00 Days"]),
    ("later days are moved", DAYS,
     [("put", "20260304", {"start_time": "2026-03-11", "end_time": "2026-03-12", **FOLLOWING})],
     ["03-02 00:00 Days", "03-03 00:00 Days", "03-11 00:00 Days", "03-12 00:00 Days"]),
    ("all days become hours", DAYS,
     [("put", "20260303", {"all_day": False, "start_time": "2026-03-03T09:00:00Z", "end_time": "2026-03-03T10:00:00Z",
                           **ALL})],
     [f"03-0{day} 09:00 Days" for day in (2, 3, 4, 5)]),
    ("a time that the clock leaves out is kept for the others",
     {**DAILY, "start_time": "2026-03-28T02:30:00", "end_time": "2026-03-28T03:00:00"},
     [("put", "20260329T013000Z", {"title": "New", **FOLLOWING})],
     ["03-28 01:30 Daily", "03-29 01:30 New", "03-30 00:30 New", "03-31 00:30 New"]),
    ("of a time that comes twice the first is meant, before and after",
     {**DAILY, "start_time": "2026-04-03T01:30:00", "end_time": "2026-04-03T02:00:00",
      "time_zone": "Australia/Lord_Howe"},
     [("put", "20260404T143000Z", {"title": "New", **FOLLOWING})],
     ["04-02 14:30 Daily", "04-03 14:30 Daily", "04-04 14:30 New", "04-05 15:00 New"]),
    ("dates named one by one end before one of them",
     {**WEEKLY, "recurrence_rule": None, "rdates": ["2026-03-05T09:00:00Z", "2026-03-07T09:00:00Z"]},
     [("delete", "20260302T090000Z", {}), ("delete", "20260307T090000Z?scope=following", {})], ["03-05 09:00 Weekly"]),
    ("no more than the first of them is left, and that was skipped",
     {**WEEKLY, "recurrence_rule": None, "rdates": ["2026-03-05T09:00:00Z", "2026-03-07T09:00:00Z"]},
     [("delete", "20260302T090000Z", {}), ("delete", "20260305T090000Z?scope=following", {})], []),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "body", "steps", "expected"), EDITS, ids=[row[0] for row in EDITS])
def test_series_after(
    api: APIClient, sentence: str, body: dict[str, Any], steps: list[Step], expected: list[str]
) -> None:
    series = _made(api, body, ready=True)
    for verb, name, given in steps:
        response = getattr(api, verb)(f"{BLOCKS}/{series}{'_' + name if name else ''}", given or None)
        assert response.status_code in {200, 204}, response.content
    assert seen(api) == expected
    alice = CrmUser.objects.get(unique_id="alice")
    assert alice.pk in prepared.horizons([alice]), "what was prepared is kept"
    listed = api.get(LIST).json()
    Horizon.objects.all().delete()
    assert api.get(LIST).json() == listed, "and says what expansion says"


def test_changed_instance_answers_under_its_own_id(api: APIClient) -> None:
    series = _made(api, DAILY)
    name = f"{series}_20260328T080000Z"
    answer = api.put(f"{BLOCKS}/{name}", {"title": "Other", "scope": "this"}).json()["data"]
    assert (answer["id"], answer["attributes"]["title"]) == (name, "Other")
    assert answer["attributes"]["recurrence_id"] == "2026-03-28T08:00:00Z"
    assert answer["attributes"]["series_unique_id"] == series
    assert api.get(f"{BLOCKS}/{name}").json()["data"] == answer
    assert answer in api.get(LIST).json()["data"]
    # Sent once more: the same row, the same answer.
    again = api.put(f"{BLOCKS}/{name}", {"title": "Other", "scope": "this"}).json()["data"]
    assert (again["id"], again["attributes"]["title"]) == (name, "Other")
    assert BusyBlock.objects.exclude(recurrence_id="").count() == 1


def test_row_of_a_changed_instance_is_that_instance(api: APIClient) -> None:
    series = _made(api, DAILY)
    api.put(f"{BLOCKS}/{series}_20260328T080000Z", {"title": "Other"})
    row = str(BusyBlock.objects.get(title="Other").unique_id)
    assert api.put(f"{BLOCKS}/{row}", {"title": "Third"}).json()["data"]["id"] == f"{series}_20260328T080000Z"
    assert api.delete(f"{BLOCKS}/{row}").status_code == 204
    assert seen(api) == ["03-27 08:00 Daily", "03-29 07:00 Daily", "03-30 07:00 Daily"]


def test_change_of_what_follows_makes_one_series_however_often_it_is_sent(api: APIClient) -> None:
    series = _made(api, DAILY)
    body = {"title": "New", "start_time": "2026-03-28T11:00:00", "end_time": "2026-03-28T12:00:00", **FOLLOWING}
    answers = [api.put(f"{BLOCKS}/{series}_20260328T080000Z", body).json()["data"] for _ in range(2)]
    assert answers[0]["id"] == answers[1]["id"] != series
    assert answers[0]["attributes"]["recurrence_rule"] == "FREQ=DAILY;COUNT=3"
    assert BusyBlock.objects.count() == 2
    assert seen(api) == ["03-27 08:00 Daily", "03-28 10:00 New", "03-29 09:00 New", "03-30 09:00 New"]


def test_end_that_was_taken_back_lets_the_series_go_on(api: APIClient) -> None:
    series = _made(api, DAILY)
    api.delete(f"{BLOCKS}/{series}_20260329T070000Z?scope=following")
    assert api.get(f"{BLOCKS}/{series}").json()["data"]["attributes"]["recurrence_rule"] == (
        "FREQ=DAILY;UNTIL=20260329T065959Z"
    )
    api.put(f"{BLOCKS}/{series}", {"recurrence_rule": "FREQ=DAILY;COUNT=4"})
    assert len(seen(api)) == 4


REFUSED = [
    ("a rule for one instance", "put", "_20260328T080000Z", {"recurrence_rule": "FREQ=DAILY"}, "recurrence_rule"),
    ("no such scope", "put", "_20260328T080000Z", {"scope": "some"}, "scope"),
    ("no such scope to delete", "delete", "_20260328T080000Z?scope=some", {}, "scope"),
    ("what follows the whole series", "put", "", {"title": "x", "scope": "following"}, "scope"),
    ("what follows the whole series goes", "delete", "?scope=following", {}, "scope"),
    ("an end before the start", "put", "_20260328T080000Z", {"end_time": "2026-03-28T07:00:00"}, "end_time"),
    ("an end before its own beginning", "put", "", {"recurrence_rule": "FREQ=DAILY;UNTIL=20260326"}, "recurrence_rule"),
    ("and one second before it", "put", "", {"recurrence_rule": "FREQ=DAILY;UNTIL=20260327T075959Z"},
     "recurrence_rule"),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "verb", "name", "body", "field"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_with_the_field_named_and_nothing_changed(
    api: APIClient, sentence: str, verb: str, name: str, body: dict[str, Any], field: str
) -> None:
    series = _made(api, DAILY)
    response = getattr(api, verb)(f"{BLOCKS}/{series}{name}", body or None)
    assert response.status_code == 422, response.content
    (error,) = response.json()["errors"]
    assert error["source"]["pointer"] == f"/data/attributes/{field}"
    assert len(seen(api)) == 4


def test_rule_that_names_days_of_the_month_is_not_guessed_at(api: APIClient) -> None:
    series = _made(api, {**WEEKLY, "recurrence_rule": "FREQ=MONTHLY;BYDAY=1MO;COUNT=2"})
    moved = {"start_time": "2026-04-07T09:00:00Z", "end_time": "2026-04-07T10:00:00Z", **ALL}
    response = api.put(f"{BLOCKS}/{series}_20260406T090000Z", moved)
    assert response.status_code == 422
    assert response.json()["errors"][0]["source"]["pointer"] == "/data/attributes/recurrence_rule"
    assert seen(api) == ["03-02 09:00 Weekly", "04-06 09:00 Weekly"]
    told = api.put(
        f"{BLOCKS}/{series}_20260406T090000Z", {**moved, "recurrence_rule": "FREQ=MONTHLY;BYDAY=1TU;COUNT=2"}
    )
    assert told.status_code == 200
    assert seen(api) == ["03-03 09:00 Weekly", "04-07 09:00 Weekly"]


UNKNOWN = ["_20260327T090000Z", "_20260401T070000Z", "_20260328", "_x", "_", "_20260329T070000Z_20260329T070000Z"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_instance_that_the_series_does_not_have_is_not_found(api: APIClient, name: str) -> None:
    series = _made(api, DAILY)
    for verb in ("get", "put", "delete"):
        response = getattr(api, verb)(f"{BLOCKS}/{series}{name}")
        if name != "_":
            assert response.status_code == 404, verb
            assert response.json()["errors"][0]["title"] == "Busy Block Not Found"
    assert api.post(f"{BLOCKS}/{series}_20260401T070000Z/restore").status_code == 404


def test_skipped_instance_is_gone_until_it_is_restored(api: APIClient) -> None:
    name = f"{BLOCKS}/{_made(api, DAILY)}_20260328T080000Z"
    assert [api.delete(name).status_code, api.delete(name).status_code, api.get(name).status_code] == [204, 404, 404]
    restored = api.post(f"{name}/restore")
    assert (restored.status_code, api.get(name).json()) == (200, restored.json())


def test_single_block_has_no_instances(api: APIClient) -> None:
    single = _made(api, {**DAILY, "recurrence_rule": None})
    assert api.get(f"{BLOCKS}/{single}_20260327T080000Z").status_code == 404
    assert api.post(f"{BLOCKS}/{single}/restore").status_code == 404


def test_mirrored_series_shows_its_instances_and_is_changed_at_its_source(api: APIClient, alice: CrmUser) -> None:
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    master = timed("2026-03-02 09:00", title="m", uid="d", rule="FREQ=DAILY;COUNT=3")
    moved = timed("2026-03-03 15:00", title="moved", uid="d", recurrence_id="20260303T090000Z")
    block, _ = write(alice, master, moved, origin=origin)
    name = f"{BLOCKS}/{block.unique_id}_20260303T090000Z"
    assert api.get(name).json()["data"]["attributes"]["title"] == "moved"
    for response in (
        api.put(name, {"title": "x"}), api.put(name, {"title": "x", **FOLLOWING}), api.delete(name),
        api.delete(f"{name}?scope=following"), api.delete(f"{name}?scope=all"), api.post(f"{name}/restore"),
    ):  # fmt: skip
        assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "read_only")
    assert BusyBlock.objects.count() == 2


def test_mallory_and_bob_change_nothing_of_alice(acme: Company, globex: Company, api: APIClient) -> None:
    name = f"{BLOCKS}/{_made(api, DAILY)}_20260328T080000Z"
    for thief, status in (
        (client_for(globex), 404), (client_for(acme, "bob"), 403), (client_for(acme, "alice", [Scope.READ]), 403),
    ):  # fmt: skip
        assert thief.put(name, {"title": "x"}).status_code == status
        assert thief.delete(f"{name}?scope=following").status_code == status
        assert thief.post(f"{name}/restore").status_code == status
    assert len(seen(api)) == 4


def test_change_that_fails_half_way_leaves_everything(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    series = _made(api, DAILY, ready=True)

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("busyblocks.series.edits.ended", fail)
        api.raise_request_exception = False
        body = {"title": "New", **FOLLOWING}
        assert api.put(f"{BLOCKS}/{series}_20260329T070000Z", body).status_code == 500
    assert BusyBlock.objects.count() == 1
    assert len(seen(api)) == 4


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_changes_at_once_lose_nothing(acme: Company, alice: CrmUser) -> None:
    series = _made(client_for(acme, "alice"), {**DAILY, "recurrence_rule": "FREQ=DAILY;COUNT=12"}, ready=True)
    names = [f"{BLOCKS}/{series}_202603{day}T080000Z" for day in ("27", "28")]
    names += [f"{BLOCKS}/{series}_2026{day}T070000Z" for day in ("0329", "0330", "0331", "0401")]
    jobs = [
        lambda: client_for(acme, "alice").delete(names[0]),
        lambda: client_for(acme, "alice").delete(names[1]),
        lambda: client_for(acme, "alice").put(names[2], {"title": "Own"}),
        lambda: client_for(acme, "alice").put(names[3], {"title": "Other"}),
        lambda: client_for(acme, "alice").put(f"{BLOCKS}/{series}", {"location": "Room 1"}),
        lambda: client_for(acme, "alice").put(f"{BLOCKS}/{series}", {"description": "Words"}),
        lambda: client_for(acme, "alice").put(names[4], {"title": "Twice"}),
        lambda: client_for(acme, "alice").put(names[4], {"title": "Twice"}),
        lambda: client_for(acme, "alice").put(names[5], {"title": "New", "scope": "following"}),
    ]
    assert [response.status_code for response in at_once(jobs)] == [204, 204, 200, 200, 200, 200, 200, 200, 200]
    row = BusyBlock.objects.get(unique_id=series)
    assert row.description == "Words"
    assert row.location == "Room 1"
    api = client_for(acme, "alice")
    assert [text[12:] for text in seen(api)] == ["Own", "Other", "Twice", *["New"] * 7]


@pytest.mark.parametrize("scope", ["following", "all"])
def test_instance_sent_back_as_it_was_read_does_not_end_its_series(api: APIClient, scope: str) -> None:
    block = _made(api, {**DAILY, "exdates": ["2026-03-30T07:00:00Z"]})
    name = f"{BLOCKS}/{block}_20260328T080000Z"
    read = api.get(name).json()["data"]["attributes"]
    assert api.put(name, {"busy_block": {**read, "title": "New", "scope": scope}}).status_code == 200
    first = "New" if scope == "all" else "Daily"
    assert seen(api) == [f"03-27 08:00 {first}", "03-28 08:00 New", "03-29 07:00 New"]


def test_period_that_ends_before_it_starts_is_refused(api: APIClient) -> None:
    response = api.post(BLOCKS, {"busy_block": {**WEEKLY, "rdates": ["2026-03-06T09:00:00Z/2026-03-06T08:00:00Z"]}})
    assert response.status_code == 422
    assert response.json()["errors"][0]["source"]["pointer"].endswith("rdates")


def test_series_is_skipped_no_more_often_than_it_may_be_written(
    api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("busyblocks.series.MAX_DATES", 2)
    block = _made(api, DAILY)
    answers = [api.delete(f"{BLOCKS}/{block}_202603{day}").status_code for day in ("27T080000Z", "28T080000Z")]
    assert [*answers, api.delete(f"{BLOCKS}/{block}_20260329T070000Z").status_code] == [204, 204, 422]
    assert seen(api) == ["03-29 07:00 Daily", "03-30 07:00 Daily"]
