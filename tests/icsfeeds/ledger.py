"""Rows of the ledger without a database, what the ledger makes of them, and what another reader makes of the feed."""

import uuid
import zoneinfo
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import icalendar
import recurring_ical_events

from busyblocks import recurrence
from busyblocks.models import EventStatus
from busyblocks.timespans import Span
from icsfeeds.families import families
from icsfeeds.feed import Head, render
from icsfeeds.rows import FeedRow

# The reader takes the rules of zones that it knows from the machine, and the ledger takes them from the tzdata package.
zoneinfo.reset_tzpath(to=())
zoneinfo.ZoneInfo.clear_cache()

YEAR = 2026
HEAD = Head(name="Calendar", prodid="-//23blocks//CRM//EN", refresh=timedelta(minutes=5), year=YEAR)
_STAMP = datetime(2026, 1, 10, 10, 30, tzinfo=UTC)
_numbers = count(1)

Seen = tuple[datetime | date, datetime | date, str]


def row(start: str = "2026-03-15T14:00:00", end: str | None = None, **values: Any) -> FeedRow:
    """A row; `start` and `end` (default: an hour, or a day, later) are UTC, "2026-03-15T14:00:00"."""
    begins = datetime.fromisoformat(start).replace(tzinfo=UTC)
    length = timedelta(days=1) if values.get("all_day") else timedelta(hours=1)
    ends = datetime.fromisoformat(end).replace(tzinfo=UTC) if end else begins + length
    known: dict[str, Any] = {
        "unique_id": uuid.UUID(int=next(_numbers)),
        "origin_id": None,
        "meeting_key": "",
        "external_event_id": "",
        "uid": "",
        "recurrence_id": "",
        "this_and_future": False,
        "sequence": 0,
        "title": "Quarterly Review",
        "description": "",
        "location": "",
        "start_time": begins,
        "end_time": ends,
        "all_day": False,
        "time_zone": "UTC",
        "local_start": "",
        "duration": "",
        "recurrence_rule": "",
        "rdates": [],
        "exdates": [],
        "transparency": "opaque",
        "status": "confirmed",
        "fbtype": "busy",
        "classification": "public",
        "created_at": _STAMP,
        "updated_at": _STAMP,
    }
    return FeedRow(**{**known, **values})


def feed_of(*rows: FeedRow, year: int = YEAR) -> bytes:
    head = Head(name=HEAD.name, prodid=HEAD.prodid, refresh=HEAD.refresh, year=year)
    return b"".join(render(head, rows))


def unfolded(feed: bytes) -> str:
    return feed.replace(b"\r\n ", b"").decode()


def lines_of(feed: bytes, name: str) -> list[str]:
    """The content lines of the feed's VEVENTs whose name (before ; or :) is `name`."""
    events = unfolded(feed).partition("BEGIN:VEVENT")[2]
    return [line for line in events.split("\r\n") if line.replace(";", ":").partition(":")[0] == name]


def events_of(feed: bytes) -> list[Any]:
    """The VEVENTs as `icalendar` reads them; nothing in the feed may be beyond it."""
    calendar = icalendar.Calendar.from_ical(feed)
    events = calendar.walk("VEVENT")
    assert not [error for event in events for error in event.errors]
    return list(events)


def read_back(feed: bytes, start: datetime, end: datetime) -> list[Seen]:
    """The instances that python-recurring-ical-events finds in [start, end): start and end (UTC, or dates), title."""
    calendar = icalendar.Calendar.from_ical(feed)
    found = recurring_ical_events.of(calendar).between(start, end)
    return _in_order((_plain(event.start), _plain(event.end), str(event["SUMMARY"])) for event in found)


def ledgers(rows: Iterable[FeedRow], start: datetime, end: datetime) -> list[Seen]:
    """The instances that the ledger itself finds, in the same form."""
    found = []
    for family in families(rows):
        entries = {row.recurrence_id: row for row in (family.master, *family.overrides) if row}
        by_entry = [(one.entry, one) for one in entries.values()]
        for instance in recurrence.expand([entry for entry, _ in by_entry], Span(start, end)):
            title = next(one.title for entry, one in by_entry if entry is instance.entry)
            if instance.entry.status == EventStatus.CANCELLED and instance.entry.recurrence_id:
                continue
            begins, ends = instance.start, instance.end
            found.append((begins.date(), ends.date(), title) if instance.all_day else (begins, ends, title))
    return _in_order(found)


def _in_order(seen: Iterable[Seen]) -> list[Seen]:
    return sorted(seen, key=lambda one: (one[0].isoformat(), one[1].isoformat(), one[2]))


def _plain(moment: datetime | date) -> datetime | date:
    return moment.astimezone(UTC) if isinstance(moment, datetime) else moment
