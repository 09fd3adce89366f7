"""What a mailbox holds: calendars, events, and a log of changes to each calendar.

    work = mailbox.add_calendar("work")
    mailbox.put("work", "lunch", "2026-03-20T12:00", minutes=30, showAs="tentative")
    mailbox.put_series("work", "standup", "2026-03-02T09:00", count=10, zone="W. Europe Standard Time")
    mailbox.delete_occurrence("work", "standup", 3)

Events go by names of the test's choice; `id_of` tells the id that Graph gives them. `facts` are properties of Graph's
event resource, as Graph writes them.
"""

import hashlib
import itertools
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations import zones

Item = dict[str, Any]
Window = tuple[datetime, datetime]
# What an occurrence tells in a delta (microsoft-graph-docs#7632).
_SPARSE = ("@odata.type", "@odata.etag", "id", "type", "seriesMasterId", "start", "end")
_versions = itertools.count(1)


def opaque(*parts: str) -> str:
    """An id as long and as unreadable as Graph's, always the same for the same parts."""
    digest = hashlib.sha512("\n".join(parts).encode()).digest()
    return "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A" + urlsafe_b64encode(digest).decode()


@dataclass
class Instance:
    """One event in time: a single one, or an instance of a series. `facts`: what it says itself."""

    id: str
    start: datetime
    end: datetime
    facts: Item = field(default_factory=dict)
    changed: bool = False

    def inside(self, window: Window) -> bool:
        start, end = window
        return self.start < end and (self.end > start or self.start >= start)


@dataclass
class Event:
    """A single event, or a series with what is left of its occurrences, by number from 1."""

    id: str
    uid: str
    zone: str
    all_day: bool
    facts: Item
    single: Instance | None = None
    occurrences: dict[int, Instance] = field(default_factory=dict)
    first: Instance | None = None
    every: timedelta = timedelta()
    version: int = 0


@dataclass
class Calendar:
    name: str
    id: str
    events: dict[str, Event] = field(default_factory=dict)
    # Ids of events (masters for series) in the order of their changes.
    log: list[str] = field(default_factory=list)
    default: bool = False
    forbidden: bool = False


