"""What lists show of a span: rows by their instances, or the instances themselves.

Inside the horizon instances are read as they were prepared, outside of it series are expanded; both say the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from itertools import islice
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.serializers import ValidationError

from busyblocks import prepared, zones
from busyblocks.errors import BudgetExceeded
from busyblocks.families import REQUEST_STEPS, DateZones, Family, families, series_name, zones_of_dates
from busyblocks.models import BusyBlock, BusyBlockQuerySet, Occurrence
from busyblocks.models import in_span as near_span
from busyblocks.recurrence import SERIES_STEPS
from busyblocks.rules import Budget
from busyblocks.timespans import Span
from tenancy.models import CrmUser

# More instances than this in one span are no page of anything: a tenth of a second of work, and some megabytes.
MAX_INSTANCES = 50_000
_SERIES = Q(recurring=True) | Q(this_and_future=True)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where one instance stands in a list: by time, then by row. start, end as in the row, dates as 00:00 UTC."""

    start: datetime
    row_pk: int
    recurrence_id: str
    end: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """One instance of `block`, a single one or one of a series. series_unique_id: of the series' block; "": none."""

    block: BusyBlock
    start: datetime
    end: datetime
    recurrence_id: str
    series_unique_id: str

    @property
    def public_id(self) -> str:
        """Stable as long as the series has this instance, whether or not it was changed."""
        if not self.series_unique_id:
            return str(self.block.unique_id)
        return f"{self.series_unique_id}_{self.recurrence_id}"


def in_span(rows: BusyBlockQuerySet, user: CrmUser, span: Span, *, asked: tzinfo | None) -> BusyBlockQuerySet:
    """Those of the user's `rows` that show in the span, series by their instances; a fixed number of queries.

    Raises a ValidationError naming `end_time` where that is too much work.
    """
    dates = zones_of_dates(user, asked=asked)
    prepared_part, others = _parts(user, span)
    budget = Budget(REQUEST_STEPS)
    series: set[int] = set()
    try:
        for part in others:
            for family in families(BusyBlock.objects.of(user), part, dates, led_by=_SERIES):
                series |= _showing(family, part, budget)
    except BudgetExceeded as error:
        raise ValidationError({"end_time": str(error)}) from None
    shows = Q(recurring=False) & _meets(span, dates, user) | Q(pk__in=series)
    if prepared_part is not None:
        shows |= Q(pk__in=_occurrences(user, prepared_part, dates).values("block"))
    return rows.filter(shows)


def instances_in(rows: BusyBlockQuerySet, user: CrmUser, span: Span, *, asked: tzinfo | None) -> list[Place]:
    """The instances of the user's `rows` that show in the span, by time; a fixed number of queries.

    Cancelled instances of a series are none; single rows show whatever their status. Raises a ValidationError naming
    `end_time` where that is too much work, or more than `MAX_INSTANCES`.
    """
    dates = zones_of_dates(user, asked=asked)
    prepared_part, others = _parts(user, span)
    columns = ("start_time", "pk", "recurrence_id", "end_time")
    singles = rows.singles().filter(near_span(span.start - _DAY, span.end + _DAY)).filter(_meets(span, dates, user))
    found = {Place(*values) for values in _some(singles.order_by().values_list(*columns))}
    if prepared_part is not None:
        series = _occurrences(user, prepared_part, dates).filter(block__in=rows.series().order_by().values("pk"))
        found |= {Place(*values) for values in _some(series.values_list("start_time", "block", *columns[2:]))}
    budget = Budget(REQUEST_STEPS)
    try:
        for part in others:
            found |= set(_some(_expanded(rows, user, part, dates, budget)))
    except BudgetExceeded as error:
        raise ValidationError({"end_time": str(error)}) from None
    return sorted(_some(found))


def shown(places: Sequence[Place]) -> list[Shown]:
    """The instances at these places, in their order; those whose row has just gone are left out. Two queries."""
    blocks = BusyBlock.objects.select_related("user").in_bulk([place.row_pk for place in places])
    series = series_ids(blocks.values())
    return [
        Shown(blocks[place.row_pk], place.start, place.end, place.recurrence_id, series.get(place.row_pk, ""))
        for place in places
        if place.row_pk in blocks
    ]


