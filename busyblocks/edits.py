"""What changing a series means: pure values in, pure values out.

A change of time is told of one instance and carried over to the others by the wall clock, as the series itself
recurs: an hour later stays an hour later across a change of the clock (RFC 5545 §3.3.10).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta, tzinfo

from busyblocks import moments, rules, zones
from busyblocks.entries import Entry
from busyblocks.errors import RuleRefused
from busyblocks.recurrence import SERIES_STEPS, Instance, Series
from busyblocks.rules import Budget, Freq
from busyblocks.timespans import EARLIEST, LATEST

_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_WEEK = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Carried:
    """What becomes of the names of single instances when their series changes.

    renamed: recurrence ids that still name an instance, old to new; an override of any other has nothing to override.
    """

    rdates: tuple[str, ...]
    exdates: tuple[str, ...]
    renamed: dict[str, str]


def one(master: Entry, current: Entry, recurrence_id: str) -> Entry:
    """The instance as an override of its master: all that it says now, and no rule (RFC 5545 §3.8.4.4).

    current: the override's entry where there is one, else the master's; at the instance's own times.
    """
    if current.recurrence_id != recurrence_id:
        current = _at(master, Instance(current.start_time, current.end_time, master.all_day, recurrence_id, master))
    return replace(
        current,
        recurrence_id=recurrence_id,
        uid=master.uid,
        external_event_id=master.external_event_id,
        recurrence_rule="",
        rdates=(),
        exdates=(),
    )


def onward(master: Entry, recurrence_id: str) -> Entry | None:
    """The series from the instance on, as its own master; None where nothing comes before it: it is the whole series.

    COUNT is what is left of it. Raises `BudgetExceeded` where that cannot be counted in reasonable time.
    """
    series = Series(master)
    instance = _original(master, recurrence_id)
    if not any(start < instance.start for start in _starts_until(series, instance.start)):
        return None
    rule = master.recurrence_rule
    if series.rule is not None and series.rule.count is not None:
        before = _walls_until(series, instance.start)
        made = sum(series.at(wall).start < instance.start for wall in before)
        rule = _with(rule, "COUNT", str(series.rule.count - made))
    late = replace(_at(master, instance), recurrence_rule=rule)
    return replace(
        late,
        rdates=tuple(text for text in master.rdates if not _is_before(series, text, instance.start)),
        exdates=tuple(text for text in master.exdates if not _is_before(series, text, instance.start)),
    )


def ended(master: Entry, recurrence_id: str) -> Entry:
    """The series up to the instance, without it: UNTIL is the last moment before it (RFC 5545 §3.3.10)."""
    series = Series(master)
    start = _original(master, recurrence_id).start
    rule = master.recurrence_rule
    if rule:
        last = moments.compact(start.date() - _DAY) if master.all_day else moments.compact(start - _SECOND)
        rule = _with(_with(rule, "COUNT", ""), "UNTIL", last)
    rdates = tuple(text for text in master.rdates if _is_before(series, text, start))
    return replace(
        master,
        # Without any rule it would be a single entry, and EXDATEs and overrides would mean nothing.
        recurrence_rule=rule if rule or rdates else "FREQ=DAILY;COUNT=1",
        rdates=rdates,
        exdates=tuple(text for text in master.exdates if _is_before(series, text, start)),
    )


def all_moved(master: Entry, recurrence_id: str, changed: Entry) -> Entry:
    """The whole series changed as one instance was: `changed` is what `at_instance` gave, changed.

    Times move by the wall clock as far as this instance did; lengths become its own.
    """
    before = at_instance(master, recurrence_id)
    shift = _first(changed) - _first(before)
    zone: tzinfo = UTC if changed.all_day else zones.zone(changed.time_zone)
    if shift == timedelta(0) and (changed.all_day, changed.time_zone) == (master.all_day, master.time_zone):
        start, local_start = master.start_time, master.local_start
    else:
        wall = _plus(_first(master), shift)
        start = zones.to_utc(wall, zone)
        local_start = "" if changed.all_day or changed.time_zone == "UTC" else moments.compact(wall)
    end = _plus(start, changed.end_time - changed.start_time)
    return replace(changed, start_time=start, end_time=end, local_start=local_start)


def at_instance(master: Entry, recurrence_id: str) -> Entry:
    """The series as if it began with the instance: what a change told of this instance starts from."""
    return _at(master, _original(master, recurrence_id))


def rule_for(before: Entry, after: Entry) -> str:
    """The rule of `after`, moved along with its start where it is still that of `before`.

    Raises `RuleRefused` where the rule names days or times itself and only the caller can say what they become.
    """
    rule = after.recurrence_rule
    shift = _first(after) - _first(before)
    if not rule or rule != before.recurrence_rule or shift == timedelta(0):
        return rule
    parsed = rules.parse(rule)
    moved_days = (_first(after).date() - _first(before).date()).days
    named_times = parsed.by_hour or parsed.by_minute or parsed.by_second
    named_days = parsed.by_day or parsed.by_month_day or parsed.by_year_day or parsed.by_week_no or parsed.by_month
    weekly = parsed.freq == Freq.WEEKLY and not (parsed.by_month or parsed.by_set_pos)
    rotates = weekly and (parsed.interval == 1 or len(parsed.by_day) == 1)
    if (named_times and shift % _DAY) or (named_days and moved_days and not rotates):
        raise RuleRefused("The rule names the days or times that are moved; say the new recurrence_rule too.")
    if moved_days and parsed.by_day:
        rule = _with(rule, "BYDAY", ",".join(_WEEK[(day + moved_days) % 7] for _, day in parsed.by_day))
    until = parsed.until
    if isinstance(until, datetime) and until.tzinfo is not None and not after.all_day:
        old_zone, new_zone = zones.zone(before.time_zone), zones.zone(after.time_zone)
        last = zones.to_utc(_plus(zones.to_wall(until, old_zone), shift), new_zone)
        rule = _with(rule, "UNTIL", moments.compact(last))
    elif isinstance(until, datetime) and until.tzinfo is None:
        rule = _with(rule, "UNTIL", moments.compact(_plus(until, shift)))
    elif until is not None and moved_days:
        rule = _with(rule, "UNTIL", moments.compact(_plus(datetime.combine(until, time()), moved_days * _DAY).date()))
    return rule


def carried(before: Entry, after: Entry, recurrence_ids: frozenset[str]) -> Carried:
    """The names of single instances after the change; those that name none any more are left out, but no EXDATE is.

    What `after` says anew about its RDATEs and EXDATEs stands. Raises `BudgetExceeded`.
    """
    if not after.recurring:
        return Carried((), (), {})
    old, new = Series(before), Series(after)
    shift = _first(after) - _first(before)
    same = shift == timedelta(0) and (before.all_day, before.time_zone) == (after.all_day, after.time_zone)
    rdates, exdates = after.rdates, after.exdates
    if not same:
        translate = _Translation(old, new, shift, {*before.exdates, *recurrence_ids})
        if rdates == before.rdates:
            rdates = tuple(translate.period(text) for text in rdates)
        if exdates == before.exdates:
            exdates = tuple(map(translate.name, exdates))
    if not recurrence_ids:
        return Carried(rdates, exdates, {})
    renamed = {text: text if same else translate.name(text) for text in recurrence_ids}
    known = _names(Series(replace(after, rdates=rdates)), renamed.values())
    return Carried(rdates, exdates, {old: new for old, new in renamed.items() if new in known})


class _Translation:
    """Names of instances of `old` as names of those of `new`, later by `shift` on the wall clock."""

    def __init__(self, old: Series, new: Series, shift: timedelta, texts: set[str]) -> None:
        self.old, self.new, self.shift = old, new, shift
        # In a gap of the clock the instant does not tell the wall time that the rule meant; the rule does.
        self.walls = {old.text(old.at(wall).start): wall for wall in _walls_between(old, texts)}

    def name(self, text: str) -> str:
        if len(text) == len("20260320") and not self.old.entry.all_day:
            # Every instance of that local day.
            return moments.compact(_plus(start_of(text), self._of_day).date())
        wall = self.walls.get(text)
        if wall is None:
            start = start_of(text)
            wall = start.replace(tzinfo=None) if self.old.entry.all_day else zones.to_wall(start, self.old.zone)
        return self.new.text(self.new.at(_plus(wall, self.shift)).start)

    def period(self, text: str) -> str:
        start, slash, end = text.partition("/")
        if not slash or end.startswith("P"):
            return self.name(start) + slash + end
        length = start_of(end) - start_of(start)
        begins = self.name(start)
        return begins if self.new.entry.all_day else f"{begins}/{moments.compact(_plus(start_of(begins), length))}"

    @property
    def _of_day(self) -> timedelta:
        return (self.new.first.date() - (self.new.first - self.shift).date()) if self.shift else timedelta(0)


def _at(master: Entry, instance: Instance) -> Entry:
    """The master's entry at the time that the series gives to the instance."""
    series = Series(master)
    if instance.start == master.start_time or master.all_day or master.time_zone == "UTC":
        local_start = master.local_start if instance.start == master.start_time else ""
    else:
        walls = _walls_between(series, {instance.recurrence_id})
        meant = (wall for wall in walls if series.at(wall).start == instance.start)
        local_start = moments.compact(next(meant, zones.to_wall(instance.start, series.zone)))
    return replace(master, start_time=instance.start, end_time=instance.end, local_start=local_start)


