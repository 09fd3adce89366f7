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
_KEYS = ("pk", "user_id", "origin_id", "external_event_id", "series_id", "uid", "meeting_key")
# What a master and its overrides share: the calendar (None: written here), and the name of the series there.
Key = tuple[int | None, str]
# One request may expand this much: a second or two of work.
REQUEST_STEPS = 500_000

log = structlog.get_logger("ledger")


@dataclass(frozen=True, slots=True)
class Row:
    """One row as far as expansion needs it."""

    pk: int
    user_id: int
    origin_id: int | None
    external_event_id: str
    series_id: str
    uid: str
    meeting_key: str
    entry: Entry

    @property
    def family(self) -> Key:
        """The same for a master and its overrides, different for everything else of the user."""
        if self.origin_id is not None:
            name = series_name(self.external_event_id, self.series_id, self.entry.recurrence_id)
            return self.origin_id, name or self.uid or f"row {self.pk}"
        return None, self.meeting_key or self.uid or f"row {self.pk}"


def series_name(external_event_id: str, series_id: str, recurrence_id: str) -> str:
    """How a calendar names the series that a mirrored row belongs to.

    Some vendors give an override an id of its own beside that of its series. A vendor who tells whole series as
    instances without a master names the series too, but each of these stands alone: it has no recurrence id.
    """
    return series_id if series_id and recurrence_id else external_event_id


@dataclass(frozen=True, slots=True)
class Family:
    """A master and its overrides, or what stands alone; and the zone in which its dates are read."""

    rows: tuple[Row, ...]
    dates_in: tzinfo

    @property
    def user_id(self) -> int:
        return self.rows[0].user_id

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


def zones_of_dates(*users: CrmUser, asked: tzinfo | None) -> "DateZones":
    """Where these users' dates are read: in the zone asked for, else the calendar's, else the user's, else UTC."""
    if asked is not None:
        return DateZones({}, {}, asked)
    own = {user.pk: _known_zone(user.time_zone) or UTC for user in users}
    named = Origin.objects.filter(user__in=own).exclude(time_zone="").values_list("pk", "user_id", "time_zone")
    return DateZones({pk: _known_zone(name) or own[user_pk] for pk, user_pk, name in named}, own, UTC)


@dataclass(frozen=True, slots=True)
class DateZones:
    """The zone of dates by origin; else by user, for rows of none, and of origins that name none; else `fallback`."""

    by_origin: dict[int, tzinfo]
    by_user: dict[int, tzinfo]
    fallback: tzinfo

    def of(self, origin_id: int | None, user_pk: int) -> tzinfo:
        own = self.by_user.get(user_pk, self.fallback)
        return own if origin_id is None else self.by_origin.get(origin_id, own)


def families(
    rows: BusyBlockQuerySet, span: Span, dates: DateZones, *, led_by: Q, series_only: bool = False
) -> list[Family]:
    """The families of `rows` with a row that fits `led_by` and may show in the span; at most three queries.

    `rows` are all rows of one user or of several. Overrides always come with their masters, because they take the
    place of its instances wherever they went. With `series_only`, single rows are left out.
    """
    near = rows.may_touch(span.start - timedelta(days=1), span.end + timedelta(days=1)).filter(led_by)
    if series_only:
        near = near.series()
    masters = near.filter(recurring=True, recurrence_id="").order_by()
    ids = masters.filter(origin__isnull=False).values("external_event_id")
    overrides = rows.exclude(recurrence_id="").filter(
        Q(origin__isnull=False, external_event_id__in=ids)
        | Q(origin__isnull=False, series_id__in=ids) & ~Q(series_id="")
        | Q(origin=None, uid__in=masters.filter(origin=None).exclude(uid="").values("uid"))
    )
    found = {row.pk: row for row in [*loaded(near), *loaded(overrides)]}
    found.update((row.pk, row) for row in _missing_masters(rows, found.values()))
    return gathered(found.values(), dates)


def gathered(rows: Iterable[Row], dates: DateZones) -> list[Family]:
    """The rows, each in its family."""
    members: dict[tuple[int, Key], list[Row]] = defaultdict(list)
    for row in rows:
        members[row.user_id, row.family].append(row)
    return [Family(tuple(rows), dates.of(rows[0].origin_id, rows[0].user_id)) for rows in members.values()]


def series_of(rows: BusyBlockQuerySet, keys: Iterable[Key]) -> BusyBlockQuerySet:
    """Those of one user's `rows` that belong to one of these series, masters and overrides."""
    of_series = Q(pk__in=[])
    by_hand: list[str] = []
    by_origin: dict[int, list[str]] = defaultdict(list)
    for origin_id, name in keys:
        (by_hand if origin_id is None else by_origin[origin_id]).append(name)
    for origin_id, names in by_origin.items():
        named = Q(external_event_id__in=names) | Q(series_id__in=names) & ~Q(series_id="")
        of_series |= Q(origin=origin_id) & named
    if by_hand:
        of_series |= Q(origin=None, uid__in=by_hand)
    return rows.series().filter(of_series)


def _missing_masters(rows: BusyBlockQuerySet, found: Iterable[Row]) -> list[Row]:
    """Masters, free ones too, that a THISANDFUTURE override moves or makes busy though they were not found by time."""
    present = {row.family for row in found if not row.entry.recurrence_id}
    bereft = [row for row in found if row.entry.this_and_future and row.family not in present]
    if not bereft:
        return []
    wanted = rows.filter(recurrence_id="").filter(
        Q(origin__isnull=False, external_event_id__in={row.series_id or row.external_event_id for row in bereft})
        | Q(origin=None, uid__in={row.uid for row in bereft})
    )
    return loaded(wanted)


def loaded(rows: BusyBlockQuerySet) -> list[Row]:
    """What expansion needs of the rows; one query."""
    return [_row(values) for values in rows.order_by().values_list(*_KEYS, *_COLUMNS)]


def _row(values: tuple[Any, ...]) -> Row:
    facts = dict(zip(_COLUMNS, values[len(_KEYS) :], strict=True))
    facts["rdates"], facts["exdates"] = tuple(facts["rdates"]), tuple(facts["exdates"])
    keys = dict(zip(_KEYS, values[: len(_KEYS)], strict=True))
    return Row(**keys, entry=Entry(**facts))


def _known_zone(name: str) -> tzinfo | None:
    try:
        return zones.zone(name) if name else None
    except UnknownZone:
        return None
