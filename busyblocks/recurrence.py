"""Series made into instances (RFC 5545 §3.8.4, §3.8.5): pure values in, pure values out.

What the RFC leaves undefined is decided here, and pinned by tests:
- DTSTART is the first instance also where the rule would not produce it, and it counts in COUNT.
- An override is an instance even where its master's EXDATE names the same instance: it says more.
- An RDATE before DTSTART is an instance; a DATE among the RDATEs of a timed series means that day at DTSTART's time.
- An EXDATE or RECURRENCE-ID that is a DATE names, in a timed series, every instance of that local day.
- A rule or RDATE on an override is not expanded: the override is one instance, or with THISANDFUTURE a new form of
  the master's later ones.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import islice

from busyblocks import rules, zones
from busyblocks.entries import Entry
from busyblocks.errors import BudgetExceeded, LedgerError, RuleRefused
from busyblocks.models import EventStatus
from busyblocks.rules import Budget
from busyblocks.timespans import EARLIEST, LATEST, Span

# One series costs at most this much, whoever asks: a daily rule over 80 years.
SERIES_STEPS = 30_000
# RDATEs and EXDATEs of one series: what a daily meeting loses or wins in 13 years.
MAX_DATES = 5_000
# Instances of one series that overlap: as many as a year of the densest block by hand has.
MAX_AT_ONCE = 12 * 366
_DAY = timedelta(days=1)
_DURATION = re.compile(
    r"\+?P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Instance:
    """One occurrence of `entry`. start, end: UTC; for `all_day` 00:00 UTC of the first date and of the date after the
    last, as in the entry. recurrence_id: the start that the series gave it, as text; "" for what does not recur.
    """

    start: datetime
    end: datetime
    all_day: bool
    recurrence_id: str
    entry: Entry

    def span(self, dates_in: tzinfo) -> Span:
        """The instants that it covers; dates are read in `dates_in`."""
        if not self.all_day:
            return Span(self.start, self.end)
        return days(Span(self.start, self.end), dates_in)


def days(stored: Span, dates_in: tzinfo) -> Span:
    """The instants of an all-day entry's dates, stored as 00:00 UTC of the first and of the one after the last."""
    return Span(zones.midnight(stored.start.date(), dates_in), zones.midnight(stored.end.date(), dates_in))


def check_rule(rule: str) -> None:
    """Raises `RuleRefused`, with a reason for people, unless the service expands this rule (RFC 5545 §3.3.10)."""
    rules.parse(rule)


def check_entry(entry: Entry) -> None:
    """Raises `RuleRefused` or `UnknownZone`, with a reason, unless the entry's series can be expanded within bounds."""
    if len(entry.rdates) + len(entry.exdates) > MAX_DATES:
        raise RuleRefused(f"The series names more than {MAX_DATES} single dates.")
    series = Series(entry)
    if series.rule and series.rule.count is not None and series.last_wall() is None:
        raise RuleRefused("COUNT is too high for this rule: its last instance cannot be found in reasonable time.")
    if series.rule and _piles_up(series):
        raise RuleRefused(f"The instances are so long that more than {MAX_AT_ONCE} of them happen at once.")


def _piles_up(series: "Series") -> bool:
    """Whether too many instances happen at one time: each moment would cost as much as all of them."""
    length = series.entry.end_time - series.entry.start_time
    # Hardly any series is walked for this: one a day would have to last for years.
    if series.rule is None or length / _DAY * rules.per_day(series.rule) <= MAX_AT_ONCE:
        return False
    try:
        until = series.first + length
    except OverflowError:
        until = LATEST.replace(tzinfo=None)
    walls = series.walls(series.first, until, Budget(SERIES_STEPS))
    try:
        return sum(1 for _ in islice(walls, MAX_AT_ONCE + 1)) > MAX_AT_ONCE
    except BudgetExceeded:
        return True


def recurs_until(entry: Entry) -> datetime | None:
    """An instant, UTC, after which the entry alone has no instance, RDATEs included; None: no such bound is known.

    An upper bound, up to a few days above the last end.
    """
    if not entry.recurring:
        return entry.end_time
    try:
        series = Series(entry)
        last = series.last_wall()
    except LedgerError:
        return None
    if last is None:
        return None
    ends = [series.at(last).end, entry.end_time, *(instance.end for instance in series.extra())]
    # Dates end by the asker's clock; and an instant that the rule's local UNTIL means is not searched for.
    return max(ends) + 2 * _DAY if max(ends) < LATEST - 2 * _DAY else None


