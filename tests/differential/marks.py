"""What is special about a calendar with one series: where implementations are known to part ways."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from busyblocks import zones
from busyblocks.errors import RuleRefused
from busyblocks.recurrence import Instance
from busyblocks.rules import Freq, Rule, parse

_UTC_TIME = re.compile(r"\d{8}T\d{6}Z")


def marks_of(text: str, found: Sequence[Instance]) -> set[str]:
    """Of the calendar's text, and of what its master yields in the span, EXDATEs or not, as we see it."""
    marks = {name for name in ("EXDATE", "RECURRENCE-ID") if f"\r\n{name}" in text}
    # Countries that changed their clocks in 2026.
    marks |= {"rules of this year" for zone in ("Africa/Casablanca", "America/Havana") if f"TZID={zone}" in text}
    lines = text.replace("\r\n ", "").split("\r\n")
    events = [part.split("\r\n") for part in "\r\n".join(lines).split("BEGIN:VEVENT\r\n")[1:]]
    zoned = any(line.startswith("DTSTART;TZID=") for event in events for line in event)
    for event in events:
        starts = [line for line in event if line.startswith("DTSTART")]
        of_master = not any(line.startswith("RECURRENCE-ID") for line in event)
        for line in event:
            if line.startswith("RRULE:"):
                marks |= _of_rule(line.removeprefix("RRULE:"), "".join(starts))
            if line.startswith("RDATE") and line.replace("RDATE", "EXDATE") in event:
                marks.add("EXDATE of an RDATE")
            if line.startswith("RDATE"):
                marks |= {"RDATE", "RDATE is a period"} if "PERIOD" in line else {"RDATE"}
            if line.startswith(("RDATE", "EXDATE", "RECURRENCE-ID")) and zoned and _UTC_TIME.search(line):
                marks.add(f"{line.partition(':')[0].partition(';')[0]} in another zone")
            if line.startswith("DURATION:") and re.search(r"[DW]", line.removeprefix("DURATION:")) and of_master:
                marks.add("DURATION in days")
            if line.startswith("DURATION:") and of_master:
                marks.add("DURATION")
            if line.startswith("DTSTART;VALUE=DATE:") and not of_master:
                marks.add("override with a date")
            if "RANGE=THISANDFUTURE" in line:
                marks.add("RANGE=THISANDFUTURE")
    if zoned:
        marks |= _of_clocks(found)
    return marks


def _of_rule(text: str, start: str) -> set[str]:
    try:
        rule = parse(text)
    except RuleRefused:
        return set()
    ordinals = any(ordinal for ordinal, _ in rule.by_day)
    until = re.search(r"UNTIL=(\d{8})(T\d{6})?(Z?)", text)
    facts = {
        "INTERVAL": rule.interval > 1,
        "BYMONTHDAY of another FREQ": rule.freq not in {Freq.MONTHLY, Freq.YEARLY} and bool(rule.by_month_day),
        "BYSETPOS": bool(rule.by_set_pos),
        "BYWEEKNO": bool(rule.by_week_no),
        "BYYEARDAY": bool(rule.by_year_day),
        "BYHOUR": bool(rule.by_hour),
        "ordinals of the year": rule.freq == Freq.YEARLY and ordinals and not rule.by_month,
        "BYMONTHDAY and BYDAY": bool(rule.by_month_day and rule.by_day),
        "BYMONTH of another FREQ": rule.freq != Freq.YEARLY and bool(rule.by_month),
        "HOURLY": rule.freq == Freq.HOURLY,
        "UNTIL": until is not None,
        "UNTIL without its zone": bool(until and until[2] and not until[3]),
        "UNTIL is a date, DTSTART is none": bool(until and not until[2]) and "VALUE=DATE" not in start,
        "COUNT": rule.count is not None,
        "YEARLY": rule.freq == Freq.YEARLY,
        "29 February": start.endswith("0229") or "0229T" in start,
        "weeks of an own start": _own_weeks(rule),
    }
    return {name for name, holds in facts.items() if holds}


def _own_weeks(rule: Rule) -> bool:
    return rule.week_start != 0 and rule.freq in {Freq.WEEKLY, Freq.YEARLY}


def _of_clocks(found: Sequence[Instance]) -> set[str]:
    """Whether the clock changes inside an instance (or the master, whose length all others have), or near its ends."""
    marks = set()
    near = timedelta(hours=3)
    for instance in found:
        if instance.all_day or instance.entry.time_zone == "UTC":
            continue
        tz = zones.zone(instance.entry.time_zone)

        def offset(moment: datetime, tz: tzinfo = tz) -> timedelta | None:
            return moment.astimezone(tz).utcoffset()

        both = (instance.start, instance.end), (instance.entry.start_time, instance.entry.end_time)
        if any(offset(start) != offset(end) for start, end in both):
            marks.add("the clock changes inside an instance")
        if any(offset(moment - near) != offset(moment + near) for moment in both[0]):
            marks.add("the clock changes near an instance")
    return marks
