"""One round of changes, as its pages come in: what each item means beside the others, and what has to be asked for."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Protocol

from busyblocks.entries import folded_id
from busyblocks.errors import LedgerError
from calendars.providers import Mirrored, Page, Resource, UnexpectedAnswer, Withheld
from integrations.ical import NotUnderstood
from integrations.outlook.events import (
    Item,
    completed,
    entry_of,
    etag_of,
    heritage,
    id_of,
    is_master,
    is_sparse,
    series_of,
)

# What is said of an event so far; None: it is gone.
_Words = dict[str, Resource | Withheld | None]


class Place(Protocol):
    """Where a round asks: the vendor, and the mirror. Ids of the mirror are folded, those of the vendor are not."""

    def mirrored(self, ids: set[str]) -> list[Mirrored]: ...

    def holds(self, row: Mirrored) -> bool: ...

    def event(self, event_id: str) -> Item | None: ...

    def instances(self, series_id: str) -> Sequence[Item] | None: ...


class Round:
    """`whole`: the round tells everything, so absence needs no asking. Otherwise it tells changes.

    Call `page` for each page, then `rest`. Memory grows with the ids that are named and the series that come, not
    with what events say.
    """

    def __init__(self, place: Place, *, whole: bool) -> None:
        self.place, self.whole = place, whole
        # What each series hands down to its occurrences.
        self.masters: dict[str, Item] = {}
        # Items that say too little, until their master comes or `rest` asks.
        self.waiting: dict[str, Item] = {}
        # The vendor's spelling of a series' id.
        self.spelled: dict[str, str] = {}
        # Every event named, also the removed; the instances of each series among them.
        self.spoken: set[str] = set()
        self.instances: dict[str, set[str]] = defaultdict(set)
        # Series that came as such, and events that are none.
        self.restated: set[str] = set()
        self.singles: set[str] = set()

    def page(self, items: Sequence[Item]) -> Page:
        """What one page says, given those before it. Raises `UnexpectedAnswer` for an item without an id."""
        words: _Words = {}
        removed = {id_of(item) for item in items if "@removed" in item}
        mirrored = self.place.mirrored(removed)
        for item in items:
            event_id = id_of(item)
            if not event_id:
                raise UnexpectedAnswer("Microsoft Graph listed an event without an id.")
            self.waiting.pop(event_id, None)
            if "@removed" in item:
                self._remove(words, event_id, mirrored)
            elif is_master(item):
                self._hand_down(words, event_id, item)
                self.restated.add(event_id)
            else:
                self._read(words, event_id, item)
            self.spoken.add(event_id)
        return _page(words)

    def rest(self) -> Iterator[Page]:
        """What the pages left open, asked for: items that say nothing, masters that did not come (each once), and
        instances that a changed series may have lost."""
        yield from self._unknown()
        yield from self._fatherless()
        if not self.whole:
            yield from self._lost()

    # While the pages come -------------------------------------------------------------------------------------------

    def _remove(self, words: _Words, event_id: str, mirrored: list[Mirrored]) -> None:
        """The event is not in the window any more. It may be a series: then its instances are not, either.

        A row outside of the window is another matter: the view never showed it, and cannot say that it is gone.
        """
        rows = [row for row in mirrored if event_id in (row.external_event_id, row.series_id)]
        gone = {row.external_event_id for row in rows if self.place.holds(row)} | self.instances.pop(event_id, set())
        outside = any(row.external_event_id == event_id and not self.place.holds(row) for row in rows)
        if not outside or event_id in self.spoken:
            gone.add(event_id)
        for gone_id in gone:
            words[gone_id] = None
            self.waiting.pop(gone_id, None)
        self.spoken |= gone
        self.masters.pop(event_id, None)
        self.restated.discard(event_id)
        self.singles.discard(event_id)

    def _hand_down(self, words: _Words, series_id: str, master: Item) -> None:
        """A master is no event of its own: it completes those that wait for it, and the ones to come."""
        words.pop(series_id, None)
        self.singles.discard(series_id)
        self.masters[series_id] = heritage(master)
        self.spelled[series_id] = master["id"]
        for event_id in self.instances.get(series_id, ()):
            if (item := self.waiting.pop(event_id, None)) is not None:
                self._read(words, event_id, item)

    def _read(self, words: _Words, event_id: str, item: Item) -> None:
        series_id = folded_id(series_of(item))
        if series_id:
            self.spelled[series_id] = series_of(item)
            self.instances[series_id].add(event_id)
            if is_sparse(item):
                if series_id not in self.masters:
                    words.pop(event_id, None)
                    self.waiting[event_id] = item
                    return
                item = completed(item, self.masters[series_id])
        elif "start" not in item:
            words.pop(event_id, None)
            self.waiting[event_id] = item
            return
        else:
            self.singles.add(event_id)
            self.restated.discard(event_id)
        words[event_id] = _understood(event_id, item)

    # When they have come --------------------------------------------------------------------------------------------

    def _unknown(self) -> Iterator[Page]:
        """Items that do not even say when they are: they may be series."""
        for event_id, item in [found for found in self.waiting.items() if not series_of(found[1])]:
            del self.waiting[event_id]
            words: _Words = {}
            found = self.place.event(item["id"])
            if found is not None and is_master(found):
                self._hand_down(words, event_id, found)
                self.restated.add(event_id)
            elif found is not None:
                words[event_id] = _understood(event_id, {**found, "id": item["id"]})
            # Where it is not there, the next round will say so.
            if words:
                yield _page(words)

    def _fatherless(self) -> Iterator[Page]:
        for series_id in dict.fromkeys(folded_id(series_of(item)) for item in self.waiting.values()):
            words: _Words = {}
            master = self.place.event(self.spelled[series_id])
            if master is not None:
                self._hand_down(words, series_id, {**master, "id": self.spelled[series_id]})
            else:
                for event_id in self.instances[series_id] & self.waiting.keys():
                    words[event_id] = Withheld(
                        external_event_id=event_id,
                        reason="Its series is not there to be read.",
                        etag=etag_of(self.waiting.pop(event_id)),
                    )
            yield _page(words)

    def _lost(self) -> Iterator[Page]:
        """Rows that a series had, and that the round did not name although it named the series."""
        doubtful: dict[str, list[str]] = defaultdict(list)
        words: _Words = {}
        for row in filter(self.place.holds, self.place.mirrored(self.restated | self.singles)):
            if row.external_event_id in self.restated or (row.series_id in self.singles and self._unspoken(row)):
                # A single event became a series, or a series a single event.
                words[row.external_event_id] = None
            elif row.series_id in self.restated and self._unspoken(row):
                doubtful[row.series_id].append(row.external_event_id)
        for series_id, event_ids in doubtful.items():
            items = self.place.instances(self.spelled[series_id])
            if items is None:
                # The series has gone since; the next round will say so.
                continue
            found = {id_of(item): item for item in items}
            for event_id in event_ids:
                if event_id in found:
                    self._read(words, event_id, found[event_id])
                else:
                    words[event_id] = None
        if words:
            yield _page(words)

    def _unspoken(self, row: Mirrored) -> bool:
        return row.external_event_id not in self.spoken


def _understood(event_id: str, item: Item) -> Resource | Withheld:
    try:
        entry = entry_of(item)
    except NotUnderstood as why:
        return Withheld(external_event_id=event_id, reason=why.reason, etag=etag_of(item))
    except (LedgerError, OverflowError):
        return Withheld(
            external_event_id=event_id,
            reason="It lies outside the years that can be reckoned with.",
            etag=etag_of(item),
        )
    return Resource(external_event_id=event_id, entries=(entry,), etag=entry.etag)


def _page(words: _Words) -> Page:
    said = words.values()
    return Page(
        resources=tuple(word for word in said if isinstance(word, Resource)),
        withheld=tuple(word for word in said if isinstance(word, Withheld)),
        removed=tuple(event_id for event_id, word in words.items() if word is None),
    )
