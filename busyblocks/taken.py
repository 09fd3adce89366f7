"""What takes a user's time inside a span, read in as few rows as the database can make of it.

Inside the horizon one statement reads single rows and prepared occurrences, from one snapshot, and PostgreSQL merges
them before anything leaves it; outside, series are expanded. A span may be cut anywhere without changing the answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from busyblocks import prepared
from busyblocks.families import REQUEST_STEPS, DateZones, families
from busyblocks.models import BusyBlock, FreeBusyType, Occurrence, in_span
from busyblocks.recurrence import days
from busyblocks.rules import Budget
from busyblocks.timespans import EARLIEST, LATEST, Span
from tenancy.models import CrmUser

_DAY = timedelta(days=1)
# Free overrides are needed: they take the place of a busy instance.
_MAY_BE_BUSY = ~Q(recurrence_id="", fbtype=FreeBusyType.FREE)
# Overlapping and adjacent spans of a user and type become one: a new one begins where all before it have ended.
_MERGED = """
WITH taken (user_id, origin_id, all_day, fbtype, start_time, end_time) AS ({taken}),
timed AS (
    SELECT user_id, fbtype, greatest(start_time, %s) AS start_time, least(end_time, %s) AS end_time
    FROM taken WHERE NOT all_day AND start_time < end_time AND start_time < %s AND end_time > %s
),
marked AS (
    SELECT *, max(end_time) OVER (
        PARTITION BY user_id, fbtype ORDER BY start_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ) AS so_far
    FROM timed
),
numbered AS (
    SELECT *, count(*) FILTER (WHERE so_far IS NULL OR so_far < start_time) OVER (
        PARTITION BY user_id, fbtype ORDER BY start_time ROWS UNBOUNDED PRECEDING
    ) AS number
    FROM marked
)
SELECT user_id, NULL::bigint, false, fbtype, min(start_time), max(end_time) FROM numbered
GROUP BY user_id, fbtype, number
UNION ALL
SELECT DISTINCT user_id, origin_id, true, fbtype, start_time, end_time FROM taken WHERE all_day
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A stretch of one user's time under one type; not yet disjoint from others."""

    user_pk: int
    fbtype: str
    span: Span


def taken(users: Sequence[CrmUser], span: Span, dates: DateZones) -> list[Taken]:
    """All that takes these users' time in the span, clipped to it, dates read by `dates`.

    A fixed number of queries, however many users and rows. Raises `BudgetExceeded`.
    """
    ready = prepared.horizons(users)
    found: list[Taken] = []
    near = _common(ready.values(), span)
    if near is None:
        ready = {}
    else:
        found += _read(list(ready), near, dates)
    budget = Budget(REQUEST_STEPS)
    for part in _around(span, near) if near and ready else []:
        found += _expanded([user for user in users if user.pk in ready], part, dates, budget)
    if others := [user for user in users if user.pk not in ready]:
        found += _expanded(others, span, dates, budget)
    return found


def _common(horizons: Iterable[Span], span: Span) -> Span | None:
    """The part of the span that is prepared for all of them."""
    found = list(horizons)
    if not found:
        return None
    start = max(span.start, *(horizon.start for horizon in found))
    end = min(span.end, *(horizon.end for horizon in found))
    return Span(start, end) if start < end else None


def _around(span: Span, part: Span) -> list[Span]:
    outside = [Span(span.start, part.start), Span(part.end, span.end)]
    return [piece for piece in outside if not piece.empty]


def _read(user_pks: list[int], span: Span, dates: DateZones) -> list[Taken]:
    # Dates begin and end up to a day before or after the same dates in UTC.
    wide = Span(max(span.start - _DAY, EARLIEST), min(span.end + _DAY, LATEST))
    blocks = BusyBlock.objects.busy().without_copies()
    here = Q(user__in=user_pks) & in_span(wide.start, wide.end)
    columns = ("user_id", "origin_id", "all_day", "fbtype", "start_time", "end_time")
    singles = blocks.singles().filter(here).order_by().values_list(*columns)
    rows = Occurrence.objects.filter(here, block__in=blocks.series().filter(user__in=user_pks).order_by())
    series = rows.values_list(
        "user_id", "block__origin_id", "block__all_day", "block__fbtype", "start_time", "end_time"
    )
    both = singles.union(series, all=True)
    return _of_rows(_merged(both, span) if connection.vendor == "postgresql" else both, span, dates)


def _merged(rows: Any, span: Span) -> Iterable[Any]:
    statement, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        bounds = (span.start, span.end, span.end, span.start)
        cursor.execute(_MERGED.format(taken=statement), (*parameters, *bounds))
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _of_rows(rows: Iterable[Any], span: Span, dates: DateZones) -> list[Taken]:
    found = []
    for user_pk, origin_id, all_day, fbtype, start, end in rows:
        covered = Span(start, end)
        if all_day:
            covered = days(covered, dates.of(origin_id, user_pk))
        clipped = span.clip(covered)
        if not clipped.empty:
            found.append(Taken(user_pk, fbtype, clipped))
    return found


def _expanded(users: Sequence[CrmUser], span: Span, dates: DateZones, budget: Budget) -> list[Taken]:
    rows = BusyBlock.objects.filter(user__in=users).without_copies()
    found = []
    for family in families(rows, span, dates, led_by=_MAY_BE_BUSY):
        for _, instance in family.instances(span, budget):
            if instance.entry.fbtype != FreeBusyType.FREE:
                clipped = span.clip(instance.span(family.dates_in))
                found.append(Taken(family.user_id, instance.entry.fbtype, clipped))
    return found