def _original(master: Entry, recurrence_id: str) -> Instance:
    """The instance as the series has it, whatever became of it since."""
    series = Series(master)
    start = start_of(recurrence_id)
    for instance in series.extra():
        if instance.start == start:
            return instance
    length = master.end_time - master.start_time
    return Instance(start, _plus(start, length), master.all_day, recurrence_id, master)


def _starts_until(series: Series, until: datetime) -> list[datetime]:
    """The first start by the rule, and RDATEs: enough to know whether any lies before `until`."""
    return [series.at(series.first).start, *(instance.start for instance in series.extra())]


def _walls_until(series: Series, until: datetime) -> list[datetime]:
    last = zones.to_wall(until, UTC if series.entry.all_day else series.zone)
    return list(series.walls(series.first, _plus(last, _DAY), Budget(SERIES_STEPS)))


def _walls_between(series: Series, texts: set[str]) -> list[datetime]:
    """The rule's wall times from the first instance named to the last, a day more on each side."""
    starts = [start_of(text) for text in texts if series.entry.recurrence_rule]
    if not starts:
        return []
    zone = UTC if series.entry.all_day else series.zone
    first, last = zones.to_wall(min(starts), zone), zones.to_wall(max(starts), zone)
    return list(series.walls(_plus(first, -_DAY), _plus(last, _DAY), Budget(SERIES_STEPS)))