def expand(
    entries: Sequence[Entry], span: Span, *, dates_in: tzinfo = UTC, budget: Budget | None = None
) -> list[Instance]:
    """The instances that show in `span`, by start, of one series: at most one master, and overrides of it.

    Half-open; a zero-length instance shows where span.start ≤ it < span.end. Dates are read in `dates_in`. Cancelled
    overrides take their instance away; overrides without a master stand alone. What is cancelled or transparent as a
    whole is returned like everything else. Raises `BudgetExceeded`, `RuleRefused`.
    """
    found = instances(entries, span, dates_in=dates_in, budget=budget)
    return sorted(found, key=lambda instance: (instance.start, instance.end, instance.recurrence_id))


def named(entries: Sequence[Entry], recurrence_id: str, *, budget: Budget | None = None) -> Instance | None:
    """The instance of one series that `recurrence_id` names, as it happens: an override's where there is one.

    None where the series has no such instance, or no more: an EXDATE or a cancelled override took it away. Raises
    `BudgetExceeded`, `RuleRefused`.
    """
    overrides = [entry for entry in entries if entry.recurrence_id]
    for entry in overrides:
        if entry.recurrence_id == recurrence_id:
            if entry.status == EventStatus.CANCELLED:
                return None
            return Instance(entry.start_time, entry.end_time, entry.all_day, recurrence_id, entry)
    moment = _parsed_or_none(recurrence_id)
    if moment is None:
        return None
    start = moment if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC)
    span = Span(start, _later(start, timedelta(seconds=1)))
    for master in entries:
        if not master.recurrence_id and master.recurring:
            for instance in _of_master(master, overrides, span, budget or Budget(SERIES_STEPS)):
                if instance.recurrence_id == recurrence_id:
                    return instance
    return None


def instances(
    entries: Sequence[Entry], span: Span, *, dates_in: tzinfo = UTC, budget: Budget | None = None
) -> Iterator[Instance]:
    """As `expand`, one by one and unsorted, for callers who stop at the first."""
    budget = budget or Budget(SERIES_STEPS)
    overrides = [entry for entry in entries if entry.recurrence_id]
    budget.spend(len(overrides))
    for entry in overrides:
        if entry.status != EventStatus.CANCELLED:
            instance = Instance(entry.start_time, entry.end_time, entry.all_day, entry.recurrence_id, entry)
            if _shows(instance, span, dates_in):
                yield instance
    for master in entries:
        if not master.recurrence_id:
            for instance in _of_master(master, overrides, span, budget):
                if _shows(instance, span, dates_in):
                    budget.spend()
                    yield instance


def _shows(instance: Instance, span: Span, dates_in: tzinfo) -> bool:
    # Most instances are far from the span's edges; only near them a date needs its zone.
    if instance.all_day:
        if instance.start >= _later(span.end, _DAY) or instance.end <= _later(span.start, -_DAY):
            return False
        covered = instance.span(dates_in)
        return span.touches(covered.start, covered.end)
    return span.touches(instance.start, instance.end)


def _of_master(master: Entry, overrides: list[Entry], span: Span, budget: Budget) -> Iterator[Instance]:
    """The instances of the master that no override replaces, near the span; THISANDFUTURE applied."""
    series = Series(master)
    taken = _Named(series, [entry.recurrence_id for entry in overrides])
    onward = [entry for entry in overrides if entry.this_and_future and _parsed_or_none(entry.recurrence_id)]
    forms = sorted((_Form(series, entry) for entry in onward), key=lambda form: form.since)
    seen: set[datetime] = set()
    for instance in series.near(span, [form.shift for form in forms], [form.length for form in forms], budget):
        if instance.start in seen:
            continue
        seen.add(instance.start)
        if instance in taken:
            continue
        form = next((form for form in reversed(forms) if form.since <= instance.start), None)
        if form is None:
            yield instance
        elif form.entry.status != EventStatus.CANCELLED:
            yield form.of(instance)


