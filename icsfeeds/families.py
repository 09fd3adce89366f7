"""Which rows are one thing: a series and its overrides, a meeting and the copies that calendars report of it.

A reader takes every VEVENT of one UID for the same thing (RFC 5545 §3.8.4.7), so a feed must not hold two things
under one UID.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from busyblocks.models import FreeBusyType
from icsfeeds.rows import FeedRow


@dataclass(frozen=True, slots=True)
class Family:
    """A master (None: it is gone), its overrides, and the UID that is theirs alone in this feed."""

    uid: str
    master: FeedRow | None
    overrides: tuple[FeedRow, ...] = ()


def families(rows: Iterable[FeedRow]) -> Iterator[Family]:
    """The rows, each in one family, copies left out; in the order in which their UIDs appear.

    Of several families with the same UID the meeting is shown before a block made by hand, this before a mirrored
    row, one with a master before mere overrides, busy before free, and the higher SEQUENCE, the later change first.
    Blocks made by hand are never copies: those that share a UID get one of their own.
    """
    by_uid: dict[str, list[FeedRow]] = {}
    for row in rows:
        by_uid.setdefault(row.uid or f"{row.unique_id}@calendar", []).append(row)
    for uid, group in by_uid.items():
        if len(group) == 1 and not group[0].recurrence_id:
            yield Family(uid, group[0])
        else:
            yield from _of_one_uid(uid, group)


def _of_one_uid(uid: str, group: list[FeedRow]) -> Iterator[Family]:
    resources: dict[tuple[object, ...], list[FeedRow]] = {}
    for row in group:
        resources.setdefault((row.origin_id, row.meeting_key, row.external_event_id), []).append(row)
    best = max(resources.values(), key=_rank)
    masters = [row for row in best if not row.recurrence_id]
    if not masters:
        # Nothing but overrides: an instance may be known from one calendar and another one from the next.
        yield Family(uid, None, tuple(_once_each(row for rows in resources.values() for row in rows)))
        return
    yield Family(uid, masters[0], tuple(_once_each(row for row in best if row.recurrence_id)))
    for row in masters[1:]:
        yield Family(f"{uid}/{row.unique_id}", row)
    for rows in resources.values():
        if rows is not best and rows[0].origin_id is None and not rows[0].meeting_key:
            for row in rows:
                yield Family(f"{uid}/{row.unique_id}", row._replace(recurrence_id=""))


def _rank(rows: list[FeedRow]) -> tuple[object, ...]:
    master = next((row for row in rows if not row.recurrence_id), None)
    shown = master or rows[0]
    return (
        bool(shown.meeting_key),
        shown.origin_id is None,
        master is not None,
        shown.fbtype != FreeBusyType.FREE,
        shown.sequence,
        shown.updated_at,
        str(shown.unique_id),
    )


def _once_each(overrides: Iterable[FeedRow]) -> Iterator[FeedRow]:
    """One override of each instance: the best, as among families."""
    by_instance: dict[str, FeedRow] = {}
    for row in overrides:
        known = by_instance.get(row.recurrence_id)
        if known is None or _rank([row]) > _rank([known]):
            by_instance[row.recurrence_id] = row
    yield from by_instance.values()
