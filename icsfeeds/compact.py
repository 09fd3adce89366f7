"""A series as one master with its rule, and beside it what readers would disagree on."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from busyblocks import recurrence, rules, zones
from busyblocks.errors import BudgetExceeded
from busyblocks.models import EventStatus
from busyblocks.rules import Budget, Freq, Rule
from busyblocks.timespans import LATEST, Span
from icsfeeds import writer
from icsfeeds.events import Clock, alone, dates, is_clear, own_uid, vevent
from icsfeeds.families import Family
from icsfeeds.rows import FeedRow
from icsfeeds.vtimezone import FIRST_YEAR, LAST_YEAR, onsets

# What one series may cost: a few tenths of a second, enough for thousands of EXDATEs and overrides.
_STEPS = 4 * recurrence.SERIES_STEPS
# So many instances in a row that a change of the clock touches: the others are no better.
_MOST_TRIES = 4
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_END_OF_DAY = datetime.max.time().replace(microsecond=0)
# A DURATION whose days are days of the wall clock, which no DTEND can say (RFC 5545 §3.3.6).
_NOMINAL = re.compile(r"P[0-9]{1,6}(?:W|D(?:T(?=[0-9])(?:[0-9]{1,6}H)?(?:[0-9]{1,6}M)?(?:[0-9]{1,9}S)?)?)")


class NotCompact(Exception):
    """No instance of the series is one that all readers understand alike, so none can be its DTSTART."""


class Compact:
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
        self.length = master.end_time - master.start_time
        self.nominal = bool(_NOMINAL.fullmatch(master.duration)) and self.length > timedelta(0)
        self.budget = Budget(_STEPS)
        self.excluded: set[datetime] = set()
        self.beside: dict[str, str] = {}
        # Starts of instances of which it is decided already where they are shown, if at all.
        self.settled: set[datetime] = set()

    def events(self) -> list[str]:
        """The VEVENTs, the master first where there is one. Raises `NotCompact`, and what expanding raises."""
        begins, count = self._beginning()
        for text in self.master.exdates:
            self.excluded.update(self._walls_named(text))
        self._take_out_clock_changes(begins)
        self._add_rdates()
        overrides = [text for row in self.family.overrides for text in self._override(row, begins)]
        if begins is None:
            return [*self.beside.values(), *overrides]
        lines = [self._times(begins), self._rrule(count)]
        # Only what the rule yields: some readers let a date that is not an instance take away another one.
        taken = sorted(wall for wall in self.excluded if wall >= begins and self._yields(wall))
        lines += [self._named("EXDATE", wall) for wall in taken]
        self._note_years(begins)
        return [vevent(self.master, self.family.uid, "".join(lines)), *overrides, *self.beside.values()]

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
        """Whether all readers agree on when this instance begins and ends.

        Its wall times exist, and once only; and the clock does not change in between: then some readers keep DTEND's
        wall time and others the length (RFC 5545 §3.3.6: the length).
        """
        if self.zone is None:
            return True
        if wall == self.first and zones.to_utc(wall, self.zone) != self.master.start_time.replace(microsecond=0):
            return False
        end = wall + self.length
        same_clock = (
            self.nominal or wall.replace(tzinfo=self.zone).utcoffset() == end.replace(tzinfo=self.zone).utcoffset()
        )
        return same_clock and is_clear(wall, self.zone) and is_clear(end, self.zone)

    def _beginning(self) -> tuple[datetime | None, int | None]:
        """The first instance that can be a DTSTART, and the COUNT from there; those before it stand beside.

        Raises `NotCompact` for, say, the last Sunday of March.
        """
        wall: datetime | None = self.first
        count = self.rule.count
        if not rules.produces(self.rule, self.first):
            self._put_beside(self.first)
            wall, count = self._next(self.first, count)
        tries = 0
        while wall is not None and not self._is_plain(wall):
            self._put_beside(wall)
            wall, count = self._next(wall, count)
            tries += 1
            if tries > _MOST_TRIES:
                raise NotCompact
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

    def _take_out_clock_changes(self, begins: datetime | None) -> None:
        """Have every instance that a change of the clock touches stand beside the series, in instants."""
        if self.zone is None or begins is None:
            return
        for onset in onsets(self.name, max(begins.year, FIRST_YEAR), min(self._last_year(begins), LAST_YEAR)):
            low = min(onset.wall, onset.wall + onset.skipped) - self.length
            high = max(onset.wall, onset.wall + onset.skipped)
            if high < begins or not self._may_begin_within(low, high):
                continue
            for wall in self._walk(max(low, begins), high):
                if self._is_plain(wall):
                    continue
                self.excluded.add(wall)
                # A skipped time may move onto an instance that the rule has anyway.
                moved = zones.to_wall(zones.to_utc(wall, self.tz), self.tz)
                if moved == wall or not self._yields(moved):
                    self._put_beside(wall)

    def _may_begin_within(self, low: datetime, high: datetime) -> bool:
        """By the time of day alone, which is the same for all instances of most rules."""
        rule = self.rule
        if high - low >= _DAY or rule.freq == Freq.HOURLY or rule.by_hour or rule.by_minute or rule.by_second:
            return True
        at = self.first.time()
        return any(low <= datetime.combine(day, at) <= high for day in (low.date(), high.date()))

    def _put_beside(self, wall: datetime) -> None:
        """The master's instance at this wall time as an event of its own; in UTC where the wall time is not clear."""
        instant = self.master.start_time if wall == self.first else zones.to_utc(wall, self.tz)
        clear = self.zone is None or is_clear(wall, self.zone)
        self._put_instance_beside(instant, self.name if clear else "UTC")

    def _put_instance_beside(self, instant: datetime, time_zone: str) -> None:
        """The instance that begins at `instant`, unless it is taken out or replaced."""
        self.settled.add(instant)
        entries = [self.entry, *(row.entry for row in self.family.overrides)]
        for instance in recurrence.expand(entries, Span(instant, instant + _SECOND), budget=self.budget):
            if instance.start == instant and instance.entry is self.entry:
                uid = own_uid(self.family.uid, instance.recurrence_id)
                times = self.clock.once(instance.start, instance.end, all_day=instance.all_day, time_zone=time_zone)
                self.beside[uid] = vevent(self.master, uid, times)

    def _add_rdates(self) -> None:
        """RDATEs stand beside: node-ical and sabre/vobject drop them, with a rule and without."""
        for text in self.master.rdates:
            instant = self._instant_of_rdate(text.partition("/")[0])
            if instant in self.settled:
                continue
            self.settled.add(instant)
            wall = zones.to_wall(instant, self.tz)
            means_wall = zones.to_utc(wall, self.tz) == instant
            if means_wall and self._yields(wall) and self._is_plain(wall):
                # An instance of the rule already, and the rule's own length counts.
                continue
            self._put_instance_beside(instant, self.name)

    def _instant_of_rdate(self, text: str) -> datetime:
        """A DATE among the RDATEs of a timed series means that day at DTSTART's time."""
        if self.master.all_day:
            return self._walls_named(text)[0].replace(tzinfo=UTC)
        if "T" in text:
            return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        return zones.to_utc(datetime.combine(datetime.strptime(text, "%Y%m%d"), self.first.time()), self.tz)

    # Overrides -------------------------------------------------------------------------------------------------------

    def _override(self, row: FeedRow, begins: datetime | None) -> list[str]:
        """The override under its RECURRENCE-ID; where readers would not find the instance, standing alone."""
        walls = self._walls_named(row.recurrence_id)
        known = [wall for wall in walls if begins and wall >= begins and self._yields(wall)]
        if row.status == EventStatus.CANCELLED:
            self.excluded.update(walls)
            return []
        if len(walls) == 1 and known and walls[0] not in self.excluded:
            return [alone(row, self.family.uid, self.clock, before=self._named("RECURRENCE-ID", walls[0]))]
        self.excluded.update(walls)
        return [alone(row, own_uid(self.family.uid, row.recurrence_id), self.clock)]

    # Text ------------------------------------------------------------------------------------------------------------

    def _named(self, name: str, wall: datetime) -> str:
        """A property in the value type and zone of DTSTART; one value each, because some readers take no lists."""
        if self.master.all_day:
            return f"{name};VALUE=DATE:{writer.date(wall)}\r\n"
        if self.zone is None:
            return f"{name}:{writer.utc(wall)}\r\n"
        return f"{name};TZID={self.name}:{writer.wall(wall)}\r\n"

    def _times(self, begins: datetime) -> str:
        """DTSTART, and DTEND, or DURATION where days of the wall clock are meant."""
        instant = zones.to_utc(begins, self.tz)
        if self.master.all_day:
            return dates(instant, instant + self.length)
        start = self._named("DTSTART", begins)
        if self.nominal:
            return f"{start}DURATION:{self.master.duration}\r\n"
        return start + (self._named("DTEND", zones.to_wall(instant + self.length, self.tz)) if self.length else "")

    def _last_year(self, begins: datetime) -> int:
        """The last year in which the zone matters: the series' own end, or the horizon where it has none."""
        horizon = max(self.clock.last_year, begins.year + 1)
        return horizon if self.until is None else max(min(self.until.year + 1, horizon), begins.year)

    def _note_years(self, begins: datetime) -> None:
        if self.zone is not None:
            self.clock.use(self.name, begins.year, self._last_year(begins))
