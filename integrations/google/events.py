"""One calendar's events: everything inside the window, or the changes since a sync token.

https://developers.google.com/workspace/calendar/api/guides/sync
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from busyblocks.entries import Entry, folded_id
from calendars.providers import (
    Answer,
    CalendarState,
    CursorLost,
    Delta,
    Page,
    Resource,
    Snapshot,
    UnexpectedAnswer,
    Withheld,
)
from integrations.google.client import JSON, Client, items_of, text_of
from integrations.google.reading import Identity, cancelled_instance, entry_of, identity_of
from integrations.ical import NotUnderstood, folded_etag
from integrations.window import window_at

# The window is baked into a sync token, so each step of it costs a full read.
WINDOW_STEP = timedelta(days=28)
# A full read proves absence only this far inside of its window: dates are read in the calendar's zone there and in UTC
# here, and the end of a series is known here with a few days' slack.
_WINDOW_EDGE = timedelta(days=7)
_EVENTS_A_PAGE = 500

Window = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A sync token, and the window that it speaks of."""

    sync_token: str
    window: Window

    def text(self) -> str:
        return json.dumps({"sync_token": self.sync_token, "window": [moment.isoformat() for moment in self.window]})

    @classmethod
    def of(cls, text: str) -> "Cursor":
        """Raises `CursorLost` for a text that `text()` did not write."""
        try:
            stored = json.loads(text)
            start, end = map(datetime.fromisoformat, stored["window"])
            return cls(str(stored["sync_token"]), (start, end))
        except (ValueError, TypeError, KeyError):
            raise CursorLost("What was stored of the last reading cannot be used.") from None


def is_stale(cursor: str, *, external_id: str, now: datetime) -> bool:
    """Whether a reading of the calendar at `now` cannot go on from what `Cursor.text` wrote."""
    try:
        return Cursor.of(cursor).window != window_at(now, key=external_id, step=WINDOW_STEP)
    except CursorLost:
        return True


