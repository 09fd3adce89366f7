"""The only writer of mirrored rows: applies what was read, in one transaction with the cursor.

A reader sees the calendar before or after, never between. Killed anywhere, the transaction is undone and the next
read starts at the old cursor. Run twice, the second time finds nothing to write.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import DataError, IntegrityError, transaction
from django.db.models import Exists, F

from busyblocks.entries import ENTRY_FIELDS, entry_from
from busyblocks.errors import RuleRefused
from busyblocks.families import Key
from busyblocks.models import BusyBlock, BusyBlockQuerySet
from busyblocks.prepared import key_of, keys_of, revised
from busyblocks.recurrence import recurs_until
from calendars.models import AccountRun, Calendar, CalendarAccount, WithheldEvent
from calendars.providers import Delta, Snapshot, Withheld
from calendars.services import calendar_runs
from calendars.sync import bulk
from calendars.sync import lease as leases
from calendars.sync.brake import Shown, implied_deletions
from calendars.sync.bulk import Place, Row
from calendars.sync.lease import Lease
from calendars.sync.plan import Actions, StoredRow, Words, last_words, names_master, plan
from calendars.sync.spool import Spool

log = structlog.get_logger("sync")

# Rows that are written together, and one by one where the database refuses one of them.
_BATCH_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What applying a read did to the ledger, in remote events."""

    created: int = 0
    updated: int = 0
    deleted: int = 0
    withheld: int = 0
    held: int = 0

    def __add__(self, other: "Changes") -> "Changes":
        return Changes(
            created=self.created + other.created,
            updated=self.updated + other.updated,
            deleted=self.deleted + other.deleted,
            withheld=self.withheld + other.withheld,
            held=self.held + other.held,
        )


def apply(
    calendar: Calendar, spool: Spool, end: Snapshot | Delta, *, lease: Lease, run_pks: Iterable[int], now: datetime
) -> Changes:
    """Write what `spool` holds, move the cursor, count it in the runs, and renew the lease, all or nothing.

    `calendar` is as it was when the read began; when its cursor or its switch has changed since, nothing is written.
    Raises `LeaseLost`.
    """
    if spool.empty and isinstance(end, Delta) and _confirm(calendar, end, lease=lease, now=now):
        _count(list(run_pks), calendar, Changes(), [], now=now)
        return Changes()
    with transaction.atomic():
        account = leases.lock(lease)
        current = (
            Calendar.objects.select_for_update(of=("self",)).filter(pk=calendar.pk).select_related("origin").first()
        )
        if current is None or not current.sync_enabled or current.cursor != calendar.cursor:
            return Changes()
        series: set[Key] = set()
        told: list[Withheld] = []
        is_new = not BusyBlock.objects.filter(origin=current.origin_id).exists()
        changes, anything, shown = _apply_pages(account, current, spool, series, told, is_new=is_new)
        if isinstance(end, Snapshot):
            deletions = implied_deletions(current, shown, end, series, is_new=is_new, now=now)
            changes += Changes(deleted=deletions.deleted, held=deletions.held)
            anything = anything or bool(deletions.deleted)
        if anything:
            revised(account.user_id, at=now, series=series)
        # While rows are held back, each sync reads everything: only a full read can prove or disprove absence.
        Calendar.objects.filter(pk=current.pk).update(
            cursor="" if changes.held else end.cursor,
            held_count=changes.held if isinstance(end, Snapshot) else F("held_count"),
            last_synced_at=now,
            last_error="",
        )
        _count(list(run_pks), current, changes, told, now=now)
        leases.renew(lease, now=now)
    return changes


def _confirm(calendar: Calendar, end: Delta, *, lease: Lease, now: datetime) -> bool:
    """Note that nothing has changed since the cursor, in one statement; False where that cannot be said any more."""
    unchanged = Calendar.objects.filter(pk=calendar.pk, cursor=calendar.cursor, sync_enabled=True)
    mine = Exists(leases.account_of(lease))
    return bool(unchanged.filter(mine).update(cursor=end.cursor, last_synced_at=now, last_error=""))


def _apply_pages(
    account: CalendarAccount,
    calendar: Calendar,
    spool: Spool,
    series: set[Key],
    told: list[Withheld],
    *,
    is_new: bool,
) -> tuple[Changes, bool, Shown]:
    """What changed; whether any reader can see it; and what the remote has, by all that it said.

    The series of which a row was written or deleted are added to `series`, and the first events that were withheld
    to `told`. is_new: the calendar has no row yet.
    """
    total, anything = Changes(), False
    shown = Shown()
    withheld = set(WithheldEvent.objects.filter(calendar=calendar).values_list("external_event_id", flat=True))
    for batch in spool.batches():
        words = last_words(batch)
        ids = {*words.named, *words.removed}
        # A calendar that had nothing has by now what this read has shown before.
        stored = _stored(calendar, ids & shown.events if is_new else ids)
        shown.add(words)
        actions = plan(stored, words)
        refused = _write(account, calendar, actions, series)
        _remember_withheld(calendar, words, refused, withheld)
        if len(told) < calendar_runs.NAMED:
            told += [*words.withheld.values(), *refused]
        total += Changes(
            created=actions.created_events,
            updated=actions.updated_events,
            deleted=actions.deleted_events,
            withheld=len(words.withheld) + len(refused),
        )
        anything = anything or actions.changes_anything
    return total, anything, shown


