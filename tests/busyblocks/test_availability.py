"""Slots: the rules as a table, and random people against a check of each start alone."""

import random
from datetime import UTC, time, timedelta
from typing import Any

import pytest

from busyblocks import availability, working_hours, zones
from busyblocks.availability import Person, Wish
from busyblocks.timespans import Stretch, moment, seconds, stretch
from busyblocks.working_hours import Window
from tests.busyblocks.rows import at, span

MINUTE = timedelta(minutes=1)
DAY = span("2026-03-02 09:00", "2026-03-02 12:00")


def wish(**facts: Any) -> Wish:
    given: dict[str, Any] = {"span": DAY, "duration": 60, "step": 30, "before": 0, "after": 0, **facts}
    for name in ("duration", "step", "before", "after"):
        given[name] = given[name] * MINUTE
    return Wish(**{"zone": UTC, "earliest": given["span"].start, **given})


def busy(*hours: str) -> Person:
    spans = [span(f"2026-03-02 {start}", f"2026-03-02 {end}") for start, end in (hour.split("-") for hour in hours)]
    return Person([stretch(one) for one in spans], None)


ONE = [
    ("nobody busy: every step that ends in time", busy(), {}, ["09:00", "09:30", "10:00", "10:30", "11:00"]),
    ("a slot may begin where busy time ends, and end where it begins", busy("10:00-11:00"), {}, ["09:00", "11:00"]),
    ("a buffer before keeps away from what ends", busy("09:00-10:00"), {"before": 15}, ["10:30", "11:00"]),
    ("a buffer after keeps away from what begins", busy("11:00-12:00"), {"after": 15}, ["09:00", "09:30"]),
    ("buffers may lie outside the span", busy(), {"before": 60, "after": 60},
     ["09:00", "09:30", "10:00", "10:30", "11:00"]),
    ("what is busy just outside the span counts for a buffer", busy("08:00-09:00"), {"before": 15},
     ["09:30", "10:00", "10:30", "11:00"]),
    ("notice: nothing earlier", busy(), {"earliest": at("2026-03-02 10:10")}, ["10:30", "11:00"]),
    ("a gap that is too short is none", busy("09:30-10:00", "10:45-12:00"), {}, []),
    ("busy all the time: none", busy("08:00-13:00"), {}, []),
    ("longer than the span: none", busy(), {"duration": 200}, []),
    ("overlapping busy times are one", busy("09:00-10:30", "10:00-10:15", "10:20-11:00"), {}, ["11:00"]),
    ("working hours bound the slot", Person([], [stretch(span("2026-03-02 09:30", "2026-03-02 11:00"))]), {},
     ["09:30", "10:00"]),
    ("two windows: in neither across their gap",
     Person([], [stretch(span("2026-03-02 09:00", "2026-03-02 10:00")),
                 stretch(span("2026-03-02 10:30", "2026-03-02 12:00"))]), {},
     ["09:00", "10:30", "11:00"]),
    ("no working hours at all: never", Person([], []), {}, []),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "person", "facts", "expected"), ONE, ids=[row[0] for row in ONE])
def test_one_person(sentence: str, person: Person, facts: dict[str, Any], expected: list[str]) -> None:
    found = availability.slots({"alice": person}, wish(**facts), limit=100)
    assert [f"{slot.start:%H:%M}" for slot in found] == expected
    assert {slot.who for slot in found} <= {("alice",)}


SEVERAL = [
    ("all: only where both are free", True, [("11:00", ("alice", "bob"))]),
    ("any: with the names of who is free", False,
     [("09:00", ("bob",)), ("09:30", ()), ("10:00", ("alice",)), ("10:30", ("alice",)), ("11:00", ("alice", "bob"))]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "together", "expected"), SEVERAL, ids=[row[0] for row in SEVERAL])