class Events:
    """One reading of one calendar at `now`."""

    def __init__(self, client: Client, calendar: CalendarState, *, now: datetime) -> None:
        self.client, self.state = client, calendar
        self.window = window_at(now, key=calendar.external_id, step=WINDOW_STEP)
        self.time_zone = calendar.time_zone
        # When each item was last changed, as far as this reading has heard.
        self.updated: dict[str, str] = {}

    def changes(self) -> Iterator[Answer]:
        """As `Provider.changes`. A window that has moved on is read anew, whatever the cursor."""
        cursor = Cursor.of(self.state.cursor) if self.state.cursor else None
        if cursor is None or cursor.window != self.window:
            yield from self._everything()
        else:
            yield from self._since(cursor)

    def _everything(self) -> Iterator[Answer]:
        start, end = self.window
        bounds = {"timeMin": f"{start:%Y-%m-%dT%H:%M:%SZ}", "timeMax": f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        series: set[str] = set()
        cancelled: list[Identity] = []
        token = ""
        for answer in self.client.event_pages(self.state.external_id, bounds):
            token = text_of(answer, "nextSyncToken")
            told = _Told()
            for item, identity in self._news(answer):
                if identity.cancelled and identity.series:
                    # They come also where their series does not, and then mean nothing.
                    cancelled.append(identity)
                    continue
                told.add(item, identity, time_zone=self.time_zone)
                if not identity.series:
                    series.add(identity.external_event_id)
            yield from told.pages()
        yield from self._cancelled(identity for identity in cancelled if identity.external_event_id in series)
        cursor = Cursor(_checked(token), self.window).text()
        yield Snapshot(cursor=cursor, window=(start + _WINDOW_EDGE, end - _WINDOW_EDGE))

    def _since(self, cursor: Cursor) -> Iterator[Answer]:
        """Instances are kept to the end: only then it is known whether their series has gone."""
        token = ""
        instances: dict[str, tuple[JSON, Identity]] = {}
        alive, gone = set[str](), set[str]()
        for answer in self.client.event_pages(self.state.external_id, {"syncToken": cursor.sync_token}):
            token = text_of(answer, "nextSyncToken")
            told = _Told()
            for item, identity in self._news(answer):
                if identity.series:
                    instances[identity.id] = item, identity
                    continue
                told.add(item, identity, time_zone=self.time_zone)
                ours, others = (gone, alive) if identity.cancelled else (alive, gone)
                ours.add(identity.external_event_id)
                others.discard(identity.external_event_id)
            yield from told.pages()
        yield from self._instances(instances.values(), alive, gone)
        yield Delta(cursor=Cursor(_checked(token), cursor.window).text())

    def _instances(
        self, instances: Collection[tuple[JSON, Identity]], alive: set[str], gone: set[str]
    ) -> Iterator[Page]:
        """Changed instances. Of a series that has gone only those count that live on by themselves."""
        told = _Told(gone)
        for item, identity in instances:
            if identity.cancelled or told.add(item, identity, time_zone=self.time_zone):
                # What was withheld of it before, or what stands under an id that only looks like an instance's.
                told.removed.append(folded_id(identity.id))
        yield from told.pages()
        cancelled = [identity for _, identity in instances if identity.cancelled]
        unknown = {identity.external_event_id for identity in cancelled} - alive - gone
        if unknown:
            alive = alive | {row.external_event_id for row in self.state.mirrored(unknown)}
        yield from self._cancelled(identity for identity in cancelled if identity.external_event_id in alive)

    def _cancelled(self, identities: Iterable[Identity]) -> Iterator[Page]:
        told = _Told()
        for identity in identities:
            told.add({"status": "cancelled"}, identity, time_zone=self.time_zone)
            if told.size >= _EVENTS_A_PAGE:
                yield from told.pages()
                told = _Told()
        yield from told.pages()

    def _news(self, answer: JSON) -> Iterator[tuple[JSON, Identity]]:
        """Items that were not told before in a newer version: one changed during the reading comes twice."""
        self.time_zone = text_of(answer, "timeZone") or self.time_zone
        for item in items_of(answer):
            identity = identity_of(item)
            updated = text_of(item, "updated")
            if updated and updated < self.updated.get(identity.id, ""):
                continue
            self.updated[identity.id] = updated
            yield item, identity


class _Told:
    """What becomes of some items. gone: series of which nothing is left but the instances that are told here."""

    def __init__(self, gone: Iterable[str] = ()) -> None:
        self.gone = set(gone)
        self.resources: list[Resource] = []
        self.withheld: list[Withheld] = []
        self.removed: list[str] = []

    @property
    def size(self) -> int:
        return len(self.resources) + len(self.withheld) + len(self.removed)

    def add(self, item: JSON, identity: Identity, *, time_zone: str) -> bool:
        """Whether it was understood."""
        id_ = identity.external_event_id
        if identity.cancelled and not identity.series:
            self.removed.append(id_)
            return True
        try:
            if identity.cancelled:
                entry = cancelled_instance(identity)
            else:
                entry = entry_of(item, identity, time_zone=time_zone)
        except NotUnderstood as why:
            # An instance that cannot be read takes nothing from the rest of its series.
            etag = folded_etag(text_of(item, "etag"))
            self.withheld.append(Withheld(external_event_id=folded_id(identity.id), reason=why.reason, etag=etag))
            return False
        self.resources.append(self._resource(entry, identity))
        return True

    def pages(self) -> Iterator[Page]:
        """One page, or none when nothing was told."""
        if self.size:
            yield Page(resources=tuple(self.resources), withheld=tuple(self.withheld), removed=tuple(self.removed))

    def _resource(self, entry: Entry, identity: Identity) -> Resource:
        id_ = entry.external_event_id
        # A series and its changed instances are told apart, a single event is told whole.
        whole = not identity.series and not entry.recurring
        if identity.series and id_ in self.gone:
            self.gone.discard(id_)
            whole = True
        return Resource(external_event_id=id_, entries=(entry,), etag=entry.etag, whole=whole)


def _checked(token: str) -> str:
    if not token:
        raise UnexpectedAnswer("Google's list ends without saying how far it went.")
    return token
