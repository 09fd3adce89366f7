"""`/users/:user_unique_id/busy_blocks`, over HTTP with real tokens."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from busyblocks.models import BusyBlock, Origin, Source
from tenancy.callers import Scope
from tenancy.models import Company, CrmUser
from tests.busyblocks.rows import days, timed, write
from tests.cast import client_for

BLOCKS = "/users/alice/busy_blocks"
NOON = datetime(2026, 2, 15, 10, 30, tzinfo=UTC)


@pytest.fixture
def api(acme: Company) -> APIClient:
    """Alice's own client."""
    return client_for(acme, "alice")


def _attributes(response: Any) -> dict[str, Any]:
    assert response.status_code in {200, 201}, response.content
    attributes: dict[str, Any] = response.json()["data"]["attributes"]
    return attributes


def _titles(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [resource["attributes"]["title"] for resource in response.json()["data"]]


def _refusal(response: Any) -> str:
    """Where the one error of a 422 points."""
    assert response.status_code == 422, response.content
    (error,) = response.json()["errors"]
    source = error["source"]
    return str(source.get("parameter") or source["pointer"].removeprefix("/data/attributes/"))


DOCUMENTED = {
    "title": "Personal Time",
    "start_time": "2026-03-01T17:00:00Z",
    "end_time": "2026-03-01T18:00:00Z",
    "recurring": False,
}


def test_documented_request_gets_the_documented_answer(api: APIClient) -> None:
    with time_machine.travel(NOON, tick=False):
        response = api.post(BLOCKS, {"busy_block": DOCUMENTED})
    assert response.status_code == 201
    data = response.json()["data"]
    assert data["type"] == "busy_block"
    expected = {**DOCUMENTED, "unique_id": data["id"], "created_at": "2026-02-15T10:30:00Z"}
    assert {name: data["attributes"][name] for name in expected} == expected
    listed = api.get(BLOCKS).json()["data"]
    assert listed == [data]
    assert api.get(f"{BLOCKS}/{data['id']}").json()["data"] == data
    assert api.delete(f"{BLOCKS}/{data['id']}").status_code == 204
    assert api.get(BLOCKS).json()["data"] == []


def test_documented_list_shows_the_rule_as_it_was_given(api: APIClient) -> None:
    body = {
        "title": "Lunch Break",
        "start_time": "2026-02-20T12:00:00Z",
        "end_time": "2026-02-20T13:00:00Z",
        "recurring": True,
        "recurrence_rule": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
    }
    api.post(BLOCKS, body)
    attributes = api.get(BLOCKS).json()["data"][0]["attributes"]
    assert {name: attributes[name] for name in body} == body


def test_body_of_the_published_sdk_creates_the_same_block(api: APIClient) -> None:
    body = {
        "title": "Offsite",
        "starts_at": "2026-07-01T09:00:00",
        "ends_at": "2026-07-01T10:00:00",
        "all_day": False,
        "timezone": "Europe/Berlin",
        "transparency": "transparent",
        "status": "pending",
        "location": "Room 1",
        "source": "hubspot",
        "source_id": "h-1",
        "external_event_id": "e-1",
        "metadata": {"deal": 7},
    }
    attributes = _attributes(api.post(BLOCKS, {"busy_block": body}))
    assert attributes["start_time"] == "2026-07-01T07:00:00Z"
    assert attributes["end_time"] == "2026-07-01T08:00:00Z"
    assert attributes["time_zone"] == "Europe/Berlin"
    assert attributes["payload"] == attributes["metadata"] == {"deal": 7}
    assert attributes["busy_type"] == "free"
    same = ("title", "all_day", "transparency", "status", "location", "source", "source_id", "external_event_id")
    assert {name: attributes[name] for name in same} == {name: body[name] for name in same}


def test_every_attribute_is_there(api: APIClient) -> None:
    assert set(_attributes(api.post(BLOCKS, DOCUMENTED))) == {
        "unique_id", "user_unique_id", "title", "description", "start_time", "end_time", "all_day", "start_date",
        "end_date", "time_zone", "recurring", "recurrence_rule", "exdates", "rdates", "recurrence_id",
        "series_unique_id", "transparency", "status", "event_status", "enabled", "location", "source", "source_id",
        "external_event_id", "uid", "busy_type", "read_only", "payload", "metadata", "created_at", "updated_at",
    }  # fmt: skip


def test_name_of_the_document_wins_over_the_sdks(api: APIClient) -> None:
    attributes = _attributes(api.post(BLOCKS, {**DOCUMENTED, "starts_at": "2020-01-01T00:00:00Z"}))
    assert attributes["start_time"] == DOCUMENTED["start_time"]


TIMES = [
    ("an instant stays one", {}, ("2026-03-01T17:00:00Z", "2026-03-01T18:00:00Z")),
    ("an offset is read", {"start_time": "2026-03-01T18:00:00+01:00"}, ("2026-03-01T17:00:00Z",) * 1),
    ("milliseconds are dropped", {"start_time": "2026-03-01T17:00:00.999Z"}, ("2026-03-01T17:00:00Z",)),
    ("a wall time without a zone is UTC", {"start_time": "2026-03-01T17:00:00"}, ("2026-03-01T17:00:00Z",)),
    ("a wall time is read in the zone", {"start_time": "2026-03-01T18:00:00", "time_zone": "Europe/Berlin"},
     ("2026-03-01T17:00:00Z",)),
    ("a wall time in the gap moves forward", {"start_time": "2025-03-30T02:30:00", "time_zone": "Europe/Berlin"},
     ("2025-03-30T01:30:00Z",)),
    ("a block without length is a block", {"end_time": "2026-03-01T17:00:00Z"}, ("2026-03-01T17:00:00Z",) * 2),
    ("dates of a whole day", {"all_day": True, "start_time": "2026-03-01", "end_time": "2026-03-03"},
     ("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z")),
    ("one and the same date is one day", {"all_day": True, "start_time": "2026-03-01", "end_time": "2026-03-01"},
     ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")),
    ("a timestamp is its date", {"all_day": True, "start_time": "2026-03-01T09:00:00-08:00",
     "end_time": "2026-03-01T23:59:59-08:00"}, ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")),
    ("an instant that is the zone's midnight is the zone's date",
     {"all_day": True, "time_zone": "Europe/Berlin", "start_time": "2026-02-28T23:00:00Z",
      "end_time": "2026-03-01T23:00:00Z"}, ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "changes", "expected"), TIMES, ids=[row[0] for row in TIMES])
def test_times_in(api: APIClient, sentence: str, changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    attributes = _attributes(api.post(BLOCKS, {**DOCUMENTED, **changes}))
    assert (attributes["start_time"], attributes["end_time"])[: len(expected)] == expected


def test_all_day_block_shows_its_dates(api: APIClient) -> None:
    body = {"all_day": True, "start_time": "2026-03-01", "end_time": "2026-03-03", "time_zone": "Pacific/Kiritimati"}
    attributes = _attributes(api.post(BLOCKS, body))
    assert (attributes["start_date"], attributes["end_date"]) == ("2026-03-01", "2026-03-03")


def test_wall_time_is_kept_where_the_zone_has_no_such_minute(api: APIClient) -> None:
    body = {
        "start_time": "2026-03-29T02:30:00",
        "end_time": "2026-03-29T04:00:00",
        "time_zone": "Europe/Berlin",
        "recurrence_rule": "FREQ=DAILY;COUNT=2",
    }
    block = BusyBlock.objects.get(unique_id=_attributes(api.post(BLOCKS, body))["unique_id"])
    assert block.local_start == "20260329T023000"


def test_second_of_two_equal_wall_times_stays_the_second(api: APIClient) -> None:
    body = {"start_time": "2026-10-25T02:30:00+01:00", "end_time": "2026-10-25T03:00:00+01:00"}
    attributes = _attributes(api.post(BLOCKS, {**body, "time_zone": "Europe/Berlin"}))
    assert attributes["start_time"] == "2026-10-25T01:30:00Z"
    assert BusyBlock.objects.get().local_start == ""


REFUSED = [
    ("no time at all", {"start_time": ""}, "start_time"),
    ("no start", {"start_time": None}, "start_time"),
    ("no time", {"start_time": "tomorrow"}, "start_time"),
    ("a number", {"start_time": 1767225600}, "start_time"),
    ("before the first year", {"start_time": "0001-01-01T00:00:00Z"}, "start_time"),
    ("after the last", {"end_time": "9999-12-31T23:59:59-12:00"}, "end_time"),
    ("a day that is not", {"start_time": "2026-02-30T10:00:00Z"}, "start_time"),
    ("ends before it starts", {"end_time": "2026-03-01T16:59:59Z"}, "end_time"),
    ("dates the wrong way round", {"all_day": True, "start_time": "2026-03-02", "end_time": "2026-03-01"}, "end_time"),
    ("the last date of all", {"all_day": True, "start_time": "9999-12-31", "end_time": "9999-12-31"}, "end_time"),
    ("unknown zone", {"time_zone": "Mars/Olympus"}, "time_zone"),
    ("recurring without a rule", {"recurring": True}, "recurrence_rule"),
    ("a rule bomb", {"recurrence_rule": "FREQ=SECONDLY"}, "recurrence_rule"),
    ("a rule with two lines", {"recurrence_rule": "FREQ=DAILY\nATTENDEE:x"}, "recurrence_rule"),
    ("a rule that never ends its COUNT", {"recurrence_rule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=9"},
     "recurrence_rule"),
    ("no list", {"exdates": "2026-03-01"}, "exdates"),
    ("no times in the list", {"recurrence_rule": "FREQ=DAILY", "exdates": ["x"]}, "exdates"),
    ("too many dates", {"recurrence_rule": "FREQ=DAILY", "exdates": ["2026-03-01"] * 1001}, "exdates"),
    ("a period that is none", {"rdates": ["2026-03-01T10:00:00Z/x"]}, "rdates"),
    ("unknown status", {"status": "maybe"}, "status"),
    ("unknown transparency", {"transparency": "glass"}, "transparency"),
    ("a title of a megabyte", {"title": "x" * 1001}, "title"),
    ("metadata of no names", {"metadata": [1]}, "metadata"),
    ("metadata too long", {"metadata": {"x": "y" * 20_000}}, "metadata"),
    ("all_day of nothing", {"all_day": "perhaps"}, "all_day"),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "changes", "field"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_with_the_field_named(api: APIClient, sentence: str, changes: dict[str, Any], field: str) -> None:
    assert _refusal(api.post(BLOCKS, {**DOCUMENTED, **changes})) == field
    assert not BusyBlock.objects.exists()


def test_control_characters_never_reach_the_ledger(api: APIClient) -> None:
    body = {**DOCUMENTED, "title": "a\x0bb\u2028c\x85d\x1be", "description": "one\r\ntwo\x0cthree\x07"}
    attributes = _attributes(api.post(BLOCKS, body))
    assert attributes["title"] == "a b c de"
    assert attributes["description"] == "one\ntwo\nthree"


def test_title_may_be_null_or_missing(api: APIClient) -> None:
    without = {name: value for name, value in DOCUMENTED.items() if name != "title"}
    assert _attributes(api.post(BLOCKS, without))["title"] is None
    assert _attributes(api.post(BLOCKS, {**without, "title": None}))["title"] is None


STATUSES = [
    ("active", "active", "confirmed", "busy"),
    ("confirmed", "active", "confirmed", "busy"),
    ("pending", "pending", "tentative", "busy-tentative"),
    ("Tentative", "pending", "tentative", "busy-tentative"),
    ("inactive", "inactive", "cancelled", "free"),
    ("cancelled", "inactive", "cancelled", "free"),
]


@pytest.mark.parametrize(("given", "status", "event_status", "busy_type"), STATUSES)
def test_status_speaks_both_vocabularies(
    api: APIClient, given: str, status: str, event_status: str, busy_type: str
) -> None:
    attributes = _attributes(api.post(BLOCKS, {**DOCUMENTED, "status": given}))
    assert (attributes["status"], attributes["event_status"]) == (status, event_status)
    assert attributes["busy_type"] == busy_type
    assert attributes["enabled"] is (status != "inactive")


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_zone_is_utc(api: APIClient, nothing: str | None) -> None:
    assert _attributes(api.post(BLOCKS, {**DOCUMENTED, "time_zone": nothing}))["time_zone"] == "UTC"


def test_rule_implies_recurring_and_loses_its_prefix(api: APIClient) -> None:
    attributes = _attributes(api.post(BLOCKS, {**DOCUMENTED, "recurrence_rule": "RRULE:FREQ=DAILY;COUNT=3"}))
    assert attributes["recurring"] is True
    assert attributes["recurrence_rule"] == "FREQ=DAILY;COUNT=3"


def test_single_dates_come_back_in_utc(api: APIClient) -> None:
    body = {
        "start_time": "2026-07-01T09:00:00",
        "end_time": "2026-07-01T10:00:00",
        "time_zone": "Europe/Berlin",
        "recurrence_rule": "FREQ=DAILY",
        "exdates": ["2026-07-02T09:00:00", "20260703T070000Z", "2026-07-04"],
        "rdates": ["2026-08-01T09:00:00", "2026-08-02T09:00:00/2026-08-02T12:00:00"],
    }
    attributes = _attributes(api.post(BLOCKS, body))
    assert attributes["exdates"] == ["2026-07-02T07:00:00Z", "2026-07-03T07:00:00Z", "2026-07-04"]
    assert attributes["rdates"] == ["2026-08-01T07:00:00Z", "2026-08-02T07:00:00Z/2026-08-02T10:00:00Z"]


def test_uid_is_made_from_the_public_id_and_sequence_counts_changes(api: APIClient) -> None:
    attributes = _attributes(api.post(BLOCKS, DOCUMENTED))
    assert attributes["uid"] == f"{attributes['unique_id']}@testserver"
    api.put(f"{BLOCKS}/{attributes['unique_id']}", {"title": "Other"})
    assert BusyBlock.objects.get().sequence == 1


def test_every_change_moves_the_users_revision(api: APIClient, alice: CrmUser) -> None:
    unique_id = _attributes(api.post(BLOCKS, DOCUMENTED))["unique_id"]
    api.put(f"{BLOCKS}/{unique_id}", {"title": "Other"})
    api.delete(f"{BLOCKS}/{unique_id}")
    alice.refresh_from_db()
    assert alice.revision == 3
    api.post(BLOCKS, {})
    alice.refresh_from_db()
    assert alice.revision == 3


CHANGES = [
    ("a title leaves the times", {"title": "Other"}, {"title": "Other", "start_time": "2026-03-01T17:00:00Z"}),
    ("an end alone", {"ends_at": "2026-03-01T20:00:00Z"},
     {"start_time": "2026-03-01T17:00:00Z", "end_time": "2026-03-01T20:00:00Z"}),
    ("a zone alone moves no instant", {"time_zone": "Europe/Berlin"},
     {"time_zone": "Europe/Berlin", "start_time": "2026-03-01T17:00:00Z"}),
    ("to the whole day", {"all_day": True},
     {"all_day": True, "start_date": "2026-03-01", "end_date": "2026-03-02"}),
    ("to a series", {"recurrence_rule": "FREQ=DAILY"}, {"recurring": True}),
    ("nothing at all", {}, {"title": "Personal Time"}),
    ("the title away", {"title": None}, {"title": None}),
    ("cancelled", {"status": "inactive"}, {"busy_type": "free", "enabled": False}),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "body", "expected"), CHANGES, ids=[row[0] for row in CHANGES])
def test_change_touches_what_it_names(
    api: APIClient, sentence: str, body: dict[str, Any], expected: dict[str, Any]
) -> None:
    unique_id = _attributes(api.post(BLOCKS, DOCUMENTED))["unique_id"]
    attributes = _attributes(api.put(f"{BLOCKS}/{unique_id}", {"busy_block": body}))
    assert {name: attributes[name] for name in expected} == expected
    assert _attributes(api.get(f"{BLOCKS}/{unique_id}")) == attributes


def test_series_ends_being_one_when_it_is_said_so(api: APIClient) -> None:
    body = {**DOCUMENTED, "recurring": True, "recurrence_rule": "FREQ=DAILY", "exdates": ["2026-03-02T17:00:00Z"]}
    unique_id = _attributes(api.post(BLOCKS, body))["unique_id"]
    attributes = _attributes(api.put(f"{BLOCKS}/{unique_id}", {"recurring": False}))
    assert (attributes["recurring"], attributes["recurrence_rule"], attributes["exdates"]) == (False, None, [])


def test_change_that_would_end_before_it_starts_is_refused(api: APIClient) -> None:
    unique_id = _attributes(api.post(BLOCKS, DOCUMENTED))["unique_id"]
    assert _refusal(api.put(f"{BLOCKS}/{unique_id}", {"start_time": "2026-03-02T00:00:00Z"})) == "end_time"


@pytest.fixture
def mirrored(alice: CrmUser) -> BusyBlock:
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    (block,) = write(alice, timed("2026-03-01 10:00", title="Standup"), origin=origin, source=Source.GOOGLE)
    return block


@pytest.mark.parametrize("verb", ["put", "delete"])
def test_mirrored_block_says_where_to_change_it(api: APIClient, mirrored: BusyBlock, verb: str) -> None:
    response = getattr(api, verb)(f"{BLOCKS}/{mirrored.unique_id}", {"title": "x"})
    assert response.status_code == 422
    (error,) = response.json()["errors"]
    assert error["code"] == "read_only"
    assert "google calendar" in error["detail"]
    assert BusyBlock.objects.get().title == "Standup"
    assert _attributes(api.get(f"{BLOCKS}/{mirrored.unique_id}"))["read_only"] is True


def test_row_of_a_meeting_is_changed_at_the_booking(api: APIClient, alice: CrmUser) -> None:
    (block,) = write(alice, timed("2026-03-01 10:00"), meeting_key=str(uuid.uuid4()))
    response = api.delete(f"{BLOCKS}/{block.unique_id}")
    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "read_only")


def test_meeting_and_its_mirrored_copy_are_listed_once(api: APIClient, alice: CrmUser) -> None:
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    write(alice, timed("2026-03-01 10:00", uid="a@cal", title="booking"), meeting_key=str(uuid.uuid4()))
    write(alice, timed("2026-03-01 10:00", uid="a@cal", title="copy"), origin=origin)
    write(alice, timed("2026-03-01 11:00", uid="b@cal", title="other"), origin=origin, external_event_id="b")
    assert _titles(api.get(BLOCKS)) == ["booking", "other"]


SPANS = [
    ("both bounds", "start_time=2026-03-02T00:00:00Z&end_time=2026-03-03T00:00:00Z", ["daily", "day", "inside"]),
    ("ends as the span starts: outside", "start_time=2026-03-02T11:00:00Z&end_time=2026-03-02T12:00:00Z", ["day"]),
    ("only a start", "start_time=2026-03-06T00:00:00Z", ["late"]),
    ("only an end", "end_time=2026-03-01T09:30:00Z", ["daily"]),
    ("an instant without length shows in its span", "start_time=2026-03-04T08:00:00Z&end_time=2026-03-04T08:00:01Z",
     ["instant"]),
    ("and not in the one that ends with it", "start_time=2026-03-04T07:00:00Z&end_time=2026-03-04T08:00:00Z", []),
    ("a series shows by its instances", "start_time=2026-03-03T09:00:00Z&end_time=2026-03-03T10:00:00Z", ["daily"]),
    ("and not between them", "start_time=2026-03-03T10:00:00Z&end_time=2026-03-04T08:00:00Z", []),
    ("a date is read in the zone asked for",
     "start_time=2026-03-01T20:00:00Z&end_time=2026-03-01T21:00:00Z&time_zone=Pacific/Auckland", ["day"]),
    ("and nowhere else", "start_time=2026-03-01T20:00:00Z&end_time=2026-03-01T21:00:00Z", []),
    ("bounds may be dates", "start_time=2026-03-02&end_time=2026-03-03", ["daily", "day", "inside"]),
    ("a plus that became a blank", "start_time=2026-03-02T11:00:00+01:00&end_time=2026-03-02T12:00:00+01:00",
     ["day", "inside"]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "query", "expected"), SPANS, ids=[row[0] for row in SPANS])
def test_list_of_a_span(api: APIClient, alice: CrmUser, sentence: str, query: str, expected: list[str]) -> None:
    write(
        alice,
        timed("2026-03-01 09:00", title="daily", uid="d", rule="FREQ=DAILY;COUNT=3"),
        days("2026-03-02", title="day"),
        timed("2026-03-02 10:00", title="inside"),
        timed("2026-03-04 08:00", 0, title="instant"),
        timed("2026-03-07 10:00", title="late"),
    )
    assert sorted(_titles(api.get(f"{BLOCKS}?{query}"))) == expected


def test_override_shows_where_it_was_moved_and_its_master_no_more(api: APIClient, alice: CrmUser) -> None:
    write(
        alice,
        timed("2026-03-01 09:00", title="master", uid="d", rule="FREQ=DAILY;COUNT=3"),
        timed("2026-03-20 09:00", title="moved", uid="d", recurrence_id="20260302T090000Z"),
    )
    assert _titles(api.get(f"{BLOCKS}?start_time=2026-03-20&end_time=2026-03-21")) == ["moved"]
    assert _titles(api.get(f"{BLOCKS}?start_time=2026-03-02&end_time=2026-03-03")) == []


ENDLESS = [
    ("daily", "FREQ=DAILY", "start_time=2026-03-06", True),
    ("every thousand years", "FREQ=YEARLY;INTERVAL=1000", "start_time=2026-03-06", True),
    ("from the beginning of time", "FREQ=DAILY", "end_time=2026-03-06", True),
    ("begins after the end", "FREQ=DAILY", "end_time=2026-02-01", False),
    (
        "30 February, in a year",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "start_time=2026-03-06&end_time=2027-03-06",
        False,
    ),
    # Nobody can know within reason that it never comes: rather shown than lost.
    ("30 February, ever", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "start_time=2026-03-06", True),
]


@pytest.mark.parametrize(("sentence", "rule", "query", "shows"), ENDLESS, ids=[row[0] for row in ENDLESS])
def test_endless_series_in_an_endless_span(
    api: APIClient, alice: CrmUser, sentence: str, rule: str, query: str, shows: bool
) -> None:
    write(alice, timed("2026-03-01 09:00", title="series", uid="d", rule=rule))
    assert _titles(api.get(f"{BLOCKS}?{query}")) == (["series"] if shows else [])


QUERIES = [
    ("sort=title", ["alpha", "Beta", "gamma"]),
    ("sort=-title", ["gamma", "Beta", "alpha"]),
    ("sort=-start_time", ["alpha", "gamma", "Beta"]),
    ("sort=starts_at", ["Beta", "gamma", "alpha"]),
    ("", ["Beta", "gamma", "alpha"]),
    ("search=BET", ["Beta"]),
    ("search=zzz", []),
    ("search=%25", []),
    ("status=active", ["Beta", "alpha"]),
    ("status=tentative", ["gamma"]),
    ("status=archived", []),
    ("status[]=active&status[]=pending", ["Beta", "gamma", "alpha"]),
    ("status=", ["Beta", "gamma", "alpha"]),
    ("source=manual", ["Beta", "gamma", "alpha"]),
    ("source=google", []),
    ("recurring=false&all_day=false", ["Beta", "gamma", "alpha"]),
    ("records=1&page=2", ["gamma"]),
    ("page=9", []),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES)
def test_list_by_query(api: APIClient, alice: CrmUser, query: str, expected: list[str]) -> None:
    write(
        alice,
        timed("2026-03-03 09:00", title="alpha"),
        timed("2026-03-01 09:00", title="Beta"),
        timed("2026-03-02 09:00", title="gamma", status="tentative"),
    )
    found = _titles(api.get(f"{BLOCKS}?{query}"))
    if "title" in query:
        # Databases order upper and lower case by their own collation.
        found, expected = [title.lower() for title in found if title != "Beta"], [t for t in expected if t != "Beta"]
    assert found == expected


BAD_QUERIES = [
    ("sort=uid", "sort"),
    ("sort=start_time,nothing", "sort"),
    ("search=" + "x" * 256, "search"),
    ("status=odd", "status"),
    ("recurring=perhaps", "recurring"),
    ("start_time=soon", "start_time"),
    ("end_time=99999-01-01", "end_time"),
    ("start_time=2026-03-02&end_time=2026-03-01", "end_time"),
    ("start_time=2026-03-02&end_time=2026-03-02", "end_time"),
    ("time_zone=Mars/Olympus", "time_zone"),
    ("page=0", "page"),
]


@pytest.mark.parametrize(("query", "parameter"), BAD_QUERIES)
def test_parameter_that_cannot_be_used_is_named(api: APIClient, alice: CrmUser, query: str, parameter: str) -> None:
    assert _refusal(api.get(f"{BLOCKS}?{query}")) == parameter


Queries = Callable[[int], Any]


@pytest.mark.parametrize("query", ["", "start_time=2026-03-01&end_time=2027-03-01", "search=x&sort=title"])
def test_list_costs_the_same_queries_for_3_rows_and_for_30(
    api: APIClient, alice: CrmUser, query: str, django_assert_max_num_queries: Queries
) -> None:
    costs = []
    for first in (0, 3):
        for number in range(first, first * 10 or 3):
            master = timed("2026-03-01 09:00", title="x", uid=f"u{number}", rule="FREQ=DAILY")
            moved = timed("2026-03-09 10:00", title="x", uid=f"u{number}", recurrence_id="20260309T090000Z")
            origin = Origin.objects.create(user=alice, source=Source.CALDAV, time_zone="Europe/Berlin")
            write(alice, master, moved, days("2026-03-02", uid=f"d{number}", title="x"), origin=origin)
        # Beside what the caller's rights cost: the count, the page, and the series of its overrides; of a span, also
        # the horizon, the zones of dates, and two for the series.
        with django_assert_max_num_queries(10) as queries:
            assert api.get(f"{BLOCKS}?records=100&{query}").status_code == 200
        costs.append(len(queries))
    assert costs[0] == costs[1]


ROUTES = [
    ("get", BLOCKS, 200),
    ("get", BLOCKS + "/{id}", 404),
    ("put", BLOCKS + "/{id}", 404),
    ("delete", BLOCKS + "/{id}", 404),
]


@pytest.mark.parametrize(("verb", "path", "status"), ROUTES)
def test_mallory_finds_nothing_of_alice(globex: Company, alice: CrmUser, verb: str, path: str, status: int) -> None:
    (block,) = write(alice, timed("2026-03-01 10:00", title="secret"))
    response = getattr(client_for(globex), verb)(path.format(id=block.unique_id), {"title": "mine"})
    assert response.status_code == status
    assert b"secret" not in response.content
    assert BusyBlock.objects.get().title == "secret"


def test_mallorys_post_makes_a_row_of_her_own_company(globex: Company, alice: CrmUser) -> None:
    assert client_for(globex).post(BLOCKS, DOCUMENTED).status_code == 201
    assert BusyBlock.objects.get().company == globex
    assert not BusyBlock.objects.of(alice).exists()


def test_bobs_token_does_not_reach_alices_path(acme: Company, alice: CrmUser) -> None:
    assert client_for(acme, "bob").get(BLOCKS).status_code == 403
    assert client_for(acme, "bob").post(BLOCKS, DOCUMENTED).status_code == 403


def test_reading_token_does_not_write(acme: Company) -> None:
    assert client_for(acme, "alice", [Scope.READ]).post(BLOCKS, DOCUMENTED).status_code == 403


@pytest.mark.parametrize("unknown", ["00000000-0000-4000-8000-000000000000", "1", "not-a-uuid", "%00"])
def test_unknown_id_is_not_found_as_documented(api: APIClient, alice: CrmUser, unknown: str) -> None:
    response = api.get(f"{BLOCKS}/{unknown}")
    if unknown == "%00":
        assert response.status_code in {400, 404}
        return
    assert response.status_code == 404
    assert response.json()["errors"][0]["title"] == "Busy Block Not Found"


def test_list_of_somebody_unknown_is_empty_for_an_administrator(acme: Company) -> None:
    response = client_for(acme).get("/users/nobody/busy_blocks?start_time=2026-01-01")
    assert response.json()["data"] == []
    assert not CrmUser.objects.exists()