def series_ids(blocks: Iterable[BusyBlock]) -> dict[int, str]:
    """By row, for masters and overrides: the public id of the series' block. At most one query.

    An override whose master is not here is of no series.
    """
    blocks = list(blocks)
    found = {block.pk: str(block.unique_id) for block in blocks if block.recurring and not block.recurrence_id}
    overrides = [block for block in blocks if block.recurrence_id]
    if not overrides:
        return found
    mirrored = {_name(block) for block in overrides if block.origin_id is not None}
    by_hand = {block.uid for block in overrides if block.origin_id is None} - {""}
    origins = {block.origin_id for block in overrides} - {None}
    masters = BusyBlock.objects.filter(user__in={block.user_id for block in overrides}, recurrence_id="").filter(
        Q(origin__in=origins, external_event_id__in=mirrored) | Q(origin=None, uid__in=by_hand)
    )
    of_family = {
        (master.user_id, master.origin_id, master.uid if master.origin_id is None else master.external_event_id): str(
            master.unique_id
        )
        for master in masters.only("user_id", "origin_id", "uid", "external_event_id", "unique_id").order_by()
    }
    for block in overrides:
        name = block.uid if block.origin_id is None else _name(block)
        series = of_family.get((block.user_id, block.origin_id, name))
        if series is not None:
            found[block.pk] = series
    return found


def _name(block: BusyBlock) -> str:
    return series_name(block.external_event_id, block.series_id, block.recurrence_id)


def _parts(user: CrmUser, span: Span) -> tuple[Span | None, list[Span]]:
    """The part of the span in which instances stand prepared, and the parts around it."""
    ready = prepared.horizons([user]).get(user.pk)
    part = ready.span.clip(span) if ready is not None else None
    if part is None or part.empty:
        return None, [span]
    around = [Span(span.start, part.start), Span(part.end, span.end)]
    return part, [piece for piece in around if not piece.empty]


def _occurrences(user: CrmUser, span: Span, dates: DateZones) -> QuerySet[Occurrence]:
    near = Occurrence.objects.filter(near_span(span.start - _DAY, span.end + _DAY), user=user)
    return near.filter(_meets(span, dates, user, "block__"))


def _expanded(rows: BusyBlockQuerySet, user: CrmUser, span: Span, dates: DateZones, budget: Budget) -> Iterable[Place]:
    wanted: set[int] | None = None
    for family in families(BusyBlock.objects.of(user), span, dates, led_by=Q(), series_only=True):
        if wanted is None:
            wanted = set(rows.series().order_by().values_list("pk", flat=True))
        for row, instance in family.instances(span, budget):
            if row.pk in wanted:
                yield Place(instance.start, row.pk, instance.recurrence_id, instance.end)


def _some(places: Iterable[Any]) -> list[Any]:
    """All of them; raises a ValidationError where they are more than `MAX_INSTANCES`."""
    found = list(islice(places, MAX_INSTANCES + 1))
    if len(found) > MAX_INSTANCES:
        raise ValidationError({"end_time": f"The span has more than {MAX_INSTANCES} instances; ask for a shorter one."})
    return found


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


def _meets(span: Span, dates: DateZones, user: CrmUser, of_row: str = "") -> Q:
    """Whether the time of a row, or of an occurrence of the row `of_row`, shows in the span."""
    # An instant without length has its start in the span; everything else ends after the span starts.
    late_enough = Q(end_time__gt=span.start) | Q(start_time__gte=span.start)
    timed = Q(start_time__lt=span.end) & late_enough
    all_day, origin = f"{of_row}all_day", f"{of_row}origin"
    return Q(**{all_day: False}) & timed | Q(**{all_day: True}) & _dates(span, dates, user, origin)


def _dates(span: Span, dates: DateZones, user: CrmUser, origin: str) -> Q:
    """All-day rows: a zone turns the span into the dates whose days meet it, and those are stored."""
    grouped: dict[tzinfo, list[int]] = {}
    for origin_id, tz in dates.by_origin.items():
        grouped.setdefault(tz, []).append(origin_id)
    others = ~Q(**{f"{origin}__in": list(dates.by_origin)}) | Q(**{origin: None})
    found = _days_in(span, dates.of(None, user.pk)) & others
    for tz, origin_ids in grouped.items():
        found |= _days_in(span, tz) & Q(**{f"{origin}__in": origin_ids})
    return found


def _days_in(span: Span, tz: tzinfo) -> Q:
    first = zones.to_wall(span.start, tz).date()
    last = zones.to_wall(span.end - timedelta(seconds=1), tz).date()
    return Q(start_time__lte=datetime.combine(last, time(), UTC), end_time__gt=datetime.combine(first, time(), UTC))
