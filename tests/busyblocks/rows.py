"""Entries and rows for these tests, short enough to stand in a table."""

from datetime import UTC, datetime, timedelta
from typing import Any

from busyblocks.entries import Entry, fbtype_of
from busyblocks.models import BusyBlock, Origin
from busyblocks.moments import compact
from busyblocks.recurrence import recurs_until
from busyblocks.timespans import Span
from busyblocks.zones import to_utc, zone
from tenancy.models import CrmUser


def at(text: str) -> datetime:
    """ "2026-03-29 01:00" → that instant, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(start: str, end: str) -> Span:
    return Span(at(start), at(end))


def timed(start: str, minutes: int = 60, *, tz: str = "UTC", **facts: Any) -> Entry:
    """An entry that starts at a wall time of `tz` and lasts exactly so long."""
    wall = datetime.fromisoformat(start)
    start_time = to_utc(wall, zone(tz))
    facts.setdefault("local_start", "" if tz == "UTC" else compact(wall))
    return _entry(start_time=start_time, end_time=start_time + timedelta(minutes=minutes), time_zone=tz, **facts)


def days(first: str, count: int = 1, **facts: Any) -> Entry:
    """An all-day entry."""
    start = at(first)
    return _entry(start_time=start, end_time=start + timedelta(days=count), all_day=True, **facts)


def _entry(*, rule: str = "", **facts: Any) -> Entry:
    entry = Entry(recurrence_rule=rule, **facts)
    if "fbtype" not in facts:
        values = {**facts, "fbtype": fbtype_of(transparency=entry.transparency, status=entry.status)}
        entry = Entry(recurrence_rule=rule, **values)
    return entry


def write(user: CrmUser, *entries: Entry, origin: Origin | None = None, **columns: Any) -> list[BusyBlock]:
    """The entries as rows of the user, mirrored from `origin` where there is one."""
    blocks = [
        BusyBlock(
            company=user.company,
            user=user,
            origin=origin,
            recurs_until=recurs_until(entry) if entry.recurring else None,
            **{**entry.columns(), **({"external_event_id": entry.uid} if origin else {}), **columns},
        )
        for entry in entries
    ]
    return BusyBlock.objects.bulk_create(blocks)


def moment(text: str) -> str:
    """ "2026-03-29 01:00" → "20260329T010000Z", as recurrence ids, RDATEs and EXDATEs are written."""
    return compact(at(text))
