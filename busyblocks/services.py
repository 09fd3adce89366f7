"""Busy blocks written by hand: made, changed and taken away, each with the revision of its user in one transaction."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F

from busyblocks import density, overrides
from busyblocks.entries import ENTRY_COLUMNS, Entry, entry_of
from busyblocks.errors import BlockIsMirrored
from busyblocks.families import Key
from busyblocks.models import BusyBlock, Source
from busyblocks.prepared import key_of, revised
from busyblocks.recurrence import recurs_until
from tenancy.models import CrmUser

# Columns that an entry of another source decides, and that a hand-written row keeps for itself.
_OWN = {"uid", "sequence", "etag", "recurrence_id", "this_and_future", "classification"}
_WRITTEN = tuple(name for name in ENTRY_COLUMNS if name not in _OWN)


def create(
    user: CrmUser,
    entry: Entry,
    *,
    source: str = Source.MANUAL,
    source_id: str = "",
    metadata: dict[str, Any] | None = None,
    unique_id: UUID | None = None,
    now: datetime,
) -> BusyBlock:
    """A new row of the user. Its UID is made from its public id, so that every feed names it the same for ever.

    Raises `RuleRefused` where the user's series would recur too often.
    """
    density.check_user(user, entry)
    block = BusyBlock(company_id=user.company_id, user=user, source=source or Source.MANUAL, source_id=source_id)
    block.unique_id = unique_id or block.unique_id
    block.metadata = metadata or {}
    _take(block, entry)
    block.uid = f"{block.unique_id}@{urlsplit(settings.PUBLIC_URL).hostname or 'localhost'}"
    with transaction.atomic():
        block.save(force_insert=True)
        revised(user.pk, at=now, series=_series(block))
    return block


def change(
    block: BusyBlock,
    entry: Entry,
    *,
    source: str | None = None,
    source_id: str | None = None,
    metadata: dict[str, Any] | None = None,
    now: datetime,
) -> BusyBlock:
    """The row as `entry` says it is now; what is None stays. Raises `BlockIsMirrored`, `BudgetExceeded`,
    `RuleRefused`.

    The overrides and EXDATEs of a series go along with the instances that they name; an override of an instance that
    the series no longer has goes away. The caller holds the row's lock where others may change it at the same time.
    """
    check_editable(block)
    if entry.recurrence_rule != block.recurrence_rule:
        density.check_user(block.user, entry, but=block)
    before = _series(block)
    with transaction.atomic():
        if before and not block.recurrence_id:
            entry = overrides.carry(block, entry)
        _take(block, entry)
        return _save(block, before, source=source, source_id=source_id, metadata=metadata, now=now)


def override(
    master: BusyBlock,
    entry: Entry,
    *,
    source: str | None = None,
    source_id: str | None = None,
    metadata: dict[str, Any] | None = None,
    now: datetime,
) -> BusyBlock:
    """The one instance that `entry.recurrence_id` names, as `entry` says; its row, new or changed.

    The caller holds the lock of the master's row. Raises `BlockIsMirrored`.
    """
    check_editable(master)
    entry = replace(entry, external_event_id=master.external_event_id)
    row = overrides.of(master).filter(recurrence_id=entry.recurrence_id).first()
    if row is not None:
        _take(row, entry)
        return _save(row, _series(row), source=source, source_id=source_id, metadata=metadata, now=now)
    row = BusyBlock(company_id=master.company_id, user_id=master.user_id, uid=master.uid)
    row.recurrence_id = entry.recurrence_id
    row.source = master.source if source is None else source or Source.MANUAL
    row.source_id = master.source_id if source_id is None else source_id
    row.metadata = master.metadata if metadata is None else metadata
    _take(row, entry)
    with transaction.atomic():
        row.save(force_insert=True)
        revised(row.user_id, at=now, series=_series(row))
    return row


def _save(
    block: BusyBlock,
    before: set[Key],
    *,
    source: str | None,
    source_id: str | None,
    metadata: dict[str, Any] | None,
    now: datetime,
) -> BusyBlock:
    block.source = block.source if source is None else source or Source.MANUAL
    block.source_id = block.source_id if source_id is None else source_id
    block.metadata = block.metadata if metadata is None else metadata
    with transaction.atomic():
        block.save(update_fields=[*_WRITTEN, "recurs_until", "source", "source_id", "metadata", "updated_at"])
        # Counted where it is stored: two changes at once are two revisions of the event (RFC 5545 §3.8.7.4).
        BusyBlock.objects.filter(pk=block.pk).update(sequence=F("sequence") + 1)
        revised(block.user_id, at=now, series=before | _series(block))
    block.refresh_from_db(fields=["sequence"])
    return block


def touch(block: BusyBlock, *, now: datetime) -> BusyBlock:
    """Tell of a change in the overrides of a series, whose own row is as it was."""
    revised(block.user_id, at=now, series=_series(block))
    return block


def delete(block: BusyBlock, *, now: datetime) -> None:
    """The row is gone, of a series its overrides too; of an override, its instance. Raises `BlockIsMirrored`."""
    check_editable(block)
    series = _series(block)
    with transaction.atomic():
        master = overrides.master_of(block)
        if series and not block.recurrence_id:
            overrides.of(block).delete()
        block.delete()
        revised(block.user_id, at=now, series=series)
        if master is not None:
            entry = entry_of(master)
            change(master, replace(entry, exdates=(*entry.exdates, block.recurrence_id)), now=now)


def check_editable(block: BusyBlock) -> None:
    """Raises `BlockIsMirrored`, saying where to change it, unless the row was written by hand."""
    if block.meeting_key:
        raise BlockIsMirrored("it is the time of a meeting, so change the booking itself")
    if not block.editable:
        raise BlockIsMirrored(f"it is mirrored from a {block.source} calendar, so change the event there")


def _series(block: BusyBlock) -> set[Key]:
    key = key_of(block, origin_id=block.origin_id)
    return {key} if key is not None else set()


def _take(block: BusyBlock, entry: Entry) -> None:
    columns = entry.columns()
    for name in _WRITTEN:
        setattr(block, name, columns[name])
    block.recurs_until = recurs_until(entry) if entry.recurring else None
