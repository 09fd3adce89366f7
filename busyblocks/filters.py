"""What the query of a list of busy blocks may ask."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo

from django.db.models import Q
from rest_framework.serializers import ValidationError

from busyblocks import moments, zones
from busyblocks.errors import BudgetExceeded, UnknownZone
from busyblocks.families import REQUEST_STEPS, DateZones, Family, families, zones_of_dates
from busyblocks.fields import STATUS_IN
from busyblocks.models import BusyBlock, BusyBlockQuerySet
from busyblocks.recurrence import SERIES_STEPS
from busyblocks.rules import Budget
from busyblocks.timespans import EARLIEST, LATEST, Span
from tenancy.filters import SDK_STATUSES
from tenancy.models import CrmUser

_SERIES = Q(recurring=True) | Q(this_and_future=True)


def status(word: str) -> Q:
    """Rows of a status, in the SDK's words or RFC 5545's; raises ValueError for a word of neither."""
    word = word.lower()
    if word in STATUS_IN:
        return Q(status=STATUS_IN[word])
    if word in SDK_STATUSES:
        return Q(pk__in=[])
    raise ValueError(f"Give one of: {', '.join(STATUS_IN)}.")


def zone_asked(query: Mapping[str, str]) -> tzinfo | None:
    """The zone that `time_zone` names; raises a ValidationError naming the parameter."""
    name = query.get("time_zone", "")
    try:
        return zones.zone(name) if name else None
    except UnknownZone as error:
        raise ValidationError({"time_zone": str(error)}) from None


def span_asked(query: Mapping[str, str]) -> Span | None:
    """The span between `start_time` and `end_time`; the missing one is the end of time, none of both no span.

    Wall times and dates are read in `time_zone`, else UTC. Raises a ValidationError naming the parameter.
    """
    start, end = (_bound(query, name) for name in ("start_time", "end_time"))
    if start is None and end is None:
        return None
    if start is not None and end is not None and end <= start:
        raise ValidationError({"end_time": "It must lie after start_time."})
    return Span(start or EARLIEST, end or LATEST)


def _bound(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name, "")
    tz = zone_asked(query) or UTC
    try:
        return moments.instant(moments.parsed(text), tz) if text else None
    except ValueError:
        raise ValidationError({name: "Give an ISO 8601 time, for example 2026-03-01T17:00:00Z."}) from None


def in_span(rows: BusyBlockQuerySet, user: CrmUser, span: Span, *, asked: tzinfo | None) -> BusyBlockQuerySet:
    """Those of the user's `rows` that show in the span, series by their instances; a fixed number of queries.

    Raises a ValidationError naming `end_time` where that is too much work.
    """
    dates = zones_of_dates(user, asked=asked)
    budget = Budget(REQUEST_STEPS)
    series: set[int] = set()
    try:
        for family in families(BusyBlock.objects.of(user), span, dates, led_by=_SERIES):
            series |= _showing(family, span, budget)
    except BudgetExceeded as error:
        raise ValidationError({"end_time": str(error)}) from None
    return rows.filter(_once(span) | _dates(span, dates, user) | Q(pk__in=series))


def _showing(family: Family, span: Span, budget: Budget) -> set[int]:
    """The rows of the series with an instance in the span; it is left at the first of each, so spans may be endless.

    What a series' own budget does not settle is shown: a row too many is better than one that is missing.
    """
    wanted = {row.pk for row in family.rows if row.entry.recurring or row.entry.this_and_future}
    found: set[int] = set()
    own = Budget(SERIES_STEPS)
    try:
        for row, _ in family.instances(span, own):
            found |= {row.pk} & wanted
            if found == wanted:
                break
    except BudgetExceeded:
        found = wanted
    budget.spend(SERIES_STEPS - own.left)
    return found


def _once(span: Span) -> Q:
    # An instant without length has its start in the span; everything else ends after the span starts.
    late_enough = Q(end_time__gt=span.start) | Q(start_time__gte=span.start)
    return Q(recurring=False, all_day=False, start_time__lt=span.end) & late_enough


def _dates(span: Span, dates: DateZones, user: CrmUser) -> Q:
    """All-day rows: a zone turns the span into the dates whose days meet it, and those are stored."""
    grouped: dict[tzinfo, list[int]] = {}
    for origin_id, tz in dates.by_origin.items():
        grouped.setdefault(tz, []).append(origin_id)
    others = ~Q(origin__in=list(dates.by_origin)) | Q(origin=None)
    found = _days_in(span, dates.of(None, user.pk)) & others
    for tz, origin_ids in grouped.items():
        found |= _days_in(span, tz) & Q(origin__in=origin_ids)
    return Q(recurring=False, all_day=True) & found


def _days_in(span: Span, tz: tzinfo) -> Q:
    first = zones.to_wall(span.start, tz).date()
    last = zones.to_wall(span.end - timedelta(seconds=1), tz).date()
    return Q(start_time__lte=datetime.combine(last, time(), UTC), end_time__gt=datetime.combine(first, time(), UTC))
