"""Many ledger rows in one go.

On PostgreSQL new rows go in by COPY, four times as fast as the INSERT that Django builds, and straight from their
entries: a model instance for each would cost as much again. Elsewhere they go in by bulk_create.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.db import models
from django.utils import timezone

from busyblocks import copying
from busyblocks.entries import ENTRY_COLUMNS, ENTRY_FIELDS, Entry
from busyblocks.models import BusyBlock
from tenancy.models import new_unique_id

# What a mirrored row says again at each change.
_WRITTEN = [*ENTRY_COLUMNS, "recurs_until", "absent_since", "updated_at"]
# COPY, column by column: what is the entry's own, what is made of it, and what all rows of a calendar share.
_PLAIN = tuple(name for name in ENTRY_FIELDS if name not in {"rdates", "exdates"})
_MADE = ("rdates", "exdates", "recurring", "recurs_until", "unique_id")
_SHARED = tuple(
    field
    for field in BusyBlock._meta.concrete_fields
    if not field.primary_key and not field.generated and field.attname not in {*_PLAIN, *_MADE}
)
_COLUMNS = (*_PLAIN, *_MADE, *(str(field.column) for field in _SHARED))
_plain = attrgetter(*_PLAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Whose rows they are, and which calendar they are mirrored from."""

    company_id: int
    user_id: int
    origin_id: int
    source: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row to be written. recurs_until: derived from the entry; pk: of a row that there is, None for a new one."""

    entry: Entry
    recurs_until: datetime | None
    pk: int | None = None


def insert(place: Place, rows: Sequence[Row]) -> None:
    """New rows, all or none. Raises the database's own errors."""
    if not rows:
        return
    if copying.can_copy():
        copying.copy(BusyBlock._meta.db_table, _COLUMNS, _copied(place, rows))
    else:
        BusyBlock.objects.bulk_create([_block(place, row) for row in rows])


def rewrite(place: Place, rows: Sequence[Row]) -> None:
    """Known rows, by their keys: a bulk_update builds a CASE for each column and is ten times slower."""
    if rows:
        blocks = [_block(place, row) for row in rows]
        BusyBlock.objects.bulk_create(blocks, update_conflicts=True, update_fields=_WRITTEN, unique_fields=["id"])


def _block(place: Place, row: Row) -> BusyBlock:
    return BusyBlock(
        pk=row.pk,
        company_id=place.company_id,
        user_id=place.user_id,
        origin_id=place.origin_id,
        source=place.source,
        recurs_until=row.recurs_until,
        **row.entry.columns(),
    )


def _copied(place: Place, rows: Sequence[Row]) -> Iterator[tuple[Any, ...]]:
    """Values in the order of `_COLUMNS`; what is shared is as the model has it by itself."""
    now = timezone.now()
    pattern = _block(place, rows[0])
    pattern.created_at = pattern.updated_at = now
    values = ((field, getattr(pattern, field.attname)) for field in _SHARED)
    shared = [json.dumps(value) if isinstance(field, models.JSONField) else value for field, value in values]
    for row in rows:
        entry = row.entry
        dates = _json(entry.rdates), _json(entry.exdates)
        yield (*_plain(entry), *dates, entry.recurring, row.recurs_until, new_unique_id(), *shared)


def _json(dates: tuple[str, ...]) -> str:
    return json.dumps(dates) if dates else "[]"
