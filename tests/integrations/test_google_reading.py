"""What one event of Google's says, in the ledger's words."""

from datetime import UTC, datetime
from typing import Any

import pytest

from busyblocks.entries import Entry
from integrations.google.reading import Identity, entry_of, identity_of
from integrations.ical import NotUnderstood
from tests.simulators.google import dates, timed
from tests.simulators.google.events import JSON


def entry(event: JSON, *, time_zone: str = "Europe/Berlin", **members: Any) -> Entry:
    item = {"id": "event1", "status": "confirmed", "etag": '"1"', **event, **members}
    return entry_of(item, identity_of(item), time_zone=time_zone)


LUNCH = timed("2026-03-20T12:00", zone="Europe/Berlin", summary="Lunch")
SERIES = {**LUNCH, "recurrence": ["RRULE:FREQ=WEEKLY"]}


def attendee(answer: str, **members: Any) -> JSON:
    return {"attendees": [{"email": "alias@acme.example", "self": True, "responseStatus": answer, **members}]}


@pytest.mark.parametrize(
    ("members", "fbtype", "because"),
    [
        ({}, "busy", "an ordinary event is busy"),
        ({"transparency": "transparent"}, "free", "what does not block time is free"),
        ({"transparency": "opaque"}, "busy", "opaque is the default"),
        ({"status": "tentative"}, "busy-tentative", "a tentative event is tentative"),
        (attendee("declined"), "free", "what the owner declined is free"),
        (attendee("tentative"), "busy-tentative", "what the owner accepted tentatively is tentative"),
        (attendee("needsAction"), "busy-tentative", "what the owner did not answer yet is tentative"),
        (attendee("accepted"), "busy", "what the owner accepted is busy"),
        (attendee("somethingNew"), "busy", "an unknown answer counts as busy"),
        ({**attendee("needsAction"), "organizer": {"self": True}}, "busy", "the organizer needs not answer"),
        (attendee("declined", self=False), "busy", "another's refusal frees nobody"),
        ({"attendees": [{"self": True}]}, "busy", "no answer at all counts as busy"),
        ({"attendees": "many"}, "busy", "what cannot be read counts as busy"),
        ({"eventType": "default"}, "busy", "a regular event is busy"),
        ({"eventType": "workingLocation"}, "free", "where one works takes no time"),
        ({"eventType": "outOfOffice"}, "busy-unavailable", "out of office is unavailable"),
        ({"eventType": "focusTime"}, "busy", "focus time is busy"),
        ({"eventType": "birthday"}, "busy", "only transparency frees a birthday"),
        ({"eventType": "birthday", "transparency": "transparent"}, "free", "and Google sets it"),
        ({"eventType": "fromGmail"}, "busy", "a booking that was found in a mail is busy"),
        ({"eventType": "somethingNew"}, "busy", "an unknown kind counts as busy"),
        ({"eventType": "outOfOffice", **attendee("declined")}, "free", "a refusal weighs more than the kind"),
    ],
)
def test_free_busy(members: JSON, fbtype: str, because: str) -> None:
    assert entry(LUNCH, **members).fbtype == fbtype, because


@pytest.mark.parametrize(
    ("visibility", "classification"),
    [
        (None, "public"),
        ("default", "public"),
        ("public", "public"),
        ("private", "private"),
        ("confidential", "confidential"),
        ("somethingNew", "private"),
    ],
)
def test_visibility(visibility: str | None, classification: str) -> None:
    members = {} if visibility is None else {"visibility": visibility}
    assert entry(LUNCH, **members).classification.lower() == classification


# Times --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "at", "zone", "wall", "because"),
    [
        (
            {"dateTime": "2026-03-20T09:00:00+01:00", "timeZone": "Europe/Berlin"},
            "2026-03-20T08:00",
            "Europe/Berlin",
            "20260320T090000",
            "its own zone",
        ),
        (
            {"dateTime": "2026-03-20T09:00:00+01:00"},
            "2026-03-20T08:00",
            "Europe/Berlin",
            "20260320T090000",
            "calendar's",
        ),
        (
            {"dateTime": "2026-03-20T08:00:00Z", "timeZone": "America/New_York"},
            "2026-03-20T08:00",
            "America/New_York",
            "20260320T040000",
            "the offset need not be the zone's",
        ),
        ({"dateTime": "2026-03-20T08:00:00Z", "timeZone": "UTC"}, "2026-03-20T08:00", "UTC", "", "UTC has no clocks"),
        (
            {"dateTime": "2026-03-20T09:00:00", "timeZone": "Europe/Berlin"},
            "2026-03-20T08:00",
            "Europe/Berlin",
            "20260320T090000",
            "without an offset the zone says",
        ),
        (
            {"dateTime": "2026-03-20T08:00:00Z", "timeZone": "Mars/Olympus"},
            "2026-03-20T08:00",
            "UTC",
            "",
            "an instant needs no zone",
        ),
        (
            {"dateTime": "2026-10-25T02:30:00+01:00", "timeZone": "Europe/Berlin"},
            "2026-10-25T01:30",
            "UTC",
            "",
            "the second of two half past twos",
        ),
        (
            {"dateTime": "2026-10-25T02:30:00+02:00", "timeZone": "Europe/Berlin"},
            "2026-10-25T00:30",
            "Europe/Berlin",
            "20261025T023000",
            "the first of two half past twos",
        ),
        (
            {"dateTime": "2026-03-20T09:00:00.500+01:00", "timeZone": "Europe/Berlin"},
            "2026-03-20T08:00",
            "Europe/Berlin",
            "20260320T090000",
            "fractions are dropped",
        ),
    ],
)
def test_start_of_a_single_event(start: JSON, at: str, zone: str, wall: str, because: str) -> None:
    found = entry({"start": start, "end": start})
    assert found.start_time == datetime.fromisoformat(at).replace(tzinfo=UTC), because
    assert (found.time_zone, found.local_start) == (zone, wall), because