def test_two_people(sentence: str, together: bool, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    people = {"alice": busy("09:00-10:00"), "bob": busy("10:00-11:00")}
    found = availability.slots(people, wish(together=together), limit=100)
    assert [(f"{slot.start:%H:%M}", slot.who) for slot in found] == [row for row in expected if row[1]]


def test_limit_keeps_the_first() -> None:
    assert [slot.start for slot in availability.slots({"a": busy()}, wish(), limit=2)] == [
        at("2026-03-02 09:00"), at("2026-03-02 09:30"),
    ]  # fmt: skip


def test_nobody_has_no_slots() -> None:
    assert availability.slots({}, wish(), limit=10) == []


CLOCKS = [
    ("the hour that is skipped has no starts", "Europe/Berlin", ("2026-03-29 00:00", "2026-03-29 02:00"), 60,
     ["00:00", "01:00"]),
    ("the hour that comes twice has them once", "Europe/Berlin", ("2026-10-24 23:00", "2026-10-25 02:00"), 60,
     ["23:00", "00:00", "01:00"]),
    ("steps are of the local day", "Asia/Kolkata", ("2026-03-02 09:00", "2026-03-02 11:00"), 60, ["09:30"]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "zone", "bounds", "step", "expected"), CLOCKS, ids=[row[0] for row in CLOCKS])
def test_starts_by_the_clock(sentence: str, zone: str, bounds: tuple[str, str], step: int, expected: list[str]) -> None:
    found = availability.slots({"a": busy()}, wish(span=span(*bounds), zone=zones.zone(zone), step=step), limit=100)
    starts = [f"{slot.start:%H:%M}" for slot in found]
    assert set(starts) <= set(expected)
    assert starts == sorted(set(starts), key=starts.index)
    assert starts


@pytest.mark.parametrize("seed", range(20))
def test_slots_are_those_that_a_check_of_each_start_finds(seed: int) -> None:
    dice = random.Random(seed)
    whole = span("2026-03-28 00:00", "2026-03-31 00:00")

    def stretches(count: int) -> list[Stretch]:
        starts = [seconds(whole.start) + 7 * 60 * dice.randint(-60, 700) for _ in range(count)]
        return [(start, start + 60 * dice.choice([0, 5, 45, 400])) for start in starts]

    nine_to_five = [Window(frozenset({0, 5, 6}), time(9), time(17), "Europe/Berlin")]
    hours = [None, working_hours.stretches(nine_to_five, whole)]
    people = {name: Person(stretches(12), dice.choice(hours)) for name in "abc"}
    asked = wish(
        span=whole,
        step=dice.choice([5, 15, 45]),
        duration=dice.choice([10, 60]),
        before=dice.choice([0, 10]),
        after=dice.choice([0, 20]),
        together=dice.random() < 0.5,
        zone=zones.zone("Europe/Berlin"),
    )

    length, before, after = (one // timedelta(seconds=1) for one in (asked.duration, asked.before, asked.after))

    def free(person: Person, start: int) -> bool:
        wide = start - before, start + length + after
        clear = not any(since < wide[1] and until > wide[0] for since, until in person.taken if since < until)
        works = person.works is None or any(w[0] <= start and start + length <= w[1] for w in person.works)
        return clear and works

    expected = []
    for start in availability._starts(asked):
        who = tuple(name for name, person in people.items() if free(person, start))
        if (len(who) == 3) if asked.together else who:
            expected.append((start, who))
    assert [(slot.since, slot.who) for slot in availability.slots(people, asked, limit=10_000)] == expected


HOURS = [
    ("nine to five on a weekday", "mo", "09:00", "17:00", [("02 08:00", "02 16:00")]),
    ("a night ends on the next day", "mo", "22:00", "06:00", [("02 21:00", "03 05:00")]),
    ("a whole day", "mo", "00:00", "00:00", [("01 23:00", "02 23:00")]),
    ("other weekdays do not count", "th", "09:00", "17:00", []),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "day", "start", "end", "expected"), HOURS, ids=[row[0] for row in HOURS])
def test_working_hours_of_monday_in_berlin(
    sentence: str, day: str, start: str, end: str, expected: list[tuple[str, str]]
) -> None:
    windows = working_hours.stored([{"days": [day], "start": start, "end": end}], "Europe/Berlin")
    found = working_hours.stretches(windows, span("2026-03-01 12:00", "2026-03-04 12:00"))
    assert [(f"{moment(since):%d %H:%M}", f"{moment(until):%d %H:%M}") for since, until in found] == expected


def test_working_hours_keep_to_the_clock_across_its_change() -> None:
    windows = working_hours.stored([{"days": ["fr", "mo"], "start": "09:00", "end": "17:00"}], "Europe/Berlin")
    found = working_hours.stretches(windows, span("2026-03-27 00:00", "2026-03-31 00:00"))
    assert [f"{moment(since):%d %H:%M}" for since, _ in found] == ["27 08:00", "30 07:00"]


UNEVEN = [
    ("the last step of a day may be shorter", "UTC", ("2026-03-02 21:00", "2026-03-03 02:00"), 100,
     ["21:40", "23:20", "00:00"]),
    ("steps of 25 minutes fill the day, too", "UTC", ("2026-03-02 23:00", "2026-03-03 01:20"), 25,
     ["23:20", "23:45", "00:00"]),
    ("where the hour before midnight is skipped, the next day keeps its first steps", "America/Scoresbysund",
     ("2026-03-29 00:30", "2026-03-29 03:00"), 25, ["00:30", "00:55", "01:00", "01:20", "01:25", "01:45", "01:50"]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "zone", "bounds", "step", "expected"), UNEVEN, ids=[row[0] for row in UNEVEN])
def test_steps_that_are_no_part_of_a_day(
    sentence: str, zone: str, bounds: tuple[str, str], step: int, expected: list[str]
) -> None:
    found = availability.slots({"a": busy()}, wish(span=span(*bounds), zone=zones.zone(zone), step=step), limit=100)
    assert [f"{slot.start:%H:%M}" for slot in found] == expected
