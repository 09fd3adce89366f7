"""What takes a user's time inside a span, read in as few rows as the database can make of it.

Inside the horizon one statement reads single rows and prepared occurrences, from one snapshot, and PostgreSQL merges
them before anything leaves it; outside, series are expanded. A span may be cut anywhere without changing the answer.
What was merged is kept in the cache under the very state of the ledger that it was read from, so a change is seen at
once, and a lost cache costs one statement.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import tzinfo
from functools import cached_property
from typing import Any

import structlog
from django.core.cache import cache
from django.db import connection
from django.db.models import Q

from busyblocks import prepared
from busyblocks.families import REQUEST_STEPS, DateZones, families, zones_of_dates
from busyblocks.models import BusyBlock, FreeBusyType, Occurrence, in_span_by_length
from busyblocks.prepared import Ready
from busyblocks.recurrence import days
from busyblocks.rules import Budget
from busyblocks.timespans import Span, Stretch, clipped, merge, moment, seconds, stretch
from tenancy.models import CrmUser

log = structlog.get_logger("ledger")

_DAY = 24 * 3600
# What is read is kept in chunks of so many seconds, whole chunks since 1970, for the next question.
_CHUNK = 28 * _DAY
_KEPT_SECONDS = 7 * _DAY
# Of one chunk of one user: by type, the bounds of what is taken, merged, one after the other: since, until, since, …;
# and for dates (origin, type, since, until), those too that are days of the chunk in some zone only. Unix seconds.
Chunk = tuple[dict[str, list[int]], list[tuple[int | None, str, int, int]]]
# Free overrides are needed: they take the place of a busy instance.
_MAY_BE_BUSY = ~Q(recurrence_id="", fbtype=FreeBusyType.FREE)
# Of what starts together only the longest counts: the starts of a busy calendar are few, and merging is what costs.
# They are grouped by start first, because it alone orders most of them.
_MERGED = """
WITH taken (user_id, origin_id, all_day, fbtype, start_time, end_time) AS ({taken}),
longest AS (
    SELECT user_id, CASE WHEN all_day THEN origin_id END AS origin_id, all_day, fbtype, start_time,
        max(end_time) AS end_time
    FROM taken GROUP BY start_time, 1, 4, 3, 2
),
timed AS (
    SELECT user_id, fbtype, unnest(range_agg(tstzrange(greatest(start_time, %s), least(end_time, %s)))) AS span
    FROM longest WHERE NOT all_day AND start_time < end_time AND start_time < %s AND end_time > %s
    GROUP BY user_id, fbtype
)
SELECT user_id, NULL::bigint, false, fbtype,
    floor(extract(epoch FROM lower(span)))::bigint, floor(extract(epoch FROM upper(span)))::bigint
FROM timed
UNION ALL
SELECT user_id, origin_id, true, fbtype,
    floor(extract(epoch FROM start_time))::bigint, floor(extract(epoch FROM end_time))::bigint
