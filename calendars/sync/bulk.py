"""Many ledger rows in one go.

On PostgreSQL new rows go in by COPY, four times as fast as the INSERT that Django builds; elsewhere by bulk_create.
"""

import json
from collections.abc import Sequence
from typing import Any

from django.db import models
from django.utils import timezone

from busyblocks import copying
from busyblocks.entries import ENTRY_COLUMNS
from busyblocks.models import BusyBlock

# What a mirrored row says again at each change.
_WRITTEN = [*ENTRY_COLUMNS, "recurs_until", "absent_since", "updated_at"]
_INSERTED = [field for field in BusyBlock._meta.concrete_fields if not field.primary_key and not field.generated]
_AS_JSON = tuple(number for number, field in enumerate(_INSERTED) if isinstance(field, models.JSONField))


def insert(rows: Sequence[BusyBlock]) -> None:
    """New rows, all or none; their keys are not filled in. Raises the database's own errors."""
    if not rows:
        return
    if not copying.can_copy():
        BusyBlock.objects.bulk_create(rows)
        return
    now = timezone.now()
    for row in rows:
        row.created_at = row.updated_at = now
    columns = [str(field.column) for field in _INSERTED]
    copying.copy(BusyBlock._meta.db_table, columns, map(_values, rows))


def rewrite(rows: Sequence[BusyBlock]) -> None:
    """Known rows, by their keys: a bulk_update builds a CASE for each column and is ten times slower."""
    if rows:
        BusyBlock.objects.bulk_create(rows, update_conflicts=True, update_fields=_WRITTEN, unique_fields=["id"])


def _values(row: BusyBlock) -> list[Any]:
    values = [getattr(row, field.attname) for field in _INSERTED]
    for number in _AS_JSON:
        values[number] = json.dumps(values[number])
    return values