class Mailbox:
    """One user's. sparse: whether occurrences leave out what their series says."""

    def __init__(self, email: str) -> None:
        self.email = email
        self.calendars: dict[str, Calendar] = {}
        self.sparse = True
        # How the loss of an occurrence is told: not at all (""), "removed" or "cancelled".
        self.lost_occurrences = ""

    # Editing ---------------------------------------------------------------------------------------------------------

    def add_calendar(self, name: str) -> str:
        """The new calendar's id; the first one is the default calendar."""
        calendar = Calendar(name, opaque(self.email, name), default=not self.calendars)
        self.calendars[calendar.id] = calendar
        return calendar.id

    def drop_calendar(self, name: str) -> None:
        del self.calendars[self.calendar(name).id]

    def put(
        self, calendar: str, name: str, start: str, /, *, minutes: int = 60, zone: str = "UTC", **facts: Any
    ) -> None:
        """Create the single event or replace it. `start`: the wall time in `zone`, "2026-03-20T09:00"; a date makes it
        last whole days, `minutes` of them being 1,440 a day."""
        kept = self.calendar(calendar)
        begin, end, all_day = _span(start, minutes, zone)
        event = Event(self.id_of(calendar, name), f"uid-{name}", zone, all_day, facts)
        event.single = Instance(event.id, begin, end, facts)
        self._store(kept, event)

    def put_series(
        self,
        calendar: str,
        name: str,
        start: str,
        /,
        *,
        count: int,
        every: timedelta = timedelta(days=7),  # whole days
        minutes: int = 60,
        zone: str = "UTC",
        **facts: Any,
    ) -> None:
        """Create the series or replace all of it. It recurs on the clock of `zone`."""
        kept = self.calendar(calendar)
        first = datetime.fromisoformat(start)
        event = Event(self.id_of(calendar, name), f"uid-{name}", zone, len(start) == 10, facts)
        for number in range(1, count + 1):
            wall = first + every * (number - 1)
            written = wall.date().isoformat() if event.all_day else wall.isoformat()
            begin, end, _ = _span(written, minutes, zone)
            # As Graph does, the id follows from the date: another day, another id.
            event.occurrences[number] = Instance(opaque(event.id, written), begin, end)
        event.first, event.every = event.occurrences[1], every
        self._store(kept, event)

    def change(self, calendar: str, name: str, **facts: Any) -> None:
        """Change properties of an event, or of a series and all its occurrences."""
        kept = self.calendar(calendar)
        event = self._event(calendar, name)
        event.facts.update(facts)
        self._store(kept, event)

    def change_occurrence(self, calendar: str, name: str, number: int, start: str = "", **facts: Any) -> None:
        """Make an occurrence an exception: moved to `start` (in the series' zone), or with facts of its own."""
        event = self._event(calendar, name)
        instance = event.occurrences[number]
        if start:
            minutes = int((instance.end - instance.start).total_seconds() // 60)
            instance.start, instance.end, _ = _span(start, minutes, event.zone)
        instance.facts = {**instance.facts, **facts}
        instance.changed = True
        self._store(self.calendar(calendar), event)

    def delete_occurrence(self, calendar: str, name: str, number: int) -> None:
        event = self._event(calendar, name)
        gone = event.occurrences[number]
        kept = self.calendar(calendar)
        if self.lost_occurrences == "cancelled":
            gone.facts, gone.changed = {**gone.facts, "isCancelled": True}, True
        else:
            del event.occurrences[number]
            if self.lost_occurrences == "removed":
                kept.log.append(gone.id)
        self._store(kept, event)

    def delete(self, calendar: str, name: str) -> None:
        kept = self.calendar(calendar)
        del kept.events[self.id_of(calendar, name)]
        kept.log.append(self.id_of(calendar, name))

    def _store(self, calendar: Calendar, event: Event) -> None:
        event.version = next(_versions)
        calendar.events[event.id] = event
        calendar.log.append(event.id)

    # Reading ---------------------------------------------------------------------------------------------------------

    def calendar(self, name: str) -> Calendar:
        return next(calendar for calendar in self.calendars.values() if calendar.name == name)

    def id_of(self, calendar: str, name: str, occurrence: int = 0) -> str:
        """Graph's id of an event, of a series, or of one of its present occurrences."""
        if occurrence:
            return self._event(calendar, name).occurrences[occurrence].id
        return opaque(self.email, calendar, name)

    def truth(self, calendar: str, window: Window) -> dict[str, tuple[datetime, datetime, str]]:
        """What a calendar holds in a window: id → start, end (UTC), title; cancelled ones too."""
        found = {}
        for event in self.calendar(calendar).events.values():
            for instance in instances(event):
                if instance.inside(window):
                    title = instance.facts.get("subject", event.facts.get("subject", "")) or ""
                    found[instance.id] = (instance.start, instance.end, title)
        return found

    def _event(self, calendar: str, name: str) -> Event:
        return self.calendar(calendar).events[self.id_of(calendar, name)]

    # As Graph writes it ----------------------------------------------------------------------------------------------

    def shown(self, calendar: Calendar, event_id: str, window: Window) -> Iterator[Item]:
        """What a delta tells of one changed event: all that the window holds of it, or that the window does not."""
        event = calendar.events.get(event_id)
        inside = [instance for instance in instances(event) if instance.inside(window)] if event else []
        if event is None or not inside:
            # event-delta: "Events that are outside the date range and that have been added, deleted, or updated" come
            # under @removed with the reason deleted, too.
            yield {"id": event_id, "@removed": {"reason": "deleted"}}
            return
        if event.first is not None:
            yield self.written(event, event.first, "seriesMaster")
        for instance in inside:
            item = self.written(event, instance)
            if self.sparse and item["type"] == "occurrence":
                item = {name: item[name] for name in _SPARSE}
            yield item

    def written(self, event: Event, instance: Instance, kind: str = "") -> Item:
        """Graph's event resource, whole, with times in UTC."""
        if not kind:
            kind = "singleInstance" if event.first is None else "exception" if instance.changed else "occurrence"
        is_instance = kind in {"occurrence", "exception"}
        change_key = f"ck{event.version}"
        item: Item = {
            "@odata.type": "#microsoft.graph.event",
            "@odata.etag": f'W/"{change_key}"',
            "id": instance.id if is_instance else event.id,
            "createdDateTime": "2026-01-05T08:00:00.0000000Z",
            "lastModifiedDateTime": "2026-01-05T08:00:00.0000000Z",
            "changeKey": change_key,
            "categories": [],
            "originalStartTimeZone": event.zone,
            "originalEndTimeZone": event.zone,
            "iCalUId": f"{event.uid}-{instance.id[-8:]}" if is_instance else event.uid,
            "reminderMinutesBeforeStart": 15,
            "isReminderOn": True,
            "hasAttachments": False,
            "subject": "",
            "bodyPreview": "",
            "importance": "normal",
            "sensitivity": "normal",
            "isAllDay": event.all_day,
            "isCancelled": False,
            "isOrganizer": True,
            "responseRequested": True,
            "seriesMasterId": event.id if is_instance else None,
            "showAs": "busy",
            "type": kind,
            "webLink": "https://outlook.office365.com/owa/?itemid=1",
            "onlineMeetingUrl": None,
            "isOnlineMeeting": False,
            "allowNewTimeProposals": True,
            "isDraft": False,
            "hideAttendees": False,
            "recurrence": _recurrence(event) if kind == "seriesMaster" else None,
            "responseStatus": {"response": "organizer", "time": "0001-01-01T00:00:00Z"},
            "body": {"contentType": "html", "content": "<html></html>"},
            "start": _written(instance.start),
            "end": _written(instance.end),
            "location": {"displayName": "", "locationType": "default", "uniqueIdType": "unknown"},
            "attendees": [],
            "organizer": {"emailAddress": {"name": self.email, "address": self.email}},
        }
        return {**item, **event.facts, **(instance.facts if is_instance else {})}


def instances(event: Event) -> list[Instance]:
    """The single event itself, or what is left of the series."""
    return [event.single] if event.single is not None else list(event.occurrences.values())


def _span(start: str, minutes: int, zone: str) -> tuple[datetime, datetime, bool]:
    wall = datetime.fromisoformat(start)
    if len(start) == 10:
        # An all-day event is midnight to midnight, and is told so in every zone.
        days = max(minutes // 1440, 1)
        return wall.replace(tzinfo=UTC), wall.replace(tzinfo=UTC) + timedelta(days=days), True
    begin = zones.find(zone, ()).to_utc(wall)
    return begin, begin + timedelta(minutes=minutes), False


def _written(moment: datetime) -> Item:
    return {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%S}.0000000", "timeZone": "UTC"}


def _recurrence(event: Event) -> Item:
    assert event.first is not None
    return {
        "pattern": {
            "type": "daily",
            "interval": event.every.days,
            "month": 0,
            "dayOfMonth": 0,
            "firstDayOfWeek": "sunday",
        },
        "range": {
            "type": "numbered",
            "startDate": f"{event.first.start:%Y-%m-%d}",
            "endDate": "0001-01-01",
            "recurrenceTimeZone": event.zone,
            "numberOfOccurrences": max(len(event.occurrences), 1),
        },
    }
