"""Recurrence rules (RFC 5545 §3.3.10): the grammar, and the walk through what a rule yields.

A rule is refused by its grammar before anything walks it. The walk goes from period to period by arithmetic, so that
it can begin near the span that is asked for, and pays for each day that it looks at from a budget, so that a rule
that never yields anything ends too. (dateutil can do neither: it walks from the start and looks at its bounds only
where it yields.)
"""

import calendar
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import IntEnum
from functools import lru_cache
from itertools import product

from busyblocks.errors import BudgetExceeded, RuleRefused

MAX_LENGTH = 2048
# More is no calendar entry.
MAX_INSTANCES_PER_DAY = 24
_DAYS = {"MO": 0, "TU": 1, "WE": 2, "TH": 3, "FR": 4, "SA": 5, "SU": 6}
_BYDAY = re.compile(r"([+-]?\d{1,2})?(MO|TU|WE|TH|FR|SA|SU)")
_UNTIL = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?")
_PARTS = {
    "FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY",
    "BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS",
}  # fmt: skip


class Freq(IntEnum):
    YEARLY = 0
    MONTHLY = 1
    WEEKLY = 2
    DAILY = 3
    HOURLY = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that passed the grammar. until: aware (UTC), naive (the series' local time) or a date, inclusive."""

    freq: Freq
    interval: int = 1
    count: int | None = None
    until: datetime | date | None = None
    by_month: tuple[int, ...] = ()
    by_week_no: tuple[int, ...] = ()
    by_year_day: tuple[int, ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_day: tuple[tuple[int, int], ...] = ()  # (ordinal or 0, weekday from Monday = 0)
    by_hour: tuple[int, ...] = ()
    by_minute: tuple[int, ...] = ()
    by_second: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    week_start: int = 0


class Budget:
    """Steps of work that may still be done: a day looked at, or an instance made, is one.

    So is each time of day beyond the first that a day is given, whether or not an instance comes of it.
    """

    __slots__ = ("left",)

    def __init__(self, steps: int) -> None:
        self.left = steps

    def spend(self, steps: int = 1) -> None:
        """Raises `BudgetExceeded` when the steps are more than are left."""
        self.left -= steps
        if self.left < 0:
            raise BudgetExceeded


def bare(text: str) -> str:
    """The rule without blanks around it, a leading "RRULE:" or a closing semicolon, in upper case."""
    return text.strip().upper().removeprefix("RRULE:").rstrip(";")


@lru_cache(maxsize=4096)
def parse(text: str) -> Rule:
    """The rule that `text` writes; raises `RuleRefused` with a reason for people."""
    text = bare(text)
    if len(text) > MAX_LENGTH:
        raise RuleRefused(f"The rule is longer than {MAX_LENGTH} characters.")
    parts: dict[str, str] = {}
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if name in {"RSCALE", "SKIP"}:
            raise RuleRefused("RSCALE (RFC 7529) is not supported; only the Gregorian calendar is.")
        if not equals or name not in _PARTS:
            raise RuleRefused(f"{part[:40]!r} is not a part of an RFC 5545 rule.")
        if name in parts:
            raise RuleRefused(f"{name} stands twice.")
        parts[name] = value
    rule = _rule(parts)
    if per_day(rule) > MAX_INSTANCES_PER_DAY:
        raise RuleRefused(f"The rule recurs more than {MAX_INSTANCES_PER_DAY} times a day.")
    return rule


def _rule(parts: dict[str, str]) -> Rule:
    if "COUNT" in parts and "UNTIL" in parts:
        raise RuleRefused("COUNT and UNTIL exclude each other.")
    return Rule(
        freq=_freq(parts),
        interval=_number("INTERVAL", parts["INTERVAL"]) if "INTERVAL" in parts else 1,
        count=_number("COUNT", parts["COUNT"]) if "COUNT" in parts else None,
        until=_until(parts["UNTIL"]) if "UNTIL" in parts else None,
        by_month=_numbers(parts, "BYMONTH", 1, 12),
        by_week_no=_numbers(parts, "BYWEEKNO", 1, 53, signed=True),
        by_year_day=_numbers(parts, "BYYEARDAY", 1, 366, signed=True),
        by_month_day=_numbers(parts, "BYMONTHDAY", 1, 31, signed=True),
        by_day=_weekdays(parts),
        by_hour=_numbers(parts, "BYHOUR", 0, 23),
        by_minute=_numbers(parts, "BYMINUTE", 0, 59),
        # A leap second is the second before it (§3.3.12).
        by_second=tuple(sorted({min(second, 59) for second in _numbers(parts, "BYSECOND", 0, 60)})),
        by_set_pos=_numbers(parts, "BYSETPOS", 1, 366, signed=True),
        week_start=_week_start(parts.get("WKST", "MO")),
    )


def _freq(parts: dict[str, str]) -> Freq:
    word = parts.get("FREQ")
    if word is None:
        raise RuleRefused("FREQ is missing.")
    if word in {"SECONDLY", "MINUTELY"}:
        raise RuleRefused(f"FREQ={word} is not supported; HOURLY is the shortest.")
    if word not in Freq.__members__:
        raise RuleRefused(f"FREQ={word[:20]} is not one of {', '.join(Freq.__members__)}.")
    return Freq[word]


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) < 1:
        raise RuleRefused(f"{name} must be a whole number from 1 to 999999.")
    return int(text)


def _numbers(parts: dict[str, str], name: str, least: int, most: int, *, signed: bool = False) -> tuple[int, ...]:
    """The list of a BY part, sorted, without repetition."""
    if name not in parts:
        return ()
    found = set()
    for text in parts[name].split(","):
        number = int(text) if re.fullmatch(r"[+-]?[0-9]{1,3}", text) else None
        if number is None or not least <= (abs(number) if signed else number) <= most:
            bounds = f"{least} to {most}" + (f" or -{most} to -{least}" if signed else "")
            raise RuleRefused(f"{name}: {text[:20]!r} is not a number from {bounds}.")
        found.add(number)
    return tuple(sorted(found))


def _weekdays(parts: dict[str, str]) -> tuple[tuple[int, int], ...]:
    if "BYDAY" not in parts:
        return ()
    found = set()
    for text in parts["BYDAY"].split(","):
        match = _BYDAY.fullmatch(text)
        ordinal = int(match[1] or 0) if match else 0
        if match is None or (match[1] and not 1 <= abs(ordinal) <= 53):
            raise RuleRefused(f"BYDAY: {text[:20]!r} is not a weekday such as MO, 2TU or -1FR.")
        found.add((ordinal, _DAYS[match[2]]))
    return tuple(sorted(found))


def _week_start(text: str) -> int:
    if text not in _DAYS:
        raise RuleRefused(f"WKST={text[:20]} is not a weekday.")
    return _DAYS[text]


def _until(text: str) -> datetime | date:
    match = _UNTIL.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        if match[2] is None:
            return date.fromisoformat(match[1])
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}")
    except ValueError:
        raise RuleRefused("UNTIL must be a date or a time such as 20261231 or 20261231T235959Z.") from None
    return moment.replace(tzinfo=UTC) if match[3] else moment


