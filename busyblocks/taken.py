"""What takes a user's time inside a span, read in as few rows as the database can make of it.

Inside the horizon one statement reads single rows and prepared occurrences, from one snapshot, and PostgreSQL merges
them before anything leaves it; outside, series are expanded. A span may be cut anywhere without changing the answer.
What was merged is kept in the cache under the very state of the ledger that it was read from, so a change is seen at
once, and a lost cache costs one statement.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from django.core.cache import cache
from django.db import connection
from django.db.models import Q

from busyblocks import prepared
from busyblocks.families import REQUEST_STEPS, DateZones, families
from busyblocks.models import BusyBlock, FreeBusyType, Occurrence, in_span
from busyblocks.prepared import Ready
from busyblocks.recurrence import days
from busyblocks.rules import Budget
from busyblocks.timespans import Span, merge
from tenancy.models import CrmUser

log = structlog.get_logger("ledger")

_DAY = 24 * 3600
# What is read is kept in chunks of so many seconds, whole chunks since 1970, for the next question.
_CHUNK = 28 * _DAY
_KEPT_SECONDS = 7 * _DAY
# Of one chunk of one user: (type, since, until), merged, and for dates (origin, type, since, until); Unix seconds.
Chunk = tuple[list[tuple[str, int, int]], list[tuple[int | None, str, int, int]]]
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


# By user and type: spans that are taken, in any order.
Taken = dict[int, dict[str, list[Span]]]


def taken(users: Sequence[CrmUser], span: Span, dates: DateZones) -> Taken:
    """All that takes these users' time in the span, clipped to it, dates read by `dates`.

    A fixed number of queries, however many users and rows. Raises `BudgetExceeded`.
    """
    found: Taken = {user.pk: defaultdict(list) for user in users}
    ready = prepared.horizons(users)
    near = _common([horizon.span for horizon in ready.values()], span)
    if near is None:
        ready = {}
    else:
        _add_prepared(found, ready, near, dates)
    budget = Budget(REQUEST_STEPS)
    for part in _around(span, near) if near and ready else []:
        _add_expanded(found, [user for user in users if user.pk in ready], part, dates, budget)
    if others := [user for user in users if user.pk not in ready]:
        _add_expanded(found, others, span, dates, budget)
    return found


def _common(horizons: Sequence[Span], span: Span) -> Span | None:
    """The part of the span that is prepared for all of them."""
    if not horizons:
        return None
    start = max(span.start, *(horizon.start for horizon in horizons))
    end = min(span.end, *(horizon.end for horizon in horizons))
    return Span(start, end) if start < end else None


def _around(span: Span, part: Span) -> list[Span]:
    outside = [Span(span.start, part.start), Span(part.end, span.end)]
    return [piece for piece in outside if not piece.empty]


def _add_prepared(found: Taken, ready: Mapping[int, Ready], span: Span, dates: DateZones) -> None:
    """What is prepared for these users, from what earlier questions left where it is about the same ledger."""
    first, beyond = span.start.timestamp() // _CHUNK, -(-span.end.timestamp() // _CHUNK)
    numbers = range(int(first) - 1, int(beyond) + 1)
    # A chunk on each side more: dates begin and end up to a day before or after the same dates in UTC.
    known = _kept(ready, numbers)
    wanting = [user_pk for user_pk in ready if any((user_pk, number) not in known for number in numbers)]
    if wanting:
        made = _read(wanting, numbers)
        _keep({_name(ready[user_pk], user_pk, number): chunk for (user_pk, number), chunk in made.items()})
        known |= made
    start, end = int(span.start.timestamp()), int(span.end.timestamp())
    for (user_pk, _), (timed, all_day) in known.items():
        by_type = found[user_pk]
        for fbtype, since, until in timed:
            if since < end and until > start:
                clipped = Span(_instant(max(since, start)), _instant(min(until, end)))
                by_type[fbtype].append(clipped)
        for origin_id, fbtype, since, until in all_day:
            covered = days(Span(_instant(since), _instant(until)), dates.of(origin_id, user_pk))
            clipped = span.clip(covered)
            if not clipped.empty:
                by_type[fbtype].append(clipped)


def _kept(ready: Mapping[int, Ready], numbers: range) -> dict[tuple[int, int], Chunk]:
    names = {_name(horizon, pk, number): (pk, number) for pk, horizon in ready.items() for number in numbers}
    try:
        return {names[name]: chunk for name, chunk in cache.get_many(names).items()}
    # Whatever ails the cache (each backend has errors of its own), the database answers.
    except Exception as error:  # noqa: BLE001
        log.warning("free_busy_cache_unavailable", error=type(error).__name__)
        return {}


def _keep(chunks: dict[str, Chunk]) -> None:
    try:
        cache.set_many(chunks, _KEPT_SECONDS)
    except Exception as error:  # noqa: BLE001
        log.warning("free_busy_cache_unavailable", error=type(error).__name__)


def _name(horizon: Ready, user_pk: int, number: int) -> str:
    return f"taken:{user_pk}:{horizon.version}:{number}"


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _read(user_pks: list[int], numbers: range) -> dict[tuple[int, int], Chunk]:
    span = Span(_instant(numbers[0] * _CHUNK), _instant((numbers[-1] + 1) * _CHUNK))
    made: dict[tuple[int, int], Chunk] = {(pk, number): ([], []) for pk in user_pks for number in numbers}
    blocks = BusyBlock.objects.busy().without_copies()
    here = Q(user__in=user_pks) & in_span(span.start, span.end)
    columns = ("user_id", "origin_id", "all_day", "fbtype", "start_time", "end_time")
    singles = blocks.singles().filter(here).order_by().values_list(*columns)
    rows = Occurrence.objects.filter(here, block__in=blocks.series().filter(user__in=user_pks).order_by())
    of_block = ("block__origin_id", "block__all_day", "block__fbtype")
    series = rows.values_list("user_id", *of_block, "start_time", "end_time")
    both = singles.union(series, all=True)
    timed: dict[tuple[int, str], list[Span]] = defaultdict(list)
    for user_pk, origin_id, all_day, fbtype, start, end in _merged(both, span) if _can_merge() else both:
        if not all_day:
            timed[user_pk, fbtype].append(Span(start, end))
            continue
        since, until = int(start.timestamp()), int(end.timestamp())
        for number in _touched(since - _DAY, until + _DAY, numbers):
            made[user_pk, number][1].append((origin_id, fbtype, since, until))
    for (user_pk, fbtype), spans in timed.items():
        for one in merge(spans):
            since, until = int(one.start.timestamp()), int(one.end.timestamp())
            for number in _touched(since, until, numbers):
                part = max(since, number * _CHUNK), min(until, (number + 1) * _CHUNK)
                made[user_pk, number][0].append((fbtype, *part))
    return made


def _touched(since: int, until: int, numbers: range) -> range:
    return range(max(numbers[0], since // _CHUNK), min(numbers[-1], (until - 1) // _CHUNK) + 1)


def _can_merge() -> bool:
    return connection.vendor == "postgresql"


def _merged(rows: Any, span: Span) -> Iterable[Any]:
    statement, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        bounds = (span.start, span.end, span.end, span.start)
        cursor.execute(_MERGED.format(taken=statement), (*parameters, *bounds))
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _add_expanded(found: Taken, users: Sequence[CrmUser], span: Span, dates: DateZones, budget: Budget) -> None:
    rows = BusyBlock.objects.filter(user__in=users).without_copies()
    for family in families(rows, span, dates, led_by=_MAY_BE_BUSY):
        for _, instance in family.instances(span, budget):
            if instance.entry.fbtype != FreeBusyType.FREE:
                clipped = span.clip(instance.span(family.dates_in))
                found[family.user_id][instance.entry.fbtype].append(clipped)