class Series:
    """A master entry, read for expansion: its zone, its local start, how long each instance lasts."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.zone: tzinfo = zones.zone(entry.time_zone or "UTC")
        self.rule = rules.parse(entry.recurrence_rule) if entry.recurrence_rule else None
        written = _parsed_or_none(entry.local_start)
        if entry.all_day:
            self.first = entry.start_time.astimezone(UTC).replace(tzinfo=None)
        elif isinstance(written, datetime):
            self.first = written.replace(tzinfo=None)
        else:
            self.first = zones.to_wall(entry.start_time, self.zone)
        self.nominal, self.exact = self._duration()

    def _duration(self) -> tuple[timedelta, timedelta]:
        """Whole days by the wall clock, then exact time: DURATION's days are nominal, DTEND means an exact length."""
        length = self.entry.end_time - self.entry.start_time
        match = _DURATION.fullmatch(self.entry.duration)
        if match is None or self.entry.all_day:
            return timedelta(0), length
        weeks, days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
        return timedelta(weeks=weeks, days=days), timedelta(hours=hours, minutes=minutes, seconds=seconds)

    @property
    def length(self) -> timedelta:
        """At least as long as any instance that is no period."""
        return self.nominal + self.exact + _DAY

    def at(self, wall: datetime) -> Instance:
        """The instance at a wall time of the series; what would end after the year 9999 ends with it."""
        if self.entry.all_day:
            start = wall.replace(tzinfo=UTC)
            return self._instance(start, _later(start, self.exact))
        # The stored instant knows which of two equal wall times was meant; the rule only knows the wall.
        start = self.entry.start_time if wall == self.first else zones.to_utc(wall, self.zone)
        end = start
        if self.nominal:
            end = zones.to_utc(_later(wall, self.nominal), self.zone)
        return self._instance(start, max(start, _later(end, self.exact)))

    def _instance(self, start: datetime, end: datetime) -> Instance:
        recurrence_id = self.text(start) if self.entry.recurring else ""
        return Instance(start, end, self.entry.all_day, recurrence_id, self.entry)

    def text(self, start: datetime) -> str:
        return _date_text(start) if self.entry.all_day else _instant_text(start)

    def near(
        self, span: Span, shifts: Iterable[timedelta], lengths: Iterable[timedelta], budget: Budget
    ) -> Iterator[Instance]:
        """All instances that may show in the span, moved by none or any of `shifts`; EXDATEs taken out."""
        if not self.entry.recurring:
            yield self.at(self.first)
            return
        moves = [timedelta(0), *shifts]
        excluded = _Named(self, self.entry.exdates)
        longest = max([self.length, *lengths])
        after = self._wall_near(span.start, -longest - max(moves) - _DAY)
        until = self._wall_near(span.end, _DAY - min(moves))
        for wall in self.walls(after, until, budget):
            instance = self.at(wall)
            if instance not in excluded:
                yield instance
        budget.spend(len(self.entry.rdates))
        for instance in self.extra():
            if instance not in excluded:
                yield instance

    def _wall_near(self, moment: datetime, by: timedelta) -> datetime:
        return zones.to_wall(_later(moment, by), self.zone)

    def walls(self, after: datetime, until: datetime, budget: Budget) -> Iterator[datetime]:
        """The wall times in [after, until] that the rule yields, ascending; DTSTART's alone where there is no rule."""
        if self.rule is None:
            if after <= self.first <= until:
                yield self.first
            return
        if self.ends_before_it_begins:
            return
        last = self._until_wall()
        until = until if last is None else min(until, last)
        for wall in rules.walk(self.rule, self.first, after=after, until=until, budget=budget):
            if wall == self.first or not self._is_after_until(wall):
                yield wall

    @property
    def ends_before_it_begins(self) -> bool:
        """Whether UNTIL lies before DTSTART, as calendars write a series of which nothing is left: no time."""
        last = self._until_wall()
        return last is not None and (last < self.first or self._is_after_until(self.first))

    def _until_wall(self) -> datetime | None:
        """The rule's UNTIL as a wall time, inclusive; for an instant up to a day later, the instant itself decides."""
        until = self.rule.until if self.rule else None
        if until is None:
            return None
        if not isinstance(until, datetime):
            return datetime.combine(until, time.max)
        if until.tzinfo is None:
            return datetime.combine(until.date(), time.max) if self.entry.all_day else until
        if self.entry.all_day:
            return datetime.combine(zones.to_wall(until, self.zone).date(), time.max)
        return zones.to_wall(min(until, LATEST) + _DAY, self.zone)

    def _is_after_until(self, wall: datetime) -> bool:
        until = self.rule.until if self.rule else None
        if self.entry.all_day or not isinstance(until, datetime) or until.tzinfo is None:
            return False
        return zones.to_utc(wall, self.zone) > until

    def last_wall(self) -> datetime | None:
        """The last wall time of the rule, or a later one; None where it has no end, or none that is found in time."""
        if self.rule is None:
            return self.first
        if self.rule.until is not None:
            bound = self._until_wall()
            return max(self.first, bound) if bound else None
        if self.rule.count is None:
            return None
        return rules.last(self.rule, self.first, steps=SERIES_STEPS)

    def extra(self) -> Iterator[Instance]:
        """The RDATEs' instances (§3.8.5.2); what cannot be read as one is left out."""
        for text in self.entry.rdates:
            try:
                instance = self._of_rdate(text)
            except ValueError:
                continue
            yield instance

    def _of_rdate(self, text: str) -> Instance:
        begin, slash, finish = text.partition("/")
        moment = _parsed(begin)
        if self.entry.all_day:
            return self.at(datetime.combine(self.date_of(moment), time()))
        if not isinstance(moment, datetime):
            return self.at(datetime.combine(moment, self.first.time()))
        if not slash:
            instance = self.at(zones.to_wall(moment, self.zone))
            # In the hour that happens twice the wall time does not tell which; the RDATE does.
            return self._instance(moment, _later(moment, instance.end - instance.start))
        match = _DURATION.fullmatch(finish)
        if match is None:
            end = _parsed(finish)
            if not isinstance(end, datetime):
                raise ValueError(text)
        else:
            weeks, days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
            wall = _later(zones.to_wall(moment, self.zone), timedelta(weeks=weeks, days=days))
            exact = timedelta(hours=hours, minutes=minutes, seconds=seconds)
            end = _later(zones.to_utc(wall, self.zone) if weeks or days else moment, exact)
        return self._instance(moment, max(moment, end))

    def date_of(self, moment: datetime | date) -> date:
        """The local date of a date or an instant."""
        return zones.to_wall(moment, self.zone).date() if isinstance(moment, datetime) else moment


