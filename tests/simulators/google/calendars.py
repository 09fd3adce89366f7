"""The calendars of the simulated Google: events with a change log, listed by pages and by sync tokens."""

import itertools
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulators.google.events import JSON, instance_id, original_of, overlaps, stamp

LARGEST_PAGE = 2500
# "There are several query parameters that cannot be specified together with nextSyncToken".
_NOT_WITH_SYNC_TOKEN = {
    "iCalUID",
    "orderBy",
    "privateExtendedProperty",
    "q",
    "sharedExtendedProperty",
    "timeMin",
    "timeMax",
    "updatedMin",
}


class Refused(Exception):
    """Answered as an error of the API."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


@dataclass(slots=True)
class Calendar:
    """One calendar. events: by id, tombstones included; log: ids in the order of their changes, with what they were."""

    id: str
    owner: str
    name: str
    time_zone: str
    roles: dict[str, str]
    facts: JSON
    events: dict[str, JSON] = field(default_factory=dict)
    log: list[tuple[str, JSON | None]] = field(default_factory=list)


@dataclass(slots=True)
class _Listing:
    """One question, answered in pages. shown: ids, and versions to be shown instead of the current ones."""

    calendar: Calendar
    parameters: dict[str, str]
    window: tuple[datetime | None, datetime | None]
    shown: list[str | JSON]
    position: int
    changes_only: bool
    page: int = 0


class Calendars:
    """All calendars of all accounts.

    page_sizes: how many events the first pages of each listing hold, 0 included; later ones hold what was asked for.
    order: in which order a listing shows its events, "an unspecified, stable order". epoch: when its clock began.
    """

    def __init__(self) -> None:
        self.calendars: dict[str, Calendar] = {}
        self.page_sizes: list[int] = []
        self.order: Callable[[JSON], Any] = lambda event: zlib.crc32(event["id"].encode())
        self.changed: Callable[[Calendar], object] = lambda calendar: None
        self._page_tokens: dict[str, tuple[_Listing, int]] = {}
        self._sync_tokens: dict[str, tuple[str, int, dict[str, str], tuple[datetime | None, datetime | None]]] = {}
        self._stale: dict[str, set[str]] = {}
        self._numbers = itertools.count(1)

    # By hand --------------------------------------------------------------------------------------------------------

    def add_calendar(
        self, id_: str, *, owner: str, name: str = "", time_zone: str = "UTC", role: str = "owner", **facts: Any
    ) -> None:
        """A calendar in `owner`'s list; `facts` are further members of its entry there (primary, hidden, …)."""
        self.calendars[id_] = Calendar(id_, owner, name, time_zone, {owner: role}, facts)

    def drop_calendar(self, id_: str) -> None:
        """It vanishes from the list, and asking for it is answered 404."""
        del self.calendars[id_]

    def put(self, calendar: str, event_id: str, event: JSON, *, quietly: bool = False) -> None:
        """Create the event or replace what it says; a series keeps its changed instances.

        One that comes back has again what was taken out of it, and tells so.
        """
        kept = self.calendars[calendar]
        now = datetime.now(UTC)
        before = kept.events.get(event_id)
        alive = before is not None and before["status"] != "cancelled"
        made = {
            "kind": "calendar#event",
            "id": event_id,
            "status": "confirmed",
            "htmlLink": f"https://www.google.com/calendar/event?eid={event_id}",
            "created": before["created"] if alive and before else stamp(now),
            "creator": {"email": kept.owner, "self": True},
            "organizer": {"email": kept.owner, "self": True},
            "iCalUID": f"{event_id}@google.com",
            "sequence": before.get("sequence", 0) + 1 if alive and before else 0,
            "reminders": {"useDefault": True},
            "eventType": "default",
            **event,
        }
        self._store(kept, made, quietly=quietly)
        if before is not None and not alive:
            for instance in [one for one in kept.events.values() if one.get("recurringEventId") == event_id]:
                if instance["status"] == "cancelled":
                    self._store(kept, _tombstone(instance), quietly=True)

    def delete(self, calendar: str, event_id: str) -> None:
        """Leave a tombstone, and one for each changed instance of a series."""
        kept = self.calendars[calendar]
        for instance in [one for one in kept.events.values() if one.get("recurringEventId") == event_id]:
            self._store(kept, _tombstone(instance), quietly=True)
        self._store(kept, _tombstone(kept.events[event_id]))

    def move_instance(self, calendar: str, event_id: str, original: str, event: JSON) -> None:
        """Give the instance that starts at `original` (on the series' own clock) values of its own."""
        master = self.calendars[calendar].events[event_id]
        start = original_of(master, original)
        own = {"recurringEventId": event_id, "originalStartTime": start, "iCalUID": master["iCalUID"], **event}
        self.put(calendar, instance_id(event_id, start), own)

    def cancel_instance(self, calendar: str, event_id: str, original: str) -> None:
        """Take the instance that starts at `original` out of its series."""
        kept = self.calendars[calendar]
        start = original_of(kept.events[event_id], original)
        gone = {"id": instance_id(event_id, start), "recurringEventId": event_id, "originalStartTime": start}
        self._store(kept, _tombstone(gone))

    def move(self, calendar: str, event_id: str, *, to: str) -> None:
        """Into another calendar, under the same id."""
        event = {key: value for key, value in self.calendars[calendar].events[event_id].items() if key != "etag"}
        self.delete(calendar, event_id)
        self.put(to, event_id, event)

    def lose_cursors(self, calendar: str = "") -> None:
        """The sync tokens given out so far, of one calendar or of all, are answered 410."""
        for token, known in list(self._sync_tokens.items()):
            if calendar in {"", known[0]}:
                del self._sync_tokens[token]

    def expire_page_tokens(self) -> None:
        self._page_tokens.clear()

    def show_twice(self, calendar: str, event_id: str) -> None:
        """Listings show it in its place, and on their last page once more as it was before its last change."""
        self._stale.setdefault(calendar, set()).add(event_id)

    def events(self, calendar: str) -> dict[str, JSON]:
        """The truth: what lives, by id; cancelled instances of living series included."""
        kept = self.calendars[calendar]
        return {id_: event for id_, event in kept.events.items() if _lives(event, kept)}

    # What the API answers -------------------------------------------------------------------------------------------

    def calendar_list(self, user: str, parameters: Mapping[str, str]) -> JSON:
        """calendarList.list; its page token is a position."""
        listed = [self._entry(one, user) for one in self.calendars.values() if user in one.roles]
        hidden = parameters.get("showHidden") == "true"
        listed = [one for one in listed if (hidden or not one.get("hidden")) and not one.get("deleted")]
        size = max(1, self._page_size(0, min(int(parameters.get("maxResults", 100)), 250)))
        start = int(parameters.get("pageToken", 0))
        rest = {"nextPageToken": str(start + size)} if start + size < len(listed) else {"nextSyncToken": "unused"}
        return {
            "kind": "calendar#calendarList",
            "etag": '"list"',
            "items": listed[start : start + size],
            **rest,
        }

    def list_events(self, user: str, calendar_id: str, parameters: Mapping[str, str]) -> JSON:
        """events.list; raises `Refused`."""
        calendar = self.calendars.get(calendar_id)
        if calendar is None or user not in calendar.roles:
            raise Refused(404, "notFound")
        asked = {name: value for name, value in parameters.items() if name != "pageToken"}
        if token := parameters.get("pageToken"):
            listing, start = self._page_tokens.get(token, (None, 0))
            if listing is None or listing.parameters != asked or listing.calendar is not calendar:
                raise Refused(400, "invalid")
        elif token := parameters.get("syncToken"):
            listing, start = self._changes_since(calendar, token, asked), 0
        else:
            listing, start = self._everything(calendar, asked), 0
        return self._page(listing, start, user)

    def _everything(self, calendar: Calendar, asked: dict[str, str]) -> _Listing:
        if asked.get("singleEvents") == "true":
            raise Refused(501, "notImplemented")
        window = _moment(asked.get("timeMin")), _moment(asked.get("timeMax"))
        shown = [
            event["id"]
            for event in calendar.events.values()
            if _lives(event, calendar)
            # "Cancelled instances of recurring events … will still be included".
            and (event["status"] == "cancelled" or overlaps(event, *window, calendar.time_zone))
        ]
        return self._listing(calendar, asked, window, shown, changes_only=False)

    def _changes_since(self, calendar: Calendar, token: str, asked: dict[str, str]) -> _Listing:
        if asked.keys() & _NOT_WITH_SYNC_TOKEN or asked.get("showDeleted") == "false":
            raise Refused(400, "syncTokenWithRequestRestrictions")
        if token not in self._sync_tokens:
            raise Refused(410, "fullSyncRequired")
        calendar_id, position, first, window = self._sync_tokens[token]
        if calendar_id != calendar.id:
            raise Refused(410, "fullSyncRequired")
        if first != {name: value for name, value in asked.items() if name != "syncToken"}:
            raise Refused(400, "syncTokenWithRequestRestrictions")
        # What enters the window, leaves it or changes in it is told; what stays outside is not.
        versions: dict[str, list[JSON | None]] = {}
        for id_, before in calendar.log[position:]:
            versions.setdefault(id_, [calendar.events[id_]]).append(before)
        shown = [
            id_
            for id_, those in versions.items()
            if any(one and ("start" not in one or overlaps(one, *window, calendar.time_zone)) for one in those)
        ]
        return self._listing(calendar, asked, window, shown, changes_only=True)

    def _listing(
        self,
        calendar: Calendar,
        asked: dict[str, str],
        window: tuple[datetime | None, datetime | None],
        ids: list[str],
        *,
        changes_only: bool,
    ) -> _Listing:
        shown: list[str | JSON] = [*sorted(ids, key=lambda id_: self.order(calendar.events[id_]))]
        for id_ in self._stale.pop(calendar.id, ()):
            earlier = next((before for changed, before in reversed(calendar.log) if changed == id_ and before), None)
            # What a listing does not show in its place (any more) it does not show a second time.
            shown.extend([earlier] if earlier and id_ in ids else [])
        return _Listing(calendar, asked, window, shown, len(calendar.log), changes_only)

    def _page(self, listing: _Listing, start: int, user: str) -> JSON:
        calendar = listing.calendar
        asked = min(int(listing.parameters.get("maxResults", 250)), LARGEST_PAGE)
        end = start + self._page_size(listing.page, asked)
        listing.page += 1
        items = [
            _as_asked(event, listing.parameters)
            for one in listing.shown[start:end]
            # Changed since the listing began: it is shown as it is now, or not any more.
            if (event := calendar.events[one] if isinstance(one, str) else one)
            and (listing.changes_only or _lives(event, calendar))
        ]
        page: JSON = {
            "kind": "calendar#events",
            "etag": f'"p{len(calendar.log)}"',
            "summary": calendar.name,
            "updated": stamp(datetime.now(UTC)),
            "timeZone": calendar.time_zone,
            "accessRole": calendar.roles[user],
            "defaultReminders": [],
            "items": items,
        }
        token = f"T{next(self._numbers):06d}{zlib.crc32(calendar.id.encode()):08x}"
        if end < len(listing.shown):
            self._page_tokens[token] = listing, end
            return {**page, "nextPageToken": token}
        first = {
            name: value
            for name, value in listing.parameters.items()
            if name not in _NOT_WITH_SYNC_TOKEN and name != "syncToken"
        }
        self._sync_tokens[token] = calendar.id, listing.position, first, listing.window
        return {**page, "nextSyncToken": token}

    def _page_size(self, page: int, asked: int) -> int:
        return min(self.page_sizes[page], asked) if page < len(self.page_sizes) else asked

    def _entry(self, calendar: Calendar, user: str) -> JSON:
        return {
            "kind": "calendar#calendarListEntry",
            "etag": '"entry"',
            "id": calendar.id,
            **({"summary": calendar.name} if calendar.name else {}),
            "timeZone": calendar.time_zone,
            "colorId": "14",
            "backgroundColor": "#9fe1e7",
            "foregroundColor": "#000000",
            "selected": True,
            "accessRole": calendar.roles[user],
            "defaultReminders": [],
            **calendar.facts,
        }

    def _store(self, calendar: Calendar, event: JSON, *, quietly: bool = False) -> None:
        number = next(self._numbers)
        # Two changes in one millisecond are still one after the other.
        moment = datetime.now(UTC) + timedelta(milliseconds=number)
        own = (
            {"etag": f'"{number}"'}
            if event["status"] == "cancelled"
            else {"etag": f'"{number}"', "updated": stamp(moment)}
        )
        calendar.log.append((event["id"], calendar.events.get(event["id"])))
        calendar.events[event["id"]] = {**event, **own}
        if not quietly:
            self.changed(calendar)


def _lives(event: JSON, calendar: Calendar) -> bool:
    """Whether a full read shows it: of the cancelled only instances of a series that is still there."""
    if event["status"] != "cancelled":
        return True
    master = calendar.events.get(event.get("recurringEventId", ""))
    return master is not None and master["status"] != "cancelled"


def _tombstone(event: JSON) -> JSON:
    """All that is sure of a cancelled event."""
    sure = ("id", "recurringEventId", "originalStartTime")
    return {
        "kind": "calendar#event",
        "status": "cancelled",
        **{name: event[name] for name in sure if name in event},
    }


def _as_asked(event: JSON, parameters: Mapping[str, str]) -> JSON:
    """maxAttendees: "If there are more than the specified number of attendees, only the participant is returned"."""
    attendees = event.get("attendees", [])
    if "maxAttendees" not in parameters or len(attendees) <= int(parameters["maxAttendees"]):
        return event
    participant = [attendee for attendee in attendees if attendee.get("self")]
    return {**event, "attendees": participant, "attendeesOmitted": True}


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
