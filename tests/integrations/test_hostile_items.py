"""Whatever a member of a vendor's event holds: at most that one event is withheld, and nothing else comes of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from calendars.providers import Resource, Withheld
from integrations.google import reading
from integrations.ical import NotUnderstood
from integrations.outlook import events
from integrations.outlook.rounds import _understood

JSON = dict[str, Any]
EARLIEST, LATEST = "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"

GOOGLE: JSON = {
    "id": "a_20260302T080000Z",
    "status": "confirmed",
    "etag": '"1"',
    "iCalUID": "u",
    "sequence": 1,
    "recurringEventId": "a",
    "originalStartTime": {"dateTime": "2026-03-02T08:00:00Z"},
    "start": {"dateTime": "2026-03-02T09:00:00+01:00", "timeZone": "Europe/Berlin"},
    "end": {"dateTime": "2026-03-02T10:00:00+01:00"},
    "recurrence": ["RRULE:FREQ=DAILY"],
    "summary": "s",
    "location": "l",
    "transparency": "opaque",
    "visibility": "default",
    "eventType": "default",
    "organizer": {"self": True},
    "attendees": [{"self": True, "responseStatus": "accepted"}],
}
MASTER = {name: value for name, value in GOOGLE.items() if name not in {"recurringEventId", "originalStartTime"}}
OUTLOOK: JSON = {
    "id": "x",
    "@odata.etag": "e",
    "subject": "s",
    "bodyPreview": "b",
    "location": {"displayName": "l"},
    "showAs": "busy",
    "sensitivity": "normal",
    "isCancelled": False,
    "isAllDay": False,
    "responseStatus": {"response": "none"},
    "originalStartTimeZone": "UTC",
    "type": "singleInstance",
    "seriesMasterId": None,
    "iCalUId": "i",
    "start": {"dateTime": "2026-03-02T08:00:00.0000000", "timeZone": "UTC"},
    "end": {"dateTime": "2026-03-02T09:00:00.0000000", "timeZone": "UTC"},
}
ALL_DAY = {
    **OUTLOOK,
    "isAllDay": True,
    "start": {"dateTime": "2026-03-02T00:00:00.0000000", "timeZone": "UTC"},
    "end": {"dateTime": "2026-03-03T00:00:00.0000000", "timeZone": "UTC"},
}
ODD: list[Any] = [None, 5, -1, 1.5, True, [], {}, "", "x" * 5000, "\0\ud800", [None], [5], [{}], ["x"], [["x"]]]
ODD += [{"date": 5}, {"date": "2026-02-30"}, {"date": "99999-01-01"}, {"dateTime": 5}, {"displayName": 5}]
ODD += [{"dateTime": EARLIEST, "timeZone": "UTC"}, {"dateTime": LATEST, "timeZone": "Asia/Tokyo"}, {"response": []}]
ODD += [{"dateTime": "2026-03-01T10:00:00", "timeZone": zone} for zone in (5, ["x"], "../../etc/passwd", "Nowhere/At")]
ODD += [["RRULE:"], ["RRULE"], ["RRULE:FREQ=DAILY;UNTIL=99999999"], ["EXDATE:5"], ["RDATE;TZID=Nope:20260101T000000"]]
ODD += [[{"self": True}], [{"self": True, "responseStatus": 5}], "9" * 20]


def bent(item: JSON) -> Iterator[JSON]:
    """The item with each member odd in turn, alone and beside an equally odd start or end; and without it."""
    for name in item:
        yield {key: value for key, value in item.items() if key != name}
        for odd in ODD:
            yield {**item, name: odd}
            yield {**item, name: odd, "start": odd}
            yield {**item, name: odd, "end": odd}


@pytest.mark.parametrize("item", [GOOGLE, MASTER], ids=["an instance", "a series"])
def test_odd_event_of_google_is_an_entry_or_not_understood(item: JSON) -> None:
    understood = refused = 0
    # Without a usable id the page itself is no list of events.
    for odd in filter(lambda odd: isinstance(odd.get("id"), str), bent(item)):
        try:
            reading.entry_of(odd, reading.identity_of(odd), time_zone="Europe/Berlin")
            understood += 1
        except NotUnderstood:
            refused += 1
    assert min(understood, refused) > 100


@pytest.mark.parametrize("item", [OUTLOOK, ALL_DAY], ids=["timed", "all day"])
def test_odd_event_of_outlook_is_an_entry_or_withheld(item: JSON) -> None:
    found = [_understood(events.id_of(odd) or "x", odd) for odd in bent(item)]
    assert sum(isinstance(said, Resource) for said in found) > 100
    assert sum(isinstance(said, Withheld) for said in found) > 100