class _Named:
    """Instances of a series that EXDATEs or RECURRENCE-IDs name: by instant, or by their local date."""

    def __init__(self, series: Series, texts: Iterable[str]) -> None:
        self.series = series
        self.texts = frozenset(texts)
        if series.entry.all_day:
            self.texts = frozenset(_day_named(series, text) for text in self.texts)
        self.dates = frozenset(text for text in self.texts if len(text) == len("20260320"))

    def __contains__(self, instance: object) -> bool:
        assert isinstance(instance, Instance)
        if not self.texts:
            return False
        if instance.all_day:
            return _date_text(instance.start) in self.texts
        if _instant_text(instance.start) in self.texts:
            return True
        return bool(self.dates) and _date_text(zones.to_wall(instance.start, self.series.zone)) in self.dates


def _day_named(series: Series, text: str) -> str:
    """ "20260320" for whatever names an all-day instance; what names none stays as it is."""
    try:
        return _date_text(series.date_of(_parsed(text)))
    except ValueError:
        return text


class _Form:
    """A THISANDFUTURE override: from `since` on, the master's instances move and last as it does (§3.2.13)."""

    def __init__(self, series: Series, entry: Entry) -> None:
        self.series, self.entry = series, entry
        self.zone: tzinfo = UTC if entry.all_day else zones.zone(entry.time_zone or "UTC")
        moment = _parsed(entry.recurrence_id)
        if series.entry.all_day:
            original = datetime.combine(series.date_of(moment), time())
            self.since = original.replace(tzinfo=UTC)
        elif isinstance(moment, datetime):
            self.since, original = moment, zones.to_wall(moment, series.zone)
        else:
            self.since = zones.midnight(moment, series.zone)
            original = datetime.combine(moment, series.first.time())
        # By the wall clock, as the series itself recurs: an hour later stays an hour later across a DST change.
        self.delta = zones.to_wall(entry.start_time, self.zone) - original
        self.length = entry.end_time - entry.start_time + _DAY

    @property
    def shift(self) -> timedelta:
        """How far instances move, within a day: the two zones may differ."""
        return self.delta + (_DAY if self.delta > timedelta(0) else -_DAY)

    def of(self, instance: Instance) -> Instance:
        if self.series.entry.all_day:
            wall = instance.start.replace(tzinfo=None)
        else:
            wall = zones.to_wall(instance.start, self.series.zone)
        start = zones.to_utc(_later(wall, self.delta), self.zone)
        end = _later(start, self.length - _DAY)
        return Instance(start, end, self.entry.all_day, instance.recurrence_id, self.entry)


def _later(moment: datetime, by: timedelta) -> datetime:
    """The sum, bounded by the years 1 to 9999."""
    try:
        return moment + by
    except OverflowError:
        bound = EARLIEST if by < timedelta(0) else LATEST
        return bound.replace(tzinfo=moment.tzinfo)


_MOMENT = re.compile(r"\d{8}(T\d{6}Z?)?", re.ASCII)


def _parsed(text: str) -> datetime | date:
    """ "20260320" → date, "20260320T090000Z" → aware, UTC. Raises ValueError."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    if match[1] is None:
        return date.fromisoformat(text)
    return datetime.fromisoformat(text.rstrip("Z")).replace(tzinfo=UTC)


def _parsed_or_none(text: str) -> datetime | date | None:
    try:
        return _parsed(text)
    except ValueError:
        return None


def _date_text(start: date) -> str:
    return f"{start.year:04}{start.month:02}{start.day:02}"


def _instant_text(start: datetime) -> str:
    return f"{_date_text(start)}T{start.hour:02}{start.minute:02}{start.second:02}Z"