def per_day(rule: Rule) -> int:
    """How often the rule recurs on one day, at most."""
    if rule.freq == Freq.HOURLY:
        hours = len(rule.by_hour) or -(-24 // min(rule.interval, 24))
    else:
        hours = len(rule.by_hour) or 1
    return hours * (len(rule.by_minute) or 1) * (len(rule.by_second) or 1)


@lru_cache(maxsize=1024)
def last(rule: Rule, first: datetime, *, steps: int) -> datetime | None:
    """The last wall time of a rule with a COUNT; None where it is not found in so many steps."""
    walls = walk(rule, first, after=first, until=_END, budget=Budget(steps))
    try:
        return deque(walls, maxlen=1).pop()
    except BudgetExceeded:
        return None


def walk(rule: Rule, first: datetime, *, after: datetime, until: datetime, budget: Budget) -> Iterator[datetime]:
    """The wall times in [after, until], ascending, that the rule yields from `first` on (DTSTART, naive local time).

    `first` itself is always the first instance, whether or not the rule would produce it, and counts in COUNT
    (§3.3.10: "The DTSTART property value always counts as the first occurrence"). The rule's UNTIL is the caller's
    affair, because it may be an instant: it goes into `until`. Raises `BudgetExceeded`.
    """
    return _Walk(rule, first, budget).between(after, until)


def produces(rule: Rule, first: datetime) -> bool:
    """Whether the rule yields its own DTSTART; RFC 5545 leaves open what it means where it does not (§3.8.5.3)."""
    return first in _Walk(rule, first, Budget(366))._period(0)[1]


class _Walk:
    """A rule made complete by its DTSTART, period by period."""

    def __init__(self, rule: Rule, first: datetime, budget: Budget) -> None:
        self.rule, self.first, self.budget = rule, first, budget
        self.by_month = frozenset(rule.by_month)
        self.by_month_day = rule.by_month_day
        self.by_day = rule.by_day
        if not (rule.by_week_no or rule.by_year_day or rule.by_month_day or rule.by_day):
            self._adopt_day()
        elif rule.by_week_no and not (rule.by_day or rule.by_month_day or rule.by_year_day):
            self.by_day = ((0, first.weekday()),)
        # Ordinals mean something in MONTHLY and YEARLY rules only (§3.3.10); elsewhere the weekday alone is taken.
        if rule.freq > Freq.MONTHLY:
            self.by_day = tuple((0, weekday) for _, weekday in self.by_day)
        self.plain_days = frozenset(weekday for ordinal, weekday in self.by_day if not ordinal)
        self.ordinal_days = frozenset((ordinal, weekday) for ordinal, weekday in self.by_day if ordinal)
        self.times = [
            time(hour, minute, second)
            for hour, minute, second in product(
                (rule.by_hour or (first.hour,)) if rule.freq < Freq.HOURLY else (0,),
                rule.by_minute or (first.minute,),
                rule.by_second or (first.second,),
            )
        ]
        self.week = first.date() - timedelta(days=(first.weekday() - rule.week_start) % 7)
        self.unlimited_days = not (self.by_month or self.by_month_day or self.rule.by_week_no or self.rule.by_year_day)

    def _adopt_day(self) -> None:
        """What the rule leaves open about the day comes from DTSTART (§3.3.10)."""
        if self.rule.freq == Freq.YEARLY and not self.by_month:
            self.by_month = frozenset({self.first.month})
        if self.rule.freq in {Freq.YEARLY, Freq.MONTHLY}:
            self.by_month_day = (self.first.day,)
        elif self.rule.freq == Freq.WEEKLY:
            self.by_day = ((0, self.first.weekday()),)

    def between(self, after: datetime, until: datetime) -> Iterator[datetime]:
        if self.first > until:
            return
        number, made = self._start(after)
        if number == 0:
            made = 1
            if self.first >= after:
                yield self.first
        while self.rule.count is None or made < self.rule.count:
            try:
                begins, found = self._period(number)
            except (OverflowError, ValueError):
                return  # past the year 9999
            if begins > until:
                return
            number += 1
            for wall in found:
                if wall <= self.first:
                    continue
                if wall > until or made == self.rule.count:
                    return
                made += 1
                if wall >= after:
                    self.budget.spend()
                    yield wall

    def _start(self, after: datetime) -> tuple[int, int]:
        """The period to begin with, and how many instances lie before it."""
        periods = self._periods_until(after) - 1
        if periods <= 0:
            return 0, 0
        if self.rule.count is None:
            return periods, 0
        each = self._instances_per_period()
        if each is None:
            return 0, 0
        in_first = sum(wall > self.first for wall in self._period(0)[1]) + 1
        return periods, in_first + (periods - 1) * each

    def _periods_until(self, after: datetime) -> int:
        """How many whole periods lie between DTSTART's and the one that holds `after`, at most."""
        rule, first = self.rule, self.first
        match rule.freq:
            case Freq.YEARLY:
                units = after.year - first.year
            case Freq.MONTHLY:
                units = (after.year - first.year) * 12 + after.month - first.month
            case Freq.WEEKLY:
                units = (after.date() - self.week).days // 7
            case Freq.DAILY:
                units = (after.date() - first.date()).days
            case Freq.HOURLY:
                units = (after - first) // timedelta(hours=1)
        return units // rule.interval

    def _instances_per_period(self) -> int | None:
        """Where every period yields equally many: how many; otherwise None, and COUNT has to be walked."""
        rule = self.rule
        if rule.by_set_pos or not self.unlimited_days or self.by_month_day:
            return None
        if rule.freq == Freq.WEEKLY:
            return len(self.plain_days) * len(self.times)
        if rule.freq == Freq.DAILY and not self.by_day:
            return len(self.times)
        if rule.freq == Freq.HOURLY and not self.by_day and not rule.by_hour:
            return len(self.times)
        return None

    def _period(self, number: int) -> tuple[datetime, list[datetime]]:
        """When the period begins, and its instances, ascending. Raises OverflowError or ValueError past year 9999."""
        rule, first = self.rule, self.first
        step = number * rule.interval
        match rule.freq:
            case Freq.YEARLY:
                start = date(first.year + step, 1, 1)
                days = self._days_of_year(start.year)
            case Freq.MONTHLY:
                months = first.month - 1 + step
                start = date(first.year + months // 12, months % 12 + 1, 1)
                days = self._days_of_month(start.year, start.month)
            case Freq.WEEKLY:
                start = self.week + timedelta(days=7 * step)
                days = [start + timedelta(days=day) for day in range(7) if start.toordinal() + day <= _LAST_DAY]
            case Freq.DAILY:
                start = first.date() + timedelta(days=step)
                days = [start]
            case Freq.HOURLY:
                return self._hour(step)
        self.budget.spend(len(days) or 1)
        begins = datetime.combine(start, time())
        days = [day for day in days if self._fits(day)]
        self.budget.spend(len(days) * (len(self.times) - 1))
        return begins, self._chosen([datetime.combine(day, at) for day in days for at in self.times])

    def _hour(self, step: int) -> tuple[datetime, list[datetime]]:
        self.budget.spend()
        begins = self.first.replace(minute=0, second=0) + timedelta(hours=step)
        if (self.rule.by_hour and begins.hour not in self.rule.by_hour) or not self._fits(begins.date()):
            return begins, []
        self.budget.spend(len(self.times) - 1)
        return begins, self._chosen([datetime.combine(begins, at.replace(hour=begins.hour)) for at in self.times])

    def _chosen(self, found: list[datetime]) -> list[datetime]:
        if not self.rule.by_set_pos:
            return found
        size = len(found)
        places = {place - 1 if place > 0 else size + place for place in self.rule.by_set_pos}
        return [found[place] for place in sorted(places) if 0 <= place < size]

    def _days_of_year(self, year: int) -> list[date]:
        if self.rule.by_year_day:
            length = 366 if calendar.isleap(year) else 365
            numbers = {day if day > 0 else length + 1 + day for day in self.rule.by_year_day}
            new_year = date(year, 1, 1)
            return [new_year + timedelta(days=day - 1) for day in sorted(numbers) if 1 <= day <= length]
        return [day for month in sorted(self.by_month or range(1, 13)) for day in self._days_of_month(year, month)]

    def _days_of_month(self, year: int, month: int) -> list[date]:
        if self.by_month and month not in self.by_month:
            return []
        length = calendar.monthrange(year, month)[1]
        numbers = {day if day > 0 else length + 1 + day for day in self.by_month_day} or range(1, length + 1)
        return [date(year, month, day) for day in sorted(numbers) if 1 <= day <= length]

    def _fits(self, day: date) -> bool:
        if self.by_day and day.weekday() not in self.plain_days and not self._is_ordinal_day(day):
            return False
        if self.unlimited_days:
            return True
        if self.by_month and day.month not in self.by_month:
            return False
        if self.by_month_day:
            length = calendar.monthrange(day.year, day.month)[1]
            if day.day not in self.by_month_day and day.day - length - 1 not in self.by_month_day:
                return False
        if self.rule.by_year_day:
            length = 366 if calendar.isleap(day.year) else 365
            number = day.timetuple().tm_yday
            if number not in self.rule.by_year_day and number - length - 1 not in self.rule.by_year_day:
                return False
        return not self.rule.by_week_no or self._is_in_weeks(day)

    def _is_ordinal_day(self, day: date) -> bool:
        """Whether the day is, say, the second Tuesday of its month; of its year in a YEARLY rule without BYMONTH."""
        if not self.ordinal_days:
            return False
        if self.rule.freq == Freq.YEARLY and not self.rule.by_month:
            number, length = day.timetuple().tm_yday, 366 if calendar.isleap(day.year) else 365
        else:
            number, length = day.day, calendar.monthrange(day.year, day.month)[1]
        weekday = day.weekday()
        from_start, from_end = (number - 1) // 7 + 1, -((length - number) // 7 + 1)
        return (from_start, weekday) in self.ordinal_days or (from_end, weekday) in self.ordinal_days

    def _is_in_weeks(self, day: date) -> bool:
        """BYWEEKNO: weeks begin on WKST, the first has at least four days of its year (§3.3.10)."""
        starts = [_first_week(year, self.rule.week_start) for year in (day.year, day.year + 1, day.year + 2)]
        starts.insert(0, _first_week(day.year - 1, self.rule.week_start))
        number_of_day = day.toordinal()
        place = bisect_left(starts, number_of_day + 1) - 1
        week = (number_of_day - starts[place]) // 7 + 1
        weeks = (starts[place + 1] - starts[place]) // 7
        return week in self.rule.by_week_no or week - weeks - 1 in self.rule.by_week_no


_LAST_DAY = date.max.toordinal()
_END = datetime.combine(date.max, time())


def _first_week(year: int, week_start: int) -> int:
    """The ordinal of the day on which week 1 of the year begins; it may lie in the year before."""
    # 4 January is always in week 1; ordinals go on where dates end, before year 1 and after 9999.
    fourth = date(min(max(year, 1), 9999), 1, 4).toordinal() + 365 * (year - min(max(year, 1), 9999))
    return fourth - ((fourth + 6 - week_start) % 7)
