"""A series as the VEVENTs that every reader understands alike.

RFC 5545 allows more than readers agree on, so a series is written in three ways:
- *compact*: the rule, EXDATEs, RDATEs, and overrides with their RECURRENCE-ID. Whatever of it readers disagree on is
  taken out by an EXDATE and stands beside it as an event of its own: instances in a DST gap, a DTSTART that its rule
  does not produce, periods, overrides of what the rule does not yield.
- *listed*: each instance an event of its own: RDATEs without a rule, THISANDFUTURE, rules that RFC 5545 does not
  allow and the ledger understands all the same.
- *alone*: overrides whose master is gone.
An event of its own has a UID of its own: the series' UID and the instance's start.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from busyblocks import recurrence, rules, zones
from busyblocks.errors import BudgetExceeded
from busyblocks.models import EventStatus
from busyblocks.rules import Budget, Freq, Rule
from busyblocks.timespans import EARLIEST, LATEST, Span
from icsfeeds import writer
from icsfeeds.events import Clock, dates, vevent
from icsfeeds.families import Family
from icsfeeds.rows import FeedRow
from icsfeeds.vtimezone import FIRST_YEAR, LAST_YEAR, onsets

# Listed instances reach from the year before this one to the end of the next; a reader drowns in more than this many.
_LISTED_MOST = 1000
_SECOND = timedelta(seconds=1)
# A DURATION whose days are days of the wall clock, which no DTEND can say (§3.3.6).
_NOMINAL = re.compile(r"P[0-9]{1,6}(?:W|D(?:T(?=[0-9])(?:[0-9]{1,6}H)?(?:[0-9]{1,6}M)?(?:[0-9]{1,9}S)?)?)")
_END_OF_DAY = datetime.max.time().replace(microsecond=0)


def alone(row: FeedRow, uid: str, clock: Clock) -> str:
    """What happens once, whatever it was a part of."""
    return vevent(row, uid, clock.once(row.start_time, row.end_time, all_day=row.all_day, time_zone=row.time_zone))


def orphans(family: Family, clock: Clock) -> Iterator[str]:
    """The overrides of a master that is gone: each stands alone. Cancelled ones say nothing."""
    for row in family.overrides:
        if row.status != EventStatus.CANCELLED:
            yield alone(row, _own_uid(family.uid, row.recurrence_id), clock)


def series(master: FeedRow, family: Family, clock: Clock, *, year: int) -> list[str]:
    """The VEVENTs of a family whose master recurs. year: the one that runs now.

    Raises `RuleRefused`, `BudgetExceeded`, `UnknownZone`, ValueError, OverflowError for what cannot be written.
    """
    if not master.recurrence_rule:
        return list(_listed(master, family, clock, Span(EARLIEST, LATEST)))
    rule = rules.parse(master.recurrence_rule)
    if _is_peculiar(rule) or any(row.this_and_future for row in family.overrides):
        begins = max(datetime(year - 1, 1, 1, tzinfo=UTC), master.start_time)
        window = Span(begins, begins.replace(year=begins.year + 3, month=1, day=1))
        return list(_listed(master, family, clock, window))
    return _Compact(master, family, rule, clock).events()


def _is_peculiar(rule: Rule) -> bool:
    """Whether RFC 5545 (the table in §3.3.10) forbids the rule: each reader makes something else of those."""
    ordinals = any(ordinal for ordinal, _ in rule.by_day)
    others = (
        rule.by_month, rule.by_week_no, rule.by_year_day, rule.by_month_day,
        rule.by_day, rule.by_hour, rule.by_minute, rule.by_second,
    )  # fmt: skip
    return (
        bool(rule.by_month_day and rule.freq == Freq.WEEKLY)
        or bool(rule.by_week_no and rule.freq != Freq.YEARLY)
        or bool(rule.by_year_day and rule.freq in {Freq.MONTHLY, Freq.WEEKLY, Freq.DAILY})
        or (ordinals and (rule.freq > Freq.MONTHLY or bool(rule.by_week_no)))
        or bool(rule.by_set_pos and not any(others))
    )


def _listed(master: FeedRow, family: Family, clock: Clock, window: Span) -> Iterator[str]:
    rows = {row.recurrence_id: row for row in (master, *family.overrides)}
    entries = [row.entry for row in rows.values()]
    for instance in recurrence.expand(entries, window)[:_LISTED_MOST]:
        row = rows[instance.entry.recurrence_id]
        is_first = row is master and instance.start == master.start_time
        uid = family.uid if is_first else _own_uid(family.uid, instance.recurrence_id)
        times = clock.once(instance.start, instance.end, all_day=instance.all_day, time_zone=row.time_zone)
        yield vevent(row, uid, times)


def _own_uid(uid: str, recurrence_id: str) -> str:
    return f"{uid}/{recurrence_id}"


class _Compact:
    """A master with a rule and its overrides. Wall times are naive, in the master's zone; dates at midnight."""

    def __init__(self, master: FeedRow, family: Family, rule: Rule, clock: Clock) -> None:
        self.master, self.family, self.rule, self.clock = master, family, rule, clock
        self.entry = master.entry
        self.name = "UTC" if master.all_day else master.time_zone
        # The zone that the wall times are written in; None: UTC, or dates.
        self.zone = clock.zone(self.name)
        self.tz = self.zone or UTC
        # Dates may be named by instants of the entry's own zone.
        self.days_of = clock.zone(master.time_zone) or UTC
        if master.local_start and not master.all_day:
            self.first = datetime.strptime(master.local_start, "%Y%m%dT%H%M%S")
        else:
            self.first = zones.to_wall(master.start_time, self.tz).replace(microsecond=0)
        self.until = self._until()
        self.budget = Budget(recurrence.SERIES_STEPS)
        self.excluded: set[datetime] = set()
        self.added: set[datetime] = set()
        self.beside: list[str] = []

    def events(self) -> list[str]:
        begins, count = self._beginning()
        self._take_out_exdates()
        self._take_out_gaps(begins)
        self._add_rdates(begins)
        overrides = [text for row in self.family.overrides for text in self._override(row, begins)]
        if begins is None:
            return [*self.beside, *overrides]
        lines = [self._times(begins), self._rrule(count)]
        lines += [self._named("EXDATE", wall) for wall in sorted(self.excluded)]
        lines += [self._named("RDATE", wall) for wall in sorted(self.added - self.excluded)]
        self._note_years(begins)
        return [vevent(self.master, self.family.uid, "".join(lines)), *overrides, *self.beside]

    # The rule ---------------------------------------------------------------------------------------------------

    def _until(self) -> datetime | None:
        """The rule's UNTIL as the last instant, UTC; for dates 00:00 of the last one."""
        until = self.rule.until
        if until is None:
            return None
        if self.master.all_day:
            if isinstance(until, datetime) and until.tzinfo is not None:
                until = zones.to_wall(until, self.days_of)
            return datetime(until.year, until.month, until.day, tzinfo=UTC)
        if not isinstance(until, datetime):
            return zones.to_utc(datetime.combine(until, _END_OF_DAY), self.tz)
        return zones.to_utc(until, self.tz) if until.tzinfo is None else until

    def _walk(self, after: datetime, until: datetime) -> Iterator[datetime]:
        for wall in rules.walk(self.rule, self.first, after=after, until=until, budget=self.budget):
            if wall == self.first or self.until is None or zones.to_utc(wall, self.tz) <= self.until:
                yield wall

    def _yields(self, wall: datetime) -> bool:
        return any(True for _ in self._walk(wall, wall))

    def _is_plain(self, wall: datetime) -> bool:
        """Whether the clock ever shows this wall time, and the ledger means its first showing."""
        instant = zones.to_utc(wall, self.tz)
        if wall == self.first and instant != self.master.start_time.replace(microsecond=0):
            return False
        return zones.to_wall(instant, self.tz) == wall

    def _beginning(self) -> tuple[datetime | None, int | None]:
        """The first instance that can be a DTSTART, and the COUNT from there; those before it stand beside."""
        wall: datetime | None = self.first
        count = self.rule.count
        if not rules.produces(self.rule, self.first):
            self._put_beside(self.first)
            wall, count = self._next(self.first, count)
        while wall is not None and not self._is_plain(wall):
            self._put_beside(wall)
            wall, count = self._next(wall, count)
        return wall, count

    def _next(self, wall: datetime, count: int | None) -> tuple[datetime | None, int | None]:
        try:
            later = next(self._walk(wall + _SECOND, LATEST.replace(tzinfo=None)), None)
        except BudgetExceeded:
            later = None
        return later, None if count is None else count - 1

    def _rrule(self, count: int | None) -> str:
        """The rule as it was written, FREQ first (Apple drops others), UNTIL in the form that DTSTART asks for."""
        parts = dict(part.split("=", 1) for part in rules.bare(self.master.recurrence_rule).split(";"))
        parts = {"FREQ": parts.pop("FREQ"), **parts}
        if count is not None:
            parts["COUNT"] = str(count)
        if self.until is not None:
            parts["UNTIL"] = writer.date(self.until) if self.master.all_day else writer.utc(self.until)
        return writer.line("RRULE:" + ";".join(f"{name}={value}" for name, value in parts.items()))

    # Instances taken out and added ---------------------------------------------------------------------------------

    def _take_out_exdates(self) -> None:
        for text in self.master.exdates:
            self.excluded.update(self._walls_named(text))

    def _walls_named(self, text: str) -> list[datetime]:
        """The instances that an EXDATE or RECURRENCE-ID means; an instant is one even where no instance is."""
        if "T" not in text:
            day = datetime.strptime(text, "%Y%m%d")
            return [day] if self.master.all_day else list(self._walk(day, datetime.combine(day, _END_OF_DAY)))
        instant = datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if self.master.all_day:
            return [datetime.combine(zones.to_wall(instant, self.days_of), datetime.min.time())]
        wall = zones.to_wall(instant, self.tz)
        return [wall] if zones.to_utc(wall, self.tz) == instant else []

    def _take_out_gaps(self, begins: datetime | None) -> None:
        """Readers part ways over wall times that the clock skips: each becomes an event in UTC."""
        if self.zone is None or begins is None:
            return
        last_year = min(self._last_year(begins), LAST_YEAR)
        for onset in onsets(self.name, max(begins.year, FIRST_YEAR), last_year):
            gap = onset.wall
            if onset.skipped <= timedelta(0) or not self._may_fall_into(gap, gap + onset.skipped):
                continue
            for wall in self._walk(max(gap, begins), gap + onset.skipped - _SECOND):
                self.excluded.add(wall)
                # The skipped hour may move onto an instance that the rule has anyway.
                if not self._yields(zones.to_wall(zones.to_utc(wall, self.tz), self.tz)):
                    self._put_beside(wall)

    def _may_fall_into(self, gap: datetime, end: datetime) -> bool:
        if self.rule.freq == Freq.HOURLY or self.rule.by_hour or self.rule.by_minute or self.rule.by_second:
            return True
        at = self.first.time()
        return any(gap <= datetime.combine(day, at) < end for day in (gap.date(), end.date()))

    def _put_beside(self, wall: datetime) -> None:
        """The master's instance at this wall time as an event of its own; in UTC where the clock skips the time."""
        instant = self.master.start_time if wall == self.first else zones.to_utc(wall, self.tz)
        self._put_instance_beside(instant, self.name if self._is_plain(wall) else "UTC")

    def _put_instance_beside(self, instant: datetime, time_zone: str) -> None:
        """The instance that begins at `instant`, unless it is taken out or replaced."""
        entries = [self.entry, *(row.entry for row in self.family.overrides)]
        for instance in recurrence.expand(entries, Span(instant, instant + _SECOND), budget=self.budget):
            if instance.start == instant and instance.entry is self.entry:
                uid = _own_uid(self.family.uid, instance.recurrence_id)
                times = self.clock.once(instance.start, instance.end, all_day=instance.all_day, time_zone=time_zone)
                self.beside.append(vevent(self.master, uid, times))

    def _add_rdates(self, begins: datetime | None) -> None:
        for text in self.master.rdates:
            start = text.partition("/")[0]
            walls = self._rdate_walls(start)
            simple = "/" not in text and begins is not None and len(walls) == 1 and walls[0] >= begins
            if simple and self._is_plain(walls[0]):
                if not self._yields(walls[0]):
                    self.added.add(walls[0])
            elif "T" in start and not self.master.all_day:
                self._put_instance_beside(datetime.strptime(start, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC), self.name)
            else:
                for wall in walls:
                    self._put_beside(wall)

    def _rdate_walls(self, text: str) -> list[datetime]:
        """A DATE among the RDATEs of a timed series means that day at DTSTART's time."""
        if "T" not in text and not self.master.all_day:
            return [datetime.combine(datetime.strptime(text, "%Y%m%d"), self.first.time())]
        return self._walls_named(text)

    # Overrides -------------------------------------------------------------------------------------------------------

    def _override(self, row: FeedRow, begins: datetime | None) -> list[str]:
        """The override under its RECURRENCE-ID; where readers would not find the instance, standing alone."""
        walls = self._walls_named(row.recurrence_id)
        known = [wall for wall in walls if wall in self.added or (begins and wall >= begins and self._yields(wall))]
        if row.status == EventStatus.CANCELLED:
            self.excluded.update(walls)
            return []
        if len(walls) == 1 and known and walls[0] not in self.excluded:
            times = self.clock.once(row.start_time, row.end_time, all_day=row.all_day, time_zone=row.time_zone)
            return [vevent(row, self.family.uid, self._named("RECURRENCE-ID", walls[0]) + times)]
        self.excluded.update(walls)
        return [alone(row, _own_uid(self.family.uid, row.recurrence_id), self.clock)]

    # Text ------------------------------------------------------------------------------------------------------------

    def _named(self, name: str, wall: datetime) -> str:
        """A property in the value type and zone of DTSTART; one value each, because some readers take no lists."""
        if self.master.all_day:
            return f"{name};VALUE=DATE:{writer.date(wall)}\r\n"
        if self.zone is None:
            return f"{name}:{writer.utc(wall)}\r\n"
        return f"{name};TZID={self.name}:{writer.wall(wall)}\r\n"

    def _times(self, begins: datetime) -> str:
        """DTSTART and the length. By DURATION where the wall clock would tell another length than is meant."""
        instant = zones.to_utc(begins, self.tz)
        length = self.master.end_time - self.master.start_time
        if self.master.all_day:
            return dates(instant, instant + length)
        start = self._named("DTSTART", begins)
        if self.zone is None:
            return start + (self._named("DTEND", begins + length) if length else "")
        if _NOMINAL.fullmatch(self.master.duration) and length:
            return f"{start}DURATION:{self.master.duration}\r\n"
        end = instant + length
        if instant.astimezone(self.tz).utcoffset() != end.astimezone(self.tz).utcoffset():
            return start + f"DURATION:PT{int(length.total_seconds())}S\r\n"
        return start + (self._named("DTEND", zones.to_wall(end, self.tz)) if length else "")

    def _last_year(self, begins: datetime) -> int:
        """The last year in which the zone matters: the series' own end, or the horizon where it has none."""
        horizon = max(self.clock.last_year, begins.year + 1)
        return horizon if self.until is None else max(min(self.until.year + 1, horizon), begins.year)

    def _note_years(self, begins: datetime) -> None:
        if self.zone is not None:
            self.clock.use(self.name, begins.year, self._last_year(begins))
