"""A calendar vendor that lives in memory: the simplest thing that fulfils the port, with faults on demand.

    server = memory.start()
    server.put("work", "standup", memory.entry("2026-03-02T09:00", minutes=15))
    server.fail_next(Unreachable("cut off"), after_pages=1)

Accounts made with `settings.CALENDAR_PROVIDERS = {"caldav": "tests.contracts.memory.MemoryProvider"}` read the server
that was started last, or the one started for their own user name.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from busyblocks.entries import Entry
from calendars.providers import (
    Answer,
    BadProviderData,
    CalendarGone,
    CalendarState,
    Connection,
    CursorLost,
    Delta,
    Page,
    ReconnectNeeded,
    RemoteCalendar,
    Resource,
    Snapshot,
    Withheld,
)

Place = Literal["calendars", "changes"]


@dataclass(slots=True)
class _Fault:
    error: Exception
    place: Place
    after_pages: int
    calendar: str | None


@dataclass(slots=True)
class _Calendar:
    remote: RemoteCalendar
    items: dict[str, Resource | Withheld] = field(default_factory=dict)
    # Ids in the order of their changes; a cursor is a position in it.
    log: list[str] = field(default_factory=list)


class MemoryCalendarServer:
    """Calendars with a change log each. Nothing is lost unless a method below says so.

    requests: how many requests were answered or failed. page_size: events a page. cursors: False makes a server
    that can only list its etags. window: what a Snapshot claims to cover. on_request: called with the request's
    number (from 1) before it is answered, so that a test can act in the middle of a read.
    """

    def __init__(self, *, page_size: int = 100, password: str | None = None) -> None:
        self.page_size = page_size
        self.password = password
        self.requests = 0
        self.cursors = True
        self.window: tuple[datetime, datetime] | None = None
        self.on_request: Callable[[int], None] = lambda number: None
        self._calendars: dict[str, _Calendar] = {}
        self._faults: list[_Fault] = []
        self._epoch = 1
        self._versions = itertools.count(1)

    def add_calendar(self, external_id: str, *, name: str = "", time_zone: str = "", primary: bool = False) -> None:
        """A calendar that exists even before its first event."""
        remote = RemoteCalendar(external_id=external_id, name=name or external_id, time_zone=time_zone, primary=primary)
        self._calendars[external_id] = _Calendar(remote)

    def drop_calendar(self, external_id: str) -> None:
        """The calendar vanishes from the list, and reading it raises CalendarGone."""
        del self._calendars[external_id]

    def put(self, calendar: str, event_id: str, *entries: Entry, etag: str = "") -> None:
        """Create the event or replace all of it; the calendar comes into being with its first event."""
        etag = etag or f'"{next(self._versions)}"'
        own = tuple(replace(entry, external_event_id=event_id, etag=etag) for entry in entries)
        self._change(calendar, event_id, Resource(external_event_id=event_id, entries=own, etag=etag))

    def put_unreadable(self, calendar: str, event_id: str, reason: str = "It could not be read.") -> None:
        """The event exists, and the provider withholds it."""
        etag = f'"{next(self._versions)}"'
        self._change(calendar, event_id, Withheld(external_event_id=event_id, reason=reason, etag=etag))

    def delete(self, calendar: str, event_id: str) -> None:
        """Delete the event and remember that in the log: the next Delta names it."""
        self._change(calendar, event_id, None)

    def empty(self, calendar: str) -> None:
        """The server comes back without its events, and without knowing that it had any."""
        self._calendars[calendar].items.clear()
        self.lose_cursors()

    def lose_cursors(self) -> None:
        """Every cursor given out so far becomes unknown."""
        self._epoch += 1

    def fail_next(
        self, error: Exception, *, after_pages: int = 0, on: Place = "changes", calendar: str | None = None
    ) -> None:
        """The next read raises `error`, once, after it yielded `after_pages` pages; several calls queue up."""
        self._faults.append(_Fault(error, on, after_pages, calendar))

    def recover(self) -> None:
        """No read fails any more."""
        self._faults.clear()

    def ids(self, calendar: str) -> dict[str, str]:
        """The truth: event id → etag."""
        return {event_id: item.etag for event_id, item in self._calendars[calendar].items.items()}

    # What a provider asks ------------------------------------------------------------------------------------

    def listing(self, connection: Connection) -> list[RemoteCalendar]:
        self._answer_request(connection)
        fault = self._take_fault("calendars", None)
        if fault:
            raise fault.error
        return [calendar.remote for calendar in self._calendars.values()]

    def read(self, connection: Connection, state: CalendarState) -> Iterator[Answer]:
        fault = self._take_fault("changes", state.external_id)
        if state.external_id not in self._calendars:
            self._answer_request(connection)
            raise CalendarGone("The calendar does not exist any more.")
        items, removed, present, end = self._select(state)
        for number, page in enumerate(self._pages(items, removed, present)):
            self._answer_request(connection)
            if fault and number >= fault.after_pages:
                raise fault.error
            if isinstance(end, CursorLost):
                raise end
            if page != Page():
                yield page
        if fault:
            raise fault.error
        yield end

    def _select(
        self, state: CalendarState
    ) -> tuple[list[Resource | Withheld], list[str], list[str], Snapshot | Delta | CursorLost]:
        calendar = self._calendars[state.external_id]
        if not self.cursors:
            known = state.etags()
            changed = [item for key, item in calendar.items.items() if known.get(key) != item.etag]
            same = [key for key, item in calendar.items.items() if known.get(key) == item.etag]
            return changed, [], same, Snapshot(cursor="", window=self.window)
        cursor = json.dumps({"epoch": self._epoch, "position": len(calendar.log)})
        if not state.cursor:
            everything = [item for item in calendar.items.values() if self._in_window(item)]
            return everything, [], [], Snapshot(cursor=cursor, window=self.window)
        seen = json.loads(state.cursor)
        if seen["epoch"] != self._epoch:
            return [], [], [], CursorLost("The server does not know the cursor.")
        touched = dict.fromkeys(calendar.log[seen["position"] :])
        changed = [calendar.items[key] for key in touched if key in calendar.items]
        return changed, [key for key in touched if key not in calendar.items], [], Delta(cursor=cursor)

    def _pages(self, items: list[Resource | Withheld], removed: list[str], present: list[str]) -> Iterator[Page]:
        for start in range(0, max(len(items), 1), self.page_size):
            part = items[start : start + self.page_size]
            first = start == 0
            yield Page(
                resources=tuple(item for item in part if isinstance(item, Resource)),
                withheld=tuple(item for item in part if isinstance(item, Withheld)),
                removed=tuple(removed) if first else (),
                present=tuple(present) if first else (),
            )

    def _in_window(self, item: Resource | Withheld) -> bool:
        if self.window is None or isinstance(item, Withheld):
            return True
        start, end = self.window
        return any(entry.recurring or (entry.start_time < end and entry.end_time > start) for entry in item.entries)

    def _answer_request(self, connection: Connection) -> None:
        connection.checkpoint()
        self.requests += 1
        self.on_request(self.requests)
        if self.password is not None and connection.credentials.get("password") != self.password:
            raise ReconnectNeeded("The server refused the user name or password.")

    def _take_fault(self, place: Place, calendar: str | None) -> _Fault | None:
        for fault in self._faults:
            if fault.place == place and fault.calendar in {None, calendar}:
                self._faults.remove(fault)
                return fault
        return None

    def _change(self, calendar: str, event_id: str, item: Resource | Withheld | None) -> None:
        if calendar not in self._calendars:
            self.add_calendar(calendar)
        kept = self._calendars[calendar]
        if item is None:
            del kept.items[event_id]
        else:
            kept.items[event_id] = item
        kept.log.append(event_id)


_servers: dict[str, MemoryCalendarServer] = {}


def start(*, for_username: str = "", page_size: int = 100, password: str | None = None) -> MemoryCalendarServer:
    """A fresh server, found by every account from now on, or by the accounts of one user name only."""
    if not for_username:
        _servers.clear()
    _servers[for_username] = MemoryCalendarServer(page_size=page_size, password=password)
    return _servers[for_username]


class MemoryProvider:
    """`calendars.providers.Provider` over the server that was started last."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        username = connection.credentials.get("username", "")
        self.server = _servers.get(username) or _servers[""]

    @classmethod
    def credentials_from(cls, provider_data: dict[str, Any], *, email: str) -> dict[str, Any]:
        if not provider_data.get("password"):
            raise BadProviderData("password", "Give the account's password.")
        return {
            "server_url": provider_data.get("server_url", "memory://"),
            "username": provider_data.get("username") or email,
            "password": provider_data["password"],
        }

    def calendars(self) -> list[RemoteCalendar]:
        return self.server.listing(self.connection)

    def changes(self, calendar: CalendarState) -> Iterator[Answer]:
        return self.server.read(self.connection, calendar)

    def state(self) -> dict[str, Any]:
        return dict(self.connection.state)


def entry(start: str, *, minutes: int = 60, **facts: Any) -> Entry:
    """A timed entry from `start` (ISO 8601, UTC unless it says otherwise); `facts` are further fields of Entry."""
    begin = datetime.fromisoformat(start)
    begin = (begin if begin.tzinfo else begin.replace(tzinfo=UTC)).astimezone(UTC)
    return Entry(**{"start_time": begin, "end_time": begin + timedelta(minutes=minutes), **facts})


def dates(first: str, *, days: int = 1, **facts: Any) -> Entry:
    """An all-day entry from the date `first` on."""
    begin = datetime.fromisoformat(first).replace(tzinfo=UTC)
    return Entry(**{"start_time": begin, "end_time": begin + timedelta(days=days), "all_day": True, **facts})
