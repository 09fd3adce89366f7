"""The same series through our expansion and through recurring-ical-events, instance by instance."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import recurring_ical_events
from icalendar import Calendar

from busyblocks.entries import Entry
from busyblocks.moments import compact
from busyblocks.recurrence import expand
from busyblocks.rules import parse, produces
from busyblocks.timespans import Span
from busyblocks.zones import to_utc, to_wall, zone

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Auckland"]
RULES = [
    "FREQ=DAILY",
    "FREQ=DAILY;INTERVAL=3;COUNT=40",
    "FREQ=WEEKLY;BYDAY=MO,WE,FR",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU",
    "FREQ=WEEKLY;COUNT=30",
    "FREQ=MONTHLY",
    "FREQ=MONTHLY;BYDAY=2TU",
    "FREQ=MONTHLY;BYDAY=-1FR;COUNT=12",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=YEARLY",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    "FREQ=YEARLY;BYYEARDAY=1,100,-1",
]
ZERO = timedelta(0)


def random_series(dice: random.Random) -> list[Entry]:
    """A master with a synchronised DTSTART (elsewhere readers differ by design), EXDATEs, RDATEs and overrides.

    Times keep clear of the hours in which clocks change: there readers differ, and our own tables decide.
    """
    tz = zone(dice.choice(ZONES))
    rule = dice.choice(RULES)
    all_day = dice.random() < 0.25
    first = datetime(2024, 1, 1) + timedelta(days=dice.randint(0, 500))
    first += ZERO if all_day else timedelta(hours=dice.randint(6, 20), minutes=dice.choice([0, 30]))
    while not produces(parse(rule), first):
        first += timedelta(days=1)
    if "COUNT" not in rule and dice.random() < 0.4:
        last = first + timedelta(days=dice.randint(30, 400))
        rule += f";UNTIL={compact(last.date())}" if all_day else f";UNTIL={compact(to_utc(last, tz))}"
    if all_day:
        start = first.replace(tzinfo=UTC)
        length = timedelta(days=dice.randint(1, 3))
        master = Entry(uid="s", start_time=start, end_time=start + length, all_day=True, recurrence_rule=rule)
    else:
        start, length = to_utc(first, tz), timedelta(minutes=dice.choice([0, 30, 60, 600]))
        master = Entry(
            uid="s", start_time=start, end_time=start + length, time_zone=tz.key, local_start=compact(first),
            recurrence_rule=rule,
        )  # fmt: skip
    found = expand([master], Span(start, start + timedelta(days=400)))
    master = replace(
        master,
        exdates=tuple(instance.recurrence_id for instance in dice.sample(found[1:], min(2, len(found) - 1))),
        rdates=tuple(
            _rdate(master, start + timedelta(days=dice.randint(1, 300)), tz) for _ in range(dice.randint(0, 2))
        ),
    )
    kept = [instance for instance in found[1:] if instance.recurrence_id not in master.exdates]
    overrides = []
    for instance in dice.sample(kept, min(len(kept), dice.randint(0, 3))):
        moved = instance.start + timedelta(days=dice.randint(-40, 40), hours=0 if all_day else dice.randint(0, 3))
        moved_length = timedelta(days=1) if all_day else timedelta(minutes=45)
        overrides.append(
            replace(
                master,
                recurrence_id=instance.recurrence_id,
                recurrence_rule="",
                rdates=(),
                exdates=(),
                start_time=moved,
                end_time=moved + moved_length,
                time_zone="UTC",
                local_start="",
            )
        )
    return [master, *overrides]


def _rdate(master: Entry, near: datetime, tz: object) -> str:
    if master.all_day:
        return compact(near.date())
    # Noon, so that it is never an instance of the rule at half past something in another zone.
    return compact(near.replace(hour=12, minute=7))


def _as_text(entries: list[Entry]) -> str:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN"]
    for entry in entries:
        lines += ["BEGIN:VEVENT", "UID:s", "DTSTAMP:20240101T000000Z"]
        if entry.all_day:
            lines += [
                f"DTSTART;VALUE=DATE:{compact(entry.start_time.date())}",
                f"DTEND;VALUE=DATE:{compact(entry.end_time.date())}",
            ]
        elif entry.local_start:
            end = to_wall(entry.end_time, zone(entry.time_zone))
            lines += [
                f"DTSTART;TZID={entry.time_zone}:{entry.local_start}",
                f"DTEND;TZID={entry.time_zone}:{compact(end)}",
            ]
        else:
            lines += [f"DTSTART:{compact(entry.start_time)}", f"DTEND:{compact(entry.end_time)}"]
        kind = ";VALUE=DATE" if entry.all_day else ""
        if entry.recurrence_rule:
            lines.append(f"RRULE:{entry.recurrence_rule}")
        lines += [f"EXDATE{kind}:{text}" for text in entry.exdates]
        lines += [f"RDATE{kind}:{text}" for text in entry.rdates]
        if entry.recurrence_id:
            lines.append(f"RECURRENCE-ID{kind}:{entry.recurrence_id}")
        lines.append("END:VEVENT")
    return "\r\n".join([*lines, "END:VCALENDAR", ""])


def _theirs(entries: list[Entry], span: Span) -> list[tuple[datetime, datetime]]:
    calendar = Calendar.from_ical(_as_text(entries))
    found = recurring_ical_events.of(calendar).between(span.start, span.end)
    return sorted((_instant(event.start), _instant(event.end)) for event in found)


def _instant(moment: datetime | date) -> datetime:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC)
    return datetime(moment.year, moment.month, moment.day, tzinfo=UTC)


@pytest.mark.parametrize("seed", range(12))
def test_25_series_expand_as_in_recurring_ical_events(seed: int) -> None:
    dice = random.Random(seed)
    compared = 0
    for _ in range(25):
        entries = random_series(dice)
        start = entries[0].start_time.replace(hour=0, minute=0) + timedelta(days=dice.randint(-60, 300))
        span = Span(start, start + timedelta(days=dice.randint(1, 120)))
        ours = [(instance.start, instance.end) for instance in expand(entries, span)]
        assert sorted(ours) == _theirs(entries, span), _as_text(entries) + str(span)
        compared += len(ours)
    assert compared > 25