FROM longest WHERE all_day
"""


# By user and type: what is taken, disjoint, the earliest first.
Taken = dict[int, dict[str, list[Stretch]]]


class _Dates:
    """Where dates are read; asked of the database only when there are dates."""

    def __init__(self, users: Sequence[CrmUser], asked: tzinfo | None) -> None:
        self._users, self._asked = users, asked

    @cached_property
    def zones(self) -> DateZones:
        return zones_of_dates(*self._users, asked=self._asked)


def taken(users: Sequence[CrmUser], span: Span, asked: tzinfo | None) -> Taken:
    """All that takes these users' time in the span, clipped to it; dates are read in the zone asked for, else each
    calendar's, else the user's, else UTC. In whole seconds.

    A fixed number of queries, however many users and rows. Raises `BudgetExceeded`.
    """
    found: Taken = {user.pk: defaultdict(list) for user in users}
    dates = _Dates(users, asked)
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
    within = stretch(span)
    return {
        pk: {fbtype: clipped(merge(stretches), within) for fbtype, stretches in by_type.items()}
        for pk, by_type in found.items()
    }


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


def _add_prepared(found: Taken, ready: Mapping[int, Ready], span: Span, dates: _Dates) -> None:
    """What is prepared for these users, from what earlier questions left where it is about the same ledger."""
    within = stretch(span)
    if within[0] == within[1]:
        return
    numbers = range(within[0] // _CHUNK, (within[1] - 1) // _CHUNK + 1)
    known = _kept(ready, numbers)
    wanting = [user_pk for user_pk in ready if any((user_pk, number) not in known for number in numbers)]
    if wanting:
        made = _read(wanting, numbers)
        _keep({_name(ready[user_pk], user_pk, number): chunk for (user_pk, number), chunk in made.items()})
        known |= made
    for (user_pk, _), (timed, all_day) in known.items():
        by_type = found[user_pk]
        for fbtype, bounds in timed.items():
            each = iter(bounds)
            by_type[fbtype] += clipped(list(zip(each, each, strict=True)), within)
        for origin_id, fbtype, since, until in all_day:
            covered = days(Span(moment(since), moment(until)), dates.zones.of(origin_id, user_pk))
            by_type[fbtype] += clipped([stretch(covered)], within)


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
    # Counted up with every change of what a chunk holds: processes of two releases share one cache.
    return f"taken/2:{user_pk}:{horizon.version}:{number}"


def _read(user_pks: list[int], numbers: range) -> dict[tuple[int, int], Chunk]:
    made: dict[tuple[int, int], Chunk] = {(pk, number): ({}, []) for pk in user_pks for number in numbers}
    timed: dict[tuple[int, str], list[Stretch]] = defaultdict(list)
    for user_pk, origin_id, all_day, fbtype, since, until in _rows(user_pks, numbers):
        if not all_day:
            timed[user_pk, fbtype].append((since, until))
            continue
        # Dates begin and end up to a day before or after the same dates in UTC.
        for number in _touched(since - _DAY, until + _DAY, numbers):
            made[user_pk, number][1].append((origin_id, fbtype, since, until))
    for (user_pk, fbtype), stretches in timed.items():
        for since, until in merge(stretches):
            for number in _touched(since, until, numbers):
                bounds = made[user_pk, number][0].setdefault(fbtype, [])
                bounds += max(since, number * _CHUNK), min(until, (number + 1) * _CHUNK)
    return made


def _rows(user_pks: list[int], numbers: range) -> Iterable[tuple[int, int | None, bool, str, int, int]]:
    """What takes time in these chunks, and dates of a day around them: user, origin, all-day, type, since, until."""
    span = Span(moment(numbers[0] * _CHUNK), moment((numbers[-1] + 1) * _CHUNK))
    singles = BusyBlock.objects.busy().without_copies().singles().filter(user__in=user_pks).order_by()
    # The user again: PostgreSQL joins all of a user's series at once.
    series = Occurrence.objects.busy().filter(user__in=user_pks, block__user__in=user_pks)
    own = ("user_id", "origin_id", "all_day", "fbtype", "start_time", "end_time")
    of_block = ("user_id", "block__origin_id", "block__all_day", "block__fbtype", "start_time", "end_time")
    first, *others = (
        rows.filter(here).values_list(*columns)
        for rows, columns in ((singles, own), (series, of_block))
        for here in in_span_by_length(moment(seconds(span.start) - _DAY), moment(seconds(span.end) + _DAY))
    )
    rows = first.union(*others, all=True)
    if connection.vendor == "postgresql":
        return _merged(rows, span)
    return ((*values, seconds(start), seconds(end)) for *values, start, end in rows)


def _touched(since: int, until: int, numbers: range) -> range:
    return range(max(numbers[0], since // _CHUNK), min(numbers[-1], (until - 1) // _CHUNK) + 1)


def _merged(rows: Any, span: Span) -> Iterable[Any]:
    statement, parameters = rows.query.sql_with_params()
    with connection.cursor() as cursor:
        bounds = (span.start, span.end, span.end, span.start)
        cursor.execute(_MERGED.format(taken=statement), (*parameters, *bounds))
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def _add_expanded(found: Taken, users: Sequence[CrmUser], span: Span, dates: _Dates, budget: Budget) -> None:
    rows = BusyBlock.objects.filter(user__in=users).without_copies()
    for family in families(rows, span, dates.zones, led_by=_MAY_BE_BUSY):
        for _, instance in family.instances(span, budget):
            if instance.entry.fbtype != FreeBusyType.FREE:
                covered = stretch(span.clip(instance.span(family.dates_in)))
                found[family.user_id][instance.entry.fbtype].append(covered)