def _names(series: Series, texts: Iterable[str]) -> set[str]:
    texts = set(texts)
    found = {series.text(series.at(wall).start) for wall in [series.first, *_walls_between(series, texts)]}
    return found | {instance.recurrence_id for instance in series.extra()}


def _is_before(series: Series, text: str, start: datetime) -> bool:
    """Whether an RDATE or EXDATE lies before the instant; a date in a timed series, before its local day."""
    text = text.partition("/")[0]
    if len(text) == len("20260320") and not series.entry.all_day:
        return start_of(text).date() < zones.to_wall(start, series.zone).date()
    return start_of(text) < start


def _first(entry: Entry) -> datetime:
    return Series(entry).first


def start_of(text: str) -> datetime:
    """The instant that a short form names, dates as 00:00 UTC; raises ValueError."""
    moment = moments.parsed(moments.spelled(text))
    return moment.replace(tzinfo=UTC) if isinstance(moment, datetime) else datetime.combine(moment, time(), UTC)


def _plus(moment: datetime, by: timedelta) -> datetime:
    try:
        return moment + by
    except OverflowError:
        return (LATEST if by > timedelta(0) else EARLIEST).replace(tzinfo=moment.tzinfo)


def _with(rule: str, name: str, value: str) -> str:
    """The rule with another value of one part; without the part where there is none."""
    parts = [part for part in rule.split(";") if part.partition("=")[0] != name]
    return ";".join([*parts, f"{name}={value}"] if value else parts)