def _stored(calendar: Calendar, ids: set[str]) -> dict[str, list[StoredRow]]:
    if not ids:
        return {}
    rows = BusyBlock.objects.filter(origin=calendar.origin_id, external_event_id__in=ids).order_by()
    found: dict[str, list[StoredRow]] = defaultdict(list)
    for pk, absent_since, *values in rows.values_list("pk", "absent_since", *ENTRY_FIELDS).iterator(chunk_size=2000):
        entry = entry_from(values)
        found[entry.external_event_id].append(StoredRow(pk, entry, absent_since is not None))
    return found


def _write(account: CalendarAccount, calendar: Calendar, actions: Actions, series: set[Key]) -> list[Withheld]:
    """Do what the plan says; what the database itself refuses is withheld, one event at a time."""
    if changed := [*actions.delete, *(pk for pk, _ in actions.update)]:
        series |= keys_of(rows_of(changed))
    if actions.delete:
        rows_of(actions.delete).delete()
    if actions.returned:
        rows_of(actions.returned).update(absent_since=None)
    refused: list[Withheld] = []
    rows: list[Row] = []
    wanted = [(None, entry) for entry in actions.create] + [*actions.update, *actions.touch]
    for pk, entry in wanted:
        try:
            rows.append(Row(entry, recurs_until(entry) if entry.recurring else None, pk))
        except RuleRefused as error:
            refused.append(Withheld(external_event_id=entry.external_event_id, etag=entry.etag, reason=str(error)))
    keys = (key_of(row.entry, origin_id=calendar.origin_id) for row in rows)
    series.update(key for key in keys if key is not None)
    place = Place(
        company_id=account.company_id,
        user_id=account.user_id,
        origin_id=calendar.origin_id,
        source=account.provider,
    )
    for some in _batches(rows):
        try:
            with transaction.atomic():
                _upsert(place, some)
        except (DataError, IntegrityError, ValueError, OverflowError):
            refused += [withheld for row in some if (withheld := _write_alone(place, row)) is not None]
    return refused


def _write_alone(place: Place, row: Row) -> Withheld | None:
    try:
        with transaction.atomic():
            _upsert(place, [row])
    except (DataError, IntegrityError, ValueError, OverflowError) as error:
        log.warning("event_refused_by_database", origin=place.origin_id, error=type(error).__name__)
        return Withheld(
            external_event_id=row.entry.external_event_id,
            etag=row.entry.etag,
            reason="It holds a value that cannot be stored.",
        )
    return None


def _upsert(place: Place, rows: list[Row]) -> None:
    bulk.insert(place, [row for row in rows if row.pk is None])
    bulk.rewrite(place, [row for row in rows if row.pk is not None])


def _remember_withheld(calendar: Calendar, words: Words, refused: list[Withheld], known: set[str]) -> None:
    """Withhold what the batch says is to be; forget what it understands. `known`: what is withheld, brought up."""
    understood = {*(key for key, resource in words.resources.items() if names_master(resource)), *words.removed}
    if forgotten := (understood - words.withheld.keys()) & known:
        WithheldEvent.objects.filter(calendar=calendar, external_event_id__in=forgotten).delete()
        known -= forgotten
    withheld = {item.external_event_id: item for item in (*words.withheld.values(), *refused)}
    known |= withheld.keys()
    WithheldEvent.objects.bulk_create(
        [
            WithheldEvent(
                calendar=calendar,
                external_event_id=item.external_event_id,
                etag=item.etag,
                reason=item.reason.replace("\0", ""),
            )
            for item in withheld.values()
        ],
        update_conflicts=True,
        update_fields=["etag", "reason"],
        unique_fields=["calendar", "external_event_id"],
    )


def _count(pks: list[int], calendar: Calendar, changes: Changes, withheld: list[Withheld], *, now: datetime) -> None:
    counts = {name: getattr(changes, name) for name in ("created", "updated", "deleted", "withheld")}
    calendar_runs.brought(pks, calendar, counts=counts, held=changes.held, withheld=withheld, now=now)
    if pks and changes != Changes():
        AccountRun.objects.filter(pk__in=pks).update(
            events_created=F("events_created") + changes.created,
            events_updated=F("events_updated") + changes.updated,
            events_deleted=F("events_deleted") + changes.deleted,
            events_withheld=F("events_withheld") + changes.withheld,
        )


def rows_of(pks: list[int]) -> BusyBlockQuerySet:
    return BusyBlock.objects.filter(pk__in=pks)


def _batches(rows: list[Row]) -> Iterator[list[Row]]:
    for start in range(0, len(rows), _BATCH_ROWS):
        yield rows[start : start + _BATCH_ROWS]