def test_end_may_be_in_another_zone() -> None:
    end = {"dateTime": "2026-03-20T14:00:00-04:00", "timeZone": "America/New_York"}
    found = entry({**LUNCH, "end": end})
    assert found.end_time == datetime(2026, 3, 20, 18, tzinfo=UTC)


def test_all_day_event_is_dates_whatever_the_zone() -> None:
    found = entry(dates("2026-03-20", days=2), time_zone="Asia/Tokyo")
    assert (found.all_day, found.start_time, found.end_time) == (
        True,
        datetime(2026, 3, 20, tzinfo=UTC),
        datetime(2026, 3, 22, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("event", "because"),
    [
        ({}, "no start"),
        ({"start": {}, "end": {}}, "a start without a time"),
        ({"start": {"dateTime": "tomorrow"}, "end": {"dateTime": "tomorrow"}}, "a time that is none"),
        ({"start": {"dateTime": 5}, "end": {"dateTime": 5}}, "a time that is a number"),
        ({"start": {"date": "2026-02-30"}, "end": {"date": "2026-03-01"}}, "a day that is none"),
        ({"start": {"date": "2026-03-01"}, "end": LUNCH["end"]}, "a date to a time"),
        ({"start": LUNCH["end"], "end": LUNCH["start"]}, "an end before the start"),
        ({"start": {"dateTime": "0001-01-01T00:00:00+14:00"}}, "a year before all calendars"),
        ({"start": {"dateTime": "9999-12-31T23:59:59-12:00"}}, "a year after all calendars"),
        ({**SERIES, "recurrence": ["RRULE:FREQ=SECONDLY"]}, "a rule that is not expanded"),
        ({**SERIES, "recurrence": ["RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"]}, "two rules"),
        ({**SERIES, "recurrence": ["RRULE:FREQ=DAILY", "EXRULE:FREQ=WEEKLY"]}, "a rule of exceptions"),
        ({**SERIES, "recurrence": ["DTSTART:20260320T090000Z"]}, "a line that does not belong there"),
        ({**SERIES, "recurrence": ["every day"]}, "a line that is none"),
        ({**SERIES, "recurrence": [5]}, "a line that is a number"),
        ({**SERIES, "recurrence": "RRULE:FREQ=DAILY"}, "lines that are none"),
        (
            {**SERIES, "start": {"dateTime": "2026-03-20T08:00:00Z", "timeZone": "Mars/Olympus"}},
            "a series on unknown clocks",
        ),
        ({**LUNCH, "recurringEventId": "series"}, "an instance that does not say which"),
    ],
)
def test_event_is_not_understood(event: JSON, because: str) -> None:
    with pytest.raises(NotUnderstood) as caught:
        entry(event)
    assert caught.value.reason, because


# Series -------------------------------------------------------------------------------------------------------------


def test_series_recurs_on_the_clocks_of_its_zone() -> None:
    lines = ["RRULE:FREQ=WEEKLY;BYDAY=FR", "EXDATE;TZID=Europe/Berlin:20260403T120000", "RDATE:20260321T110000Z"]
    found = entry({**LUNCH, "recurrence": lines})
    assert (found.recurrence_rule, found.exdates, found.rdates) == (
        "FREQ=WEEKLY;BYDAY=FR",
        ("20260403T100000Z",),
        ("20260321T110000Z",),
    )
    assert (found.time_zone, found.local_start) == ("Europe/Berlin", "20260320T120000")


def test_dates_of_an_all_day_series_are_dates() -> None:
    lines = ["RRULE:FREQ=DAILY;UNTIL=20260401", "EXDATE;VALUE=DATE:20260321,20260322"]
    assert entry({**dates("2026-03-20"), "recurrence": lines}).exdates == ("20260321", "20260322")


def test_series_that_starts_in_the_repeated_hour_keeps_its_zone() -> None:
    start = {"dateTime": "2026-10-25T02:30:00+01:00", "timeZone": "Europe/Berlin"}
    found = entry({"start": start, "end": start, "recurrence": ["RRULE:FREQ=DAILY"]})
    assert (found.time_zone, found.local_start) == ("Europe/Berlin", "20261025T023000")


@pytest.mark.parametrize(
    ("item", "identity", "because"),
    [
        ({"id": "event1"}, Identity("event1"), "a single event or a master"),
        ({"id": "event1", "status": "cancelled"}, Identity("event1", cancelled=True), "a deleted one"),
        (
            {"id": "x", "recurringEventId": "event1", "originalStartTime": {"dateTime": "2026-03-20T09:00:00+01:00"}},
            Identity("x", "event1", "20260320T080000Z"),
            "an instance is known by series and original start, not by its id",
        ),
        (
            {"id": "x", "recurringEventId": "event1", "originalStartTime": {"date": "2026-03-20"}},
            Identity("x", "event1", "20260320"),
            "an all-day instance",
        ),
        (
            {
                "id": "x",
                "recurringEventId": "event1",
                "originalStartTime": {"dateTime": "2026-03-20T09:00:00", "timeZone": "Europe/Berlin"},
            },
            Identity("x", "event1", "20260320T080000Z"),
            "an original start without an offset",
        ),
        (
            {"id": "event1_20260320T080000Z", "recurringEventId": "event1"},
            Identity("event1_20260320T080000Z", "event1", "20260320T080000Z"),
            "the id tells the start where nothing else does",
        ),
        (
            {"id": "event1_20260320T080000Z", "status": "cancelled"},
            Identity("event1_20260320T080000Z", "event1", "20260320T080000Z", cancelled=True),
            "of a deleted instance the id alone is sure",
        ),
        (
            {"id": "event1_20260320", "status": "cancelled"},
            Identity("event1_20260320", "event1", "20260320", cancelled=True),
            "also of an all-day one",
        ),
        (
            {"id": "event1_R20260320T080000_20260327T080000Z", "status": "cancelled"},
            Identity("event1_R20260320T080000_20260327T080000Z", "event1_R20260320T080000", "20260327T080000Z", True),
            "an instance of a split series",
        ),
        (
            {"id": "event1_R20260320T080000", "status": "cancelled"},
            Identity("event1_R20260320T080000", cancelled=True),
            "a split series",
        ),
        (
            {"id": "event1_20260320T080000Z", "status": "confirmed"},
            Identity("event1_20260320T080000Z"),
            "a living event is what it says it is",
        ),
        (
            {"id": "x", "originalStartTime": {"date": "2026-03-20"}},
            Identity("x"),
            "an original start without a series means nothing",
        ),
    ],
)
def test_identity(item: JSON, identity: Identity, because: str) -> None:
    assert identity_of(item) == identity, because


def test_instance_is_kept_under_its_series_with_its_own_values() -> None:
    found = entry(
        timed("2026-03-21T15:00", summary="Late lunch"),
        id="event1_20260320T110000Z",
        recurringEventId="event1",
        originalStartTime={"dateTime": "2026-03-20T12:00:00+01:00"},
        etag='"7"',
    )
    assert (found.external_event_id, found.recurrence_id, found.title, found.etag) == (
        "event1",
        "20260320T110000Z",
        "Late lunch",
        '"7"',
    )
    assert found.start_time == datetime(2026, 3, 21, 15, tzinfo=UTC)


# Texts --------------------------------------------------------------------------------------------------------------


def test_texts_are_taken_as_they_are() -> None:
    found = entry(LUNCH, summary=r"a\nb\, c; d:e", description="two\nlines", location="Café “Zoë”")
    assert (found.title, found.description, found.location) == (r"a\nb\, c; d:e", "two\nlines", "Café “Zoë”")


def test_what_a_database_refuses_is_dropped_from_texts() -> None:
    assert entry(LUNCH, summary="a\x00b\ud800c").title == "abc"


def test_long_title_is_cut() -> None:
    assert len(entry(LUNCH, summary="x" * 5000).title) == 2000


def test_texts_that_are_none_are_empty() -> None:
    found = entry({key: value for key, value in LUNCH.items() if key != "summary"}, description=None, location=5)
    assert (found.title, found.description, found.location) == ("", "", "")


def test_uid_and_sequence_are_kept() -> None:
    found = entry(LUNCH, iCalUID="event1@google.com", sequence=3)
    assert (found.uid, found.sequence) == ("event1@google.com", 3)
    assert entry(LUNCH, sequence="many").sequence == 0
