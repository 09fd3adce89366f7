"""Rows of the ledger, gathered into what belongs together for expansion: a master and its overrides."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, timedelta, tzinfo
from typing import Any

import structlog
from django.db.models import Q

from busyblocks import zones
from busyblocks.entries import Entry
from busyblocks.errors import RuleRefused, UnknownZone
from busyblocks.models import BusyBlockQuerySet, Origin
from busyblocks.recurrence import Instance, instances
from busyblocks.rules import Budget
from busyblocks.timespans import Span
from tenancy.models import CrmUser

# What expansion needs to know of a row: no texts, no metadata.
_COLUMNS = (
    "recurrence_id",
    "this_and_future",
    "start_time",
    "end_time",
    "all_day",
    "time_zone",
    "local_start",
    "duration",
    "recurrence_rule",
    "rdates",
    "exdates",
    "status",
    "fbtype",
)
_KEYS = ("pk", "origin_id", "external_event_id", "uid", "meeting_key")
# One request may expand this much: a second or two of work.
REQUEST_STEPS = 500_000

log = structlog.get_logger("ledger")


@dataclass(frozen=True, slots=True)
class Row:
    """One row as far as expansion needs it."""

    pk: int
    origin_id: int | None
    external_event_id: str
    uid: str
    meeting_key: str
    entry: Entry

    @property
    def family(self) -> tuple[int | None, str]:
        """The same for a master and its overrides, different for everything else of the user."""
        if self.origin_id is not None:
            return self.origin_id, self.external_event_id or self.uid or f"row {self.pk}"
        return None, self.meeting_key or self.uid or f"row {self.pk}"


@dataclass(frozen=True, slots=True)
class Family:
    """A master and its overrides, or what stands alone; and the zone in which its dates are read."""

    rows: tuple[Row, ...]
    dates_in: tzinfo

    def instances(self, span: Span, budget: Budget) -> Iterator[tuple[Row, Instance]]:
        """Each instance in the span with its row. A row whose rule cannot be read is taken as a single event."""
        by_entry = {id(row.entry): row for row in self.rows}
        entries = [row.entry for row in self.rows]
        try:
            for instance in instances(entries, span, dates_in=self.dates_in, budget=budget):
                yield by_entry[id(instance.entry)], instance
        except (RuleRefused, UnknownZone) as error:
            # The sources check their rules; time that was busy must not turn free when one slipped through.
            log.warning("series_not_understood", rows=[row.pk for row in self.rows], code=error.code)
            for row in self.rows:
                alone = Instance(row.entry.start_time, row.entry.end_time, row.entry.all_day, "", row.entry)
                covered = alone.span(self.dates_in)
                if span.touches(covered.start, covered.end):
                    yield row, alone


def zones_of_dates(user: CrmUser, *, asked: tzinfo | None) -> "DateZones":
    """Where this user's dates are read: in the zone asked for, else the calendar's, else the user's, else UTC."""
    if asked is not None:
        return DateZones({}, asked)
    own = _known_zone(user.time_zone) or UTC
    named = Origin.objects.filter(user=user).exclude(time_zone="").values_list("pk", "time_zone")
    return DateZones({pk: _known_zone(name) or own for pk, name in named}, own)


@dataclass(frozen=True, slots=True)
class DateZones:
    """The zone of dates by origin; `default` for rows of none, and of origins that name none."""

    by_origin: dict[int, tzinfo]
    default: tzinfo

    def of(self, origin_id: int | None) -> tzinfo:
        return self.default if origin_id is None else self.by_origin.get(origin_id, self.default)


def families(rows: BusyBlockQuerySet, span: Span, dates: DateZones, *, led_by: Q) -> list[Family]:
    """The families of one user's `rows` with a row that fits `led_by` and may show in the span; at most three queries.

    Overrides always come with their masters, because they take the place of its instances wherever they went.
    """
    near = rows.may_touch(span.start - timedelta(days=1), span.end + timedelta(days=1)).filter(led_by)
    masters = near.filter(recurring=True, recurrence_id="")
    overrides = rows.exclude(recurrence_id="").filter(
        Q(origin__isnull=False, external_event_id__in=masters.order_by().values("external_event_id"))
        | Q(origin=None, uid__in=masters.filter(origin=None).exclude(uid="").order_by().values("uid"))
    )
    found = {row.pk: row for row in [*_loaded(near), *_loaded(overrides)]}
    found.update((row.pk, row) for row in _missing_masters(rows, found.values()))
    gathered: dict[tuple[int | None, str], list[Row]] = defaultdict(list)
    for row in found.values():
        gathered[row.family].append(row)
    return [Family(tuple(members), dates.of(members[0].origin_id)) for members in gathered.values()]


def _missing_masters(rows: BusyBlockQuerySet, found: Iterable[Row]) -> list[Row]:
    """Masters, free ones too, that a THISANDFUTURE override moves or makes busy though they were not found by time."""
    present = {row.family for row in found if not row.entry.recurrence_id}
    bereft = [row for row in found if row.entry.this_and_future and row.family not in present]
    if not bereft:
        return []
    wanted = rows.filter(recurrence_id="").filter(
        Q(origin__isnull=False, external_event_id__in={row.external_event_id for row in bereft})
        | Q(origin=None, uid__in={row.uid for row in bereft})
    )
    return _loaded(wanted)


def _loaded(rows: BusyBlockQuerySet) -> list[Row]:
    return [_row(values) for values in rows.order_by().values_list(*_KEYS, *_COLUMNS)]


def _row(values: tuple[Any, ...]) -> Row:
    facts = dict(zip(_COLUMNS, values[len(_KEYS) :], strict=True))
    facts["rdates"], facts["exdates"] = tuple(facts["rdates"]), tuple(facts["exdates"])
    pk, origin_id, external_event_id, uid, meeting_key = values[: len(_KEYS)]
    return Row(pk, origin_id, external_event_id, uid, meeting_key, Entry(**facts))


def _known_zone(name: str) -> tzinfo | None:
    try:
        return zones.zone(name) if name else None
    except UnknownZone:
        return None
