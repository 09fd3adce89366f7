"""What has to change so that the ledger says what the remote said: a pure function of both.

The truth table, for one event id:

| the remote says              | stored                | then                                                      |
|------------------------------|-----------------------|-----------------------------------------------------------|
| its entries                  | nothing               | create them                                               |
| its entries                  | the same              | nothing                                                   |
| its entries, another etag    | the same otherwise    | note the etag, call it no change                          |
| its entries                  | other values          | update those rows, create and delete what was added, left |
| some of its entries          | further ones          | update and create; the further ones stay                  |
| withheld                     | anything              | nothing; remember why                                     |
| withheld, but overrides      | anything              | update and create these; remember why                     |
| removed                      | anything              | delete                                                    |
| present (an etag listing's)  | anything              | nothing                                                   |

One event may be named several times: the last word counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from busyblocks.entries import Entry
from calendars.providers import Page, Resource, Withheld


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A mirrored row as the plan sees it."""

    pk: int
    entry: Entry
    absent: bool = False


@dataclass(slots=True)
class Words:
    """What a batch of pages says last of each event id."""

    resources: dict[str, Resource] = field(default_factory=dict)
    withheld: dict[str, Withheld] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    present: set[str] = field(default_factory=set)

    @property
    def named(self) -> set[str]:
        """Every id that exists at the remote."""
        return {*self.resources, *self.withheld, *self.present}


@dataclass(slots=True)
class Actions:
    """Rows to write. An event counts once, however many rows it has."""

    create: list[Entry] = field(default_factory=list)
    update: list[tuple[int, Entry]] = field(default_factory=list)
    # Only the remote's version differs: written, but nobody is told.
    touch: list[tuple[int, Entry]] = field(default_factory=list)
    delete: list[int] = field(default_factory=list)
    # Rows that the brake held and that the remote shows again.
    returned: list[int] = field(default_factory=list)
    created_events: int = 0
    updated_events: int = 0
    deleted_events: int = 0

    @property
    def changes_anything(self) -> bool:
        return bool(self.create or self.update or self.delete)


def last_words(pages: Iterable[Page]) -> Words:
    """Fold the pages of a batch, in their order."""
    words = Words()
    for page in pages:
        for resource in page.resources:
            # Overrides say nothing of a master that was not understood.
            unread = None if names_master(resource) else words.withheld.get(resource.external_event_id)
            _forget(words, resource.external_event_id, but="resources")
            if unread:
                words.withheld[resource.external_event_id] = unread
            words.resources[resource.external_event_id] = _together(
                words.resources.get(resource.external_event_id), resource
            )
        for withheld in page.withheld:
            overrides = words.resources.get(withheld.external_event_id)
            _forget(words, withheld.external_event_id)
            if overrides and not names_master(overrides):
                words.resources[withheld.external_event_id] = overrides
            words.withheld[withheld.external_event_id] = withheld
        for external_event_id in page.removed:
            _forget(words, external_event_id)
            words.removed.add(external_event_id)
        for external_event_id in page.present:
            _forget(words, external_event_id)
            words.present.add(external_event_id)
    return words


def plan(stored: Mapping[str, Sequence[StoredRow]], words: Words) -> Actions:
    """The rows to create, update and delete. `stored`: every row of the events that `words` names."""
    actions = Actions()
    for external_event_id, resource in words.resources.items():
        _plan_event(actions, stored.get(external_event_id, ()), resource)
    for external_event_id in words.removed:
        rows = stored.get(external_event_id, ())
        actions.delete.extend(row.pk for row in rows)
        actions.deleted_events += bool(rows)
    for external_event_id in (*words.present, *words.withheld):
        actions.returned.extend(row.pk for row in stored.get(external_event_id, ()) if row.absent)
    return actions


def _plan_event(actions: Actions, rows: Sequence[StoredRow], resource: Resource) -> None:
    by_instance = {row.entry.recurrence_id: row for row in rows}
    wanted = {entry.recurrence_id: entry for entry in resource.entries}
    create, update = [], []
    for recurrence_id, entry in wanted.items():
        row = by_instance.get(recurrence_id)
        if row is None:
            create.append(entry)
        elif row.entry == entry:
            if row.absent:
                actions.returned.append(row.pk)
        elif replace(row.entry, etag=entry.etag) == entry and not row.absent:
            actions.touch.append((row.pk, entry))
        else:
            update.append((row.pk, entry))
    gone = (
        [row.pk for recurrence_id, row in by_instance.items() if recurrence_id not in wanted] if resource.whole else []
    )
    actions.create.extend(create)
    actions.update.extend(update)
    actions.delete.extend(gone)
    if not rows:
        actions.created_events += bool(create)
    elif not wanted and gone:
        actions.deleted_events += 1
    elif create or update or gone:
        actions.updated_events += 1


def names_master(resource: Resource) -> bool:
    """Whether it speaks of the event itself, and not of single instances alone."""
    return resource.whole or any(not entry.recurrence_id for entry in resource.entries)


def _together(earlier: Resource | None, later: Resource) -> Resource:
    """Two words on one event: a whole one replaces, a partial one adds to what was said before."""
    if earlier is None or later.whole:
        return later
    entries = {entry.recurrence_id: entry for entry in (*earlier.entries, *later.entries)}
    return replace(earlier, entries=tuple(entries.values()), etag=later.etag)


def _forget(words: Words, external_event_id: str, *, but: str = "") -> None:
    if but != "resources":
        words.resources.pop(external_event_id, None)
    words.withheld.pop(external_event_id, None)
    words.removed.discard(external_event_id)
    words.present.discard(external_event_id)
