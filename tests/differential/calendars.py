"""Calendars as texts: drawn by dice, with everything that RFC 5545 has for one series, and those of the corpus."""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from busyblocks import zones
from busyblocks.entries import Entry
from busyblocks.moments import compact
from busyblocks.recurrence import Instance, expand
from busyblocks.rules import parse, produces
from busyblocks.timespans import Span
from icsfeeds.vtimezone import onsets, vtimezone
from integrations.ical import NotUnderstood, Reader
from tests.differential.marks import marks_of

CORPUS = Path(__file__).parent.parent / "corpus"
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Auckland",
    "Asia/Beirut", "Africa/Cairo", "America/Havana", "America/Santiago", "Pacific/Apia", "Pacific/Kiritimati",
    "Africa/Casablanca", "America/St_Johns", "Asia/Kathmandu",
)  # fmt: skip
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
# The title of cancelled overrides: most programs tell of them, and leave it to the caller to show them or not.
CANCELLED = "cancelled"
_DAY = timedelta(days=1)
_FIRST, _LAST = 2023, 2028


@dataclass(frozen=True, slots=True)
class Drawn:
    """A calendar's text with one series, and the span that is asked about."""

    name: str
    text: str
    span: Span


def corpus() -> Iterator[Drawn]:
    """The files with series, asked about from 2020 to the end of 2027; what has no title is given one."""
    span = Span(datetime(2020, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
    for path in sorted(CORPUS.glob("*.ics")):
        text = path.read_bytes().decode()
        if "RRULE" in text or "RDATE" in text:
            untitled = re.compile(r"BEGIN:VEVENT\r\n((?:(?!SUMMARY)[^\r]*\r\n)*?)END:VEVENT")
            yield Drawn(path.stem, untitled.sub(r"BEGIN:VEVENT\r\nSUMMARY:untitled\r\n\1END:VEVENT", text), span)


def ours(drawn: Drawn) -> list[Instance]:
    """What this service makes of the calendar; raises NotUnderstood."""
    return expand(Reader().entries(drawn.text, external_event_id="one"), drawn.span)


def special(drawn: Drawn) -> set[str]:
    """Its marks: where implementations are known to part ways (see `known`)."""
    masters = [entry for entry in Reader().entries(drawn.text, external_event_id="one") if not entry.recurrence_id]
    plain = [replace(entry, exdates=()) for entry in masters]
    marks = marks_of(drawn.text, expand(plain, drawn.span))
    return marks | {"start outside of the rule" for entry in masters if not _synchronized(entry)}


def _synchronized(entry: Entry) -> bool:
    wall = datetime.fromisoformat(entry.local_start) if entry.local_start else entry.start_time.replace(tzinfo=None)
    return not entry.recurrence_rule or produces(parse(entry.recurrence_rule), wall)


@dataclass(slots=True)
class _Draft:
    """One series while it is drawn: its master's lines, and the events that stand beside it."""

    dice: random.Random
    zone: str
    all_day: bool
    first: datetime
    master: list[str] = field(default_factory=list)
    overrides: list[list[str]] = field(default_factory=list)

    def moment(self, name: str, wall: datetime) -> str:
        """The property with a time as DTSTART is written."""
        if self.all_day:
            return f"{name};VALUE=DATE:{compact(wall.date())}"
        if self.zone == "UTC":
            return f"{name}:{compact(wall)}Z"
        return f"{name};TZID={self.zone}:{compact(wall)}"

    def text(self) -> str:
        described = "" if self.zone == "UTC" or self.all_day else vtimezone(self.zone, _FIRST, _LAST)
        others = "".join(
            vtimezone(zone, _FIRST, _LAST)
            for zone in ("Asia/Tokyo", "America/Chicago")
            if any(f"TZID={zone}" in line for lines in self.overrides for line in lines)
        )
        events = ["\r\n".join(["BEGIN:VEVENT", *_HEAD, *lines, "END:VEVENT", ""]) for lines in self.events()]
        head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\n"
        return f"{head}{described}{others}{''.join(events)}END:VCALENDAR\r\n"

    def events(self) -> list[list[str]]:
        return [["SUMMARY:master", *self.master], *self.overrides]


_HEAD = ("UID:series@example.com", "DTSTAMP:20240101T000000Z")


def drawn(seed: int) -> Drawn:
    """A calendar with one series, the same for the same seed."""
    dice = random.Random(seed)
    while True:
        try:
            return _drawn(dice, f"seed {seed}")
        except NotUnderstood:
            # A COUNT that is reached in a thousand years is refused.
            continue


def _drawn(dice: random.Random, name: str) -> Drawn:
    draft = _first(dice)
    rule = _rule(draft)
    # Half of the rules begin where they would; the others have a start of their own.
    if dice.random() < 0.85:
        _move_to_the_rule(draft, rule)
    rule += _end(draft)
    draft.master = [draft.moment("DTSTART", draft.first), *_length(draft), f"RRULE:{rule}"]
    start = datetime.combine(draft.first.date(), time(), UTC) + timedelta(days=dice.choice([-40, 0, 3, 200, 400]))
    span = Span(start, start + timedelta(days=dice.choice([31, 120, 370])))
    found = ours(Drawn("", draft.text(), Span(draft.first.replace(tzinfo=UTC) - 2 * _DAY, span.end)))
    _exceptions(draft, found[1:])
    return Drawn(name, draft.text(), span)


def _first(dice: random.Random) -> _Draft:
    all_day = dice.random() < 0.2
    zone = "UTC" if all_day else dice.choice(ZONES)
    day = date(2024, 1, 1) + timedelta(days=dice.randint(0, 800))
    if dice.random() < 0.08:
        day = date(2024, 2, 29)
    first = datetime.combine(day, time())
    if not all_day:
        first += timedelta(hours=dice.randint(0, 23), minutes=dice.choice([0, 15, 30]))
        if zone != "UTC" and (changes := onsets(zone, 2024, 2026)) and dice.random() < 0.2:
            # Around a change of the clock, and of the same hour on other days.
            at = dice.choice(changes).instant + timedelta(minutes=dice.choice([-60, -15, 0, 15, 45]))
            first = (
                zones.to_wall(at, zones.zone(zone))
                + timedelta(minutes=dice.choice([0, 60]))
                - dice.randint(0, 9) * _DAY
            )
    return _Draft(dice, zone, all_day, first)


def _rule(draft: _Draft) -> str:
    dice = draft.dice
    freq = dice.choices(["DAILY", "WEEKLY", "MONTHLY", "YEARLY", "HOURLY"], [3, 5, 5, 3, 0 if draft.all_day else 1])[0]
    parts = [f"FREQ={freq}"]
    if dice.random() < 0.4:
        parts.append(f"INTERVAL={dice.choice([12, 36] if freq == 'HOURLY' else [2, 3, 5])}")
    elif freq == "HOURLY":
        parts.append("INTERVAL=8")
    parts += {"DAILY": _daily, "WEEKLY": _weekly, "MONTHLY": _monthly, "YEARLY": _yearly, "HOURLY": _hourly}[freq](
        draft
    )
    if dice.random() < 0.25:
        parts.append(f"WKST={dice.choice(_DAYS)}")
    return ";".join(parts)


def _hourly(draft: _Draft) -> list[str]:
    return draft.dice.choice([[], [f"BYDAY={_some_days(draft)}"], ["BYMONTH=1,3,10"]])


def _daily(draft: _Draft) -> list[str]:
    choices = [[], [], [f"BYDAY={_some_days(draft)}"], ["BYMONTH=2,3,4"], ["BYMONTHDAY=1,15,-1"]]
    if not draft.all_day:
        choices += [["BYHOUR=9,17"], ["BYHOUR=8,20", "BYMINUTE=0,30"], ["BYHOUR=6,12,18", "BYSETPOS=1,-1"]]
    return draft.dice.choice(choices)


def _weekly(draft: _Draft) -> list[str]:
    chosen = [f"BYDAY={_some_days(draft)}"]
    return draft.dice.choice([[], chosen, chosen, [*chosen, "BYMONTH=3,10"], [*chosen, "BYSETPOS=-1"]])


def _monthly(draft: _Draft) -> list[str]:
    dice = draft.dice
    day = dice.choice(_DAYS)
    return dice.choice([
        [],
        [f"BYMONTHDAY={dice.choice(['31', '-1', '-3', '1,15', '29,30,31', '13', '-31,2'])}"],
        [f"BYDAY={dice.choice(['1', '2', '-1', '-2', '5', '4', '-5'])}{day}"],
        [f"BYDAY=1{day},3{day}"],
        ["BYDAY=MO,TU,WE,TH,FR", f"BYSETPOS={dice.choice(['1', '-1', '-2', '3', '1,-1'])}"],
        ["BYDAY=FR", "BYMONTHDAY=13"],
        [f"BYDAY={day}", "BYMONTHDAY=8,9,10,11,12,13,14"],
        ["BYMONTH=1,4,7,10", f"BYDAY=2{day}"],
    ])  # fmt: skip


def _yearly(draft: _Draft) -> list[str]:
    dice = draft.dice
    day = dice.choice(_DAYS)
    return dice.choice([
        [],
        [],
        [f"BYMONTH={dice.choice(['2', '3,9', '12'])}"],
        [f"BYMONTH={dice.choice(['3', '10'])}", f"BYDAY=-1{day}"],
        ["BYMONTH=2", "BYMONTHDAY=29"],
        ["BYMONTH=2", "BYMONTHDAY=-1"],
        [f"BYYEARDAY={dice.choice(['1,100,200', '-1', '366', '-366,60', '59,60,61'])}"],
        [f"BYWEEKNO={dice.choice(['1', '20', '52,53', '-1'])}", f"BYDAY={day}"],
        [f"BYDAY={dice.choice(['1', '20', '-1'])}{day}"],
        ["BYMONTH=1", "BYDAY=MO,TU,WE,TH,FR,SA,SU", "BYSETPOS=1,-1"],
        ["BYMONTH=11", f"BYDAY={day}", "BYMONTHDAY=2,3,4,5,6,7,8"],
    ])  # fmt: skip


_BY_FREQ = {"DAILY": _daily, "WEEKLY": _weekly, "MONTHLY": _monthly, "YEARLY": _yearly, "HOURLY": _hourly}


def _some_days(draft: _Draft) -> str:
    chosen = draft.dice.sample(range(7), draft.dice.randint(1, 4))
    return ",".join(_DAYS[number] for number in sorted(chosen))


def _move_to_the_rule(draft: _Draft, rule: str) -> None:
    parsed = parse(rule)
    for _ in range(1500):
        if produces(parsed, draft.first):
            return
        hours = [
            draft.first.replace(hour=hour, minute=minute)
            for hour in parsed.by_hour
            for minute in parsed.by_minute or (0,)
        ]
        if found := next((each for each in hours if produces(parsed, each)), None):
            draft.first = found
            return
        draft.first += _DAY


def _end(draft: _Draft) -> str:
    dice, last = draft.dice, draft.first + draft.dice.randint(20, 500) * _DAY
    kind = dice.choice(["none", "none", "count", "count", "utc", "utc", "local", "date"])
    if kind == "none":
        return ""
    if kind == "count":
        return f";COUNT={dice.choice([1, 2, 7, 30, 100])}"
    if draft.all_day:
        return f";UNTIL={compact(last.date())}"
    if kind == "date":
        return f";UNTIL={compact(last.date())}"
    if kind == "local" and draft.zone != "UTC":
        return f";UNTIL={compact(last)}"
    return f";UNTIL={compact(zones.to_utc(last, zones.zone(draft.zone)))}"


def _length(draft: _Draft) -> list[str]:
    dice = draft.dice
    if draft.all_day:
        days = dice.choice([1, 1, 2, 7])
        return dice.choice([[draft.moment("DTEND", draft.first + days * _DAY)], [f"DURATION:P{days}D"], []])
    minutes = dice.choice([15, 45, 60, 60, 90, 600])
    kind = dice.choice(["end", "end", "end", "exact", "exact", "nominal", "none"])
    if kind == "end":
        tz = zones.zone(draft.zone)
        wall = zones.to_wall(zones.to_utc(draft.first, tz) + timedelta(minutes=minutes), tz)
        # An end that happens twice means the first, which may lie before the start.
        if zones.to_utc(wall, tz) > zones.to_utc(draft.first, tz):
            return [draft.moment("DTEND", wall)]
    if kind == "nominal":
        return ["DURATION:" + dice.choice(["P1D", "P1W", "P1DT2H"])]
    return [] if kind == "none" else [f"DURATION:PT{minutes}M"]


def _exceptions(draft: _Draft, found: list[Instance]) -> None:
    """EXDATEs, RDATEs and overrides of some of the instances, in every form that is written."""
    dice, tz = draft.dice, zones.zone(draft.zone)
    dice.shuffle(found)
    for instance in found[: dice.choice([0, 0, 1, 3])]:
        wall = instance.start.replace(tzinfo=None) if draft.all_day else zones.to_wall(instance.start, tz)
        utc = not draft.all_day and (dice.random() < 0.4 or zones.to_utc(wall, tz) != instance.start)
        draft.master.append(f"EXDATE:{compact(instance.start)}" if utc else draft.moment("EXDATE", wall))
    for _ in range(dice.choice([0, 0, 0, 1, 2])):
        draft.master.append(_rdate(draft))
    for number, instance in enumerate(found[4 : 4 + dice.choice([0, 0, 1, 2, 3])]):
        draft.overrides.append(_override(draft, instance, number))


def _rdate(draft: _Draft) -> str:
    # Seven minutes past: never an instance of the rule, and never in an hour that is skipped or comes twice.
    wall = datetime.combine(draft.first.date(), time(12, 7)) + draft.dice.randint(1, 300) * _DAY
    if draft.all_day or draft.dice.random() < 0.6:
        return draft.moment("RDATE", wall)
    start = zones.to_utc(wall, zones.zone(draft.zone))
    if draft.dice.random() < 0.5:
        return f"RDATE:{compact(start)}"
    return f"RDATE;VALUE=PERIOD:{compact(start)}/{compact(start + timedelta(minutes=20))}"


def _override(draft: _Draft, instance: Instance, number: int) -> list[str]:
    dice, tz = draft.dice, zones.zone(draft.zone)
    lines = [f"SUMMARY:override {number}"]
    if draft.all_day:
        first = instance.start.date()
        moved = first + dice.randint(-20, 20) * _DAY
        return [
            *lines,
            f"RECURRENCE-ID;VALUE=DATE:{compact(first)}",
            f"DTSTART;VALUE=DATE:{compact(moved)}",
            f"DTEND;VALUE=DATE:{compact(moved + 2 * _DAY)}",
        ]
    wall = zones.to_wall(instance.start, tz)
    utc = dice.random() < 0.3 or zones.to_utc(wall, tz) != instance.start
    lines.append(f"RECURRENCE-ID:{compact(instance.start)}" if utc else draft.moment("RECURRENCE-ID", wall))
    moved = datetime.combine(wall.date(), time(13, 11)) + dice.randint(-20, 20) * _DAY
    kind = dice.choice(["moved", "moved", "elsewhere", "all day", "cancelled"])
    if kind == "all day":
        day = compact(moved.date())
        return [*lines, f"DTSTART;VALUE=DATE:{day}", f"DTEND;VALUE=DATE:{compact((moved + _DAY).date())}"]
    if kind == "elsewhere":
        zone = dice.choice(["Asia/Tokyo", "America/Chicago"])
        return [*lines, f"DTSTART;TZID={zone}:{compact(moved)}", "DURATION:PT40M"]
    if kind == "cancelled":
        lines[0] = f"SUMMARY:{CANCELLED}"
        return [*lines, draft.moment("DTSTART", wall), "DURATION:PT30M", "STATUS:CANCELLED"]
    return [*lines, draft.moment("DTSTART", moved), "DURATION:PT25M"]
