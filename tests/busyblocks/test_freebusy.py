"""Free/busy: the rules as tables, then random calendars against an oracle that asks for each minute alone."""

import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from busyblocks import freebusy, prepared
from busyblocks.entries import Entry
from busyblocks.errors import SpanTooWide, UnknownZone
from busyblocks.freebusy import Period
from busyblocks.models import BusyBlock, FreeBusyType, Origin, Source
from busyblocks.timespans import Span
from busyblocks.zones import to_utc, zone
from tenancy.models import CrmUser
from tests.busyblocks.rows import at, days, moment, span, timed, write

DAY = ("2026-03-02 00:00", "2026-03-03 00:00")


def _periods(user: CrmUser, start: str = DAY[0], end: str = DAY[1], time_zone: str = "") -> list[tuple[str, str, str]]:
    found = freebusy.periods(user, at(start), at(end), time_zone)
    return [(f"{p.start:%d %H:%M}", f"{p.end:%d %H:%M}", str(p.fbtype)) for p in found]


BUSY, TENTATIVE, AWAY = "busy", "busy-tentative", "busy-unavailable"
LAYERS = [
    ("nothing is free", [], []),
    ("opaque is busy", [timed("2026-03-02 09:00")], [("02 09:00", "02 10:00", BUSY)]),
    ("transparent is free", [timed("2026-03-02 09:00", transparency="transparent")], []),
    ("cancelled is free", [timed("2026-03-02 09:00", status="cancelled")], []),
    ("declined is free", [timed("2026-03-02 09:00", fbtype="free")], []),
    ("tentative is its own type", [timed("2026-03-02 09:00", status="tentative")],
     [("02 09:00", "02 10:00", TENTATIVE)]),
    ("no length takes no time", [timed("2026-03-02 09:00", 0)], []),
    ("ends as the span starts: outside", [timed("2026-03-01 23:00")], []),
    ("starts as the span ends: outside", [timed("2026-03-03 00:00")], []),
    ("clipped at both ends", [timed("2026-03-01 12:00", 60 * 48)], [("02 00:00", "03 00:00", BUSY)]),
    ("adjacent ones are one period", [timed("2026-03-02 09:00"), timed("2026-03-02 10:00")],
     [("02 09:00", "02 11:00", BUSY)]),
    ("overlapping ones are one period", [timed("2026-03-02 09:00", 90), timed("2026-03-02 10:00")],
     [("02 09:00", "02 11:00", BUSY)]),
    ("busy wins over tentative", [timed("2026-03-02 09:00", 180, status="tentative"), timed("2026-03-02 10:00")],
     [("02 09:00", "02 10:00", TENTATIVE), ("02 10:00", "02 11:00", BUSY), ("02 11:00", "02 12:00", TENTATIVE)]),
    ("out of office wins over busy", [timed("2026-03-02 09:00", 180), timed("2026-03-02 10:00", fbtype=AWAY)],
     [("02 09:00", "02 10:00", BUSY), ("02 10:00", "02 11:00", AWAY), ("02 11:00", "02 12:00", BUSY)]),
    ("neighbours of different types stay apart", [timed("2026-03-02 09:00"), timed("2026-03-02 10:00", fbtype=AWAY)],
     [("02 09:00", "02 10:00", BUSY), ("02 10:00", "02 11:00", AWAY)]),
    ("a series long begun is busy today", [timed("2016-03-01 09:00", rule="FREQ=DAILY")],
     [("02 09:00", "02 10:00", BUSY)]),
    ("a series that has ended is not", [timed("2016-03-01 09:00", rule="FREQ=DAILY;COUNT=3")], []),
    ("an RDATE before the series' start is busy",
     [timed("2026-06-01 09:00", rule="FREQ=DAILY", rdates=("20260302T140000Z",))], [("02 14:00", "02 15:00", BUSY)]),
    ("an orphan is busy", [timed("2026-03-02 09:00", recurrence_id="20260101T090000Z", uid="gone")],
     [("02 09:00", "02 10:00", BUSY)]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "entries", "expected"), LAYERS, ids=[row[0] for row in LAYERS])
def test_second_of_march(
    alice: CrmUser, sentence: str, entries: list[Entry], expected: list[tuple[str, str, str]]
) -> None:
    write(alice, *entries)
    assert _periods(alice) == expected


MASTER = timed("2026-03-01 09:00", uid="s", rule="FREQ=DAILY")
SECOND = moment("2026-03-02 09:00")
SERIES = [
    ("moved within the day", timed("2026-03-02 15:00", uid="s", recurrence_id=SECOND),
     [("02 15:00", "02 16:00", BUSY)]),
    ("moved away", timed("2026-05-02 15:00", uid="s", recurrence_id=SECOND), []),
    ("cancelled", timed("2026-03-02 09:00", uid="s", recurrence_id=SECOND, status="cancelled"), []),
    ("declined", timed("2026-03-02 09:00", uid="s", recurrence_id=SECOND, fbtype="free"), []),
    ("moved away and free", timed("2026-05-02 15:00", uid="s", recurrence_id=SECOND, fbtype="free"), []),
    ("only tentative", timed("2026-03-02 09:00", uid="s", recurrence_id=SECOND, status="tentative"),
     [("02 09:00", "02 10:00", TENTATIVE)]),
    ("another one moved here", timed("2026-03-02 15:00", uid="s", recurrence_id=moment("2026-07-02 09:00")),
     [("02 09:00", "02 10:00", BUSY), ("02 15:00", "02 16:00", BUSY)]),
    ("this and all later ones moved", timed("2026-02-20 12:00", uid="s", recurrence_id=moment("2026-02-20 09:00"),
     this_and_future=True), [("02 12:00", "02 13:00", BUSY)]),
    ("of another series", timed("2026-05-02 15:00", uid="other", recurrence_id=SECOND),
     [("02 09:00", "02 10:00", BUSY)]),
]  # fmt: skip


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize(("sentence", "override", "expected"), SERIES, ids=[row[0] for row in SERIES])
def test_override_of_a_daily_series(
    alice: CrmUser, sentence: str, override: Entry, expected: list[tuple[str, str, str]], mirrored: bool
) -> None:
    origin = Origin.objects.create(user=alice, source=Source.CALDAV) if mirrored else None
    master = timed("2026-02-10 09:00", uid="s", rule="FREQ=DAILY")
    write(alice, master, override, origin=origin)
    assert _periods(alice) == expected


def test_busy_instance_of_a_free_series_is_busy(alice: CrmUser) -> None:
    free = timed("2026-03-01 09:00", uid="s", rule="FREQ=DAILY", transparency="transparent")
    write(alice, free, timed("2026-03-02 09:00", uid="s", recurrence_id=SECOND))
    assert _periods(alice, "2026-03-01 00:00", "2026-03-05 00:00") == [("02 09:00", "02 10:00", BUSY)]


def test_free_series_that_turns_busy_from_one_instance_on_is_busy_from_there(alice: CrmUser) -> None:
    free = timed("2026-03-01 09:00", uid="s", rule="FREQ=DAILY;COUNT=4", transparency="transparent")
    write(alice, free, timed("2026-03-02 09:00", uid="s", recurrence_id=SECOND, this_and_future=True))
    found = _periods(alice, "2026-03-01 00:00", "2026-03-09 00:00")
    assert [start for start, _, _ in found] == ["02 09:00", "03 09:00", "04 09:00"]


def test_series_moved_on_past_its_own_end_is_busy_where_it_went(alice: CrmUser) -> None:
    master = timed("2026-01-01 09:00", uid="s", rule="FREQ=DAILY;COUNT=5")
    later = timed("2026-02-27 09:00", uid="s", recurrence_id=moment("2026-01-02 09:00"), this_and_future=True)
    write(alice, master, later)
    assert _periods(alice) == [("02 09:00", "02 10:00", BUSY)]


VENDORS = [
    ("an override with an id of its own takes the place of its master's instance", SECOND, []),
    ("an instance without a recurrence id stands alone beside the master", "", [("02 09:00", "02 10:00", BUSY)]),
]


@pytest.mark.parametrize("prepare", [False, True])
@pytest.mark.parametrize(("sentence", "recurrence_id", "expected"), VENDORS, ids=[row[0] for row in VENDORS])
def test_override_that_names_its_series(
    alice: CrmUser, sentence: str, recurrence_id: str, expected: list[tuple[str, str, str]], prepare: bool
) -> None:
    """Google's way: the override is an event of its own, and says of which series."""
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    write(alice, MASTER, origin=origin, external_event_id="abc")
    moved = timed("2026-05-02 15:00", uid="s", recurrence_id=recurrence_id, series_id="abc")
    write(alice, moved, origin=origin, external_event_id="abc_20260302T090000Z")
    if prepare:
        prepared.prepare(alice.pk, now=at("2026-03-01 00:00"))
    assert _periods(alice) == expected
    assert ("02 15:00", "02 16:00", BUSY) in _periods(alice, "2026-05-02 00:00", "2026-05-03 00:00")


def test_override_that_names_its_series_may_move_all_later_instances(alice: CrmUser) -> None:
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    write(alice, timed("2026-02-01 09:00", uid="s", rule="FREQ=DAILY"), origin=origin, external_event_id="abc")
    onward = timed(
        "2026-02-20 12:00", uid="s", recurrence_id=moment("2026-02-20 09:00"), series_id="abc", this_and_future=True
    )
    write(alice, onward, origin=origin, external_event_id="abc_2")
    assert _periods(alice) == [("02 12:00", "02 13:00", BUSY)]


def test_called_off_meeting_leaves_what_its_calendar_still_has(alice: CrmUser) -> None:
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    write(alice, timed("2026-03-02 09:00", uid="m@cal", status="cancelled"), meeting_key=str(uuid.uuid4()))
    write(alice, timed("2026-03-02 09:00", uid="m@cal"), origin=origin)
    assert _periods(alice) == [("02 09:00", "02 10:00", BUSY)]


def test_same_uid_in_two_calendars_is_two_series(alice: CrmUser) -> None:
    """Somebody invited twice: what one calendar moves, the other one still has."""
    for moved in (True, False):
        origin = Origin.objects.create(user=alice, source=Source.CALDAV)
        write(alice, MASTER, origin=origin)
        if moved:
            write(alice, timed("2026-05-02 15:00", uid="s", recurrence_id=SECOND), origin=origin)
    assert _periods(alice) == [("02 09:00", "02 10:00", BUSY)]


def test_meeting_decides_over_its_mirrored_copy(alice: CrmUser) -> None:
    """One busy time under one UID; the meeting is what was booked, its copy may lag behind."""
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    write(alice, timed("2026-03-02 09:00", uid="m@cal"), meeting_key=str(uuid.uuid4()))
    write(alice, timed("2026-03-02 15:00", uid="m@cal"), origin=origin)
    assert _periods(alice) == [("02 09:00", "02 10:00", BUSY)]


def test_others_meeting_of_the_same_uid_hides_nothing(alice: CrmUser, bob: CrmUser) -> None:
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    write(bob, timed("2026-03-02 09:00", uid="m@cal"), meeting_key=str(uuid.uuid4()))
    write(alice, timed("2026-03-02 15:00", uid="m@cal"), origin=origin)
    assert _periods(alice) == [("02 15:00", "02 16:00", BUSY)]


DATES = [
    ("in the zone asked for", "Asia/Tokyo", "Europe/Berlin", "America/New_York", ("01 15:00", "02 15:00")),
    ("else in the calendar's", "", "Europe/Berlin", "America/New_York", ("01 23:00", "02 23:00")),
    ("else in the user's", "", "", "America/New_York", ("02 05:00", "03 05:00")),
    ("else in UTC", "", "", "", ("02 00:00", "03 00:00")),
    ("a calendar's zone that nobody knows is none", "", "Mars/Olympus", "America/New_York", ("02 05:00", "03 05:00")),
]


@pytest.mark.parametrize(("sentence", "asked", "calendars", "users", "expected"), DATES, ids=[row[0] for row in DATES])
def test_date_is_read(
    alice: CrmUser, sentence: str, asked: str, calendars: str, users: str, expected: tuple[str, str]
) -> None:
    alice.time_zone = users
    origin = Origin.objects.create(user=alice, source=Source.CALDAV, time_zone=calendars)
    write(alice, days("2026-03-02", uid="a"), origin=origin)
    assert _periods(alice, "2026-02-27 00:00", "2026-03-07 00:00", asked) == [(*expected, BUSY)]


DAY_LENGTHS = [
    ("Europe/Berlin", "2026-03-29", 23),
    ("Europe/Berlin", "2026-10-25", 25),
    ("Australia/Lord_Howe", "2026-10-04", 23.5),
    ("Asia/Beirut", "2026-03-29", 23),
    ("Pacific/Kiritimati", "2026-03-29", 24),
]


@pytest.mark.parametrize(("time_zone", "day", "hours"), DAY_LENGTHS)
def test_date_lasts_as_long_as_its_day(alice: CrmUser, time_zone: str, day: str, hours: float) -> None:
    write(alice, days(day))
    around = at(day)
    (period,) = freebusy.periods(alice, around - timedelta(days=3), around + timedelta(days=3), time_zone)
    assert period.end - period.start == timedelta(hours=hours)


def test_rule_that_slipped_through_is_busy_once_and_stops_nothing(alice: CrmUser) -> None:
    write(alice, timed("2026-03-02 09:00", uid="odd", rule="FREQ=EVER"), timed("2026-03-02 12:00", uid="fine"))
    assert _periods(alice) == [("02 09:00", "02 10:00", BUSY), ("02 12:00", "02 13:00", BUSY)]


def test_unknown_zone_and_too_wide_span_are_refused(alice: CrmUser) -> None:
    with pytest.raises(UnknownZone):
        _periods(alice, time_zone="Mars/Olympus")
    with pytest.raises(SpanTooWide):
        freebusy.check_width(span("2026-01-01", "2027-01-03"))


def test_one_question_costs_four_queries(alice: CrmUser, django_assert_num_queries: object) -> None:
    write(alice, *(timed("2026-03-01 09:00", uid=f"u{n}", rule="FREQ=DAILY") for n in range(40)))
    # The zones of dates, the horizon, rows, overrides.
    with django_assert_num_queries(4):  # type: ignore[operator]
        _periods(alice)


# Random calendars --------------------------------------------------------------------------------------------------

FIRST = datetime(2026, 3, 28)
QUARTERS = [FIRST.replace(tzinfo=UTC) + timedelta(minutes=15 * number) for number in range(3 * 24 * 4)]
WHOLE = Span(QUARTERS[0], QUARTERS[-1] + timedelta(minutes=15))
BERLIN = zone("Europe/Berlin")
# Rule → how far apart its wall times are, and how many of them matter here.
RULES = {
    "": (timedelta(days=1), 1),
    "FREQ=DAILY": (timedelta(days=1), 14),
    "FREQ=DAILY;COUNT=2": (timedelta(days=1), 2),
    "FREQ=HOURLY;INTERVAL=5;COUNT=9": (timedelta(hours=5), 9),
}


@dataclass(frozen=True)
class Drawn:
    """Something on the days around Berlin's change of the clock."""

    wall: datetime
    minutes: int  # 0: no length; of a whole day: that many days
    all_day: bool
    tz: str
    rule: str
    fbtype: str

    def entry(self, number: int) -> Entry:
        facts = {"rule": self.rule, "fbtype": self.fbtype, "uid": f"u{number}"}
        if self.all_day:
            return days(f"{self.wall:%Y-%m-%d}", self.minutes, **facts)
        return timed(f"{self.wall:%Y-%m-%d %H:%M}", self.minutes, tz=self.tz, **facts)

    def covers(self, moment: datetime) -> bool:
        """By counting wall times, one after the other."""
        step, count = RULES[self.rule]
        for number in range(count):
            wall = self.wall + step * number
            if self.all_day:
                start, end = (to_utc(each, BERLIN) for each in (wall, wall + timedelta(days=self.minutes)))
            else:
                start = to_utc(wall, zone(self.tz))
                end = start + timedelta(minutes=self.minutes)
            if start <= moment < end:
                return True
        return False


@st.composite
def drawn(draw: st.DrawFn) -> Drawn:
    all_day = draw(st.integers(0, 4)) == 0
    clock = timedelta(0) if all_day else timedelta(minutes=15 * draw(st.integers(0, 95)))
    rules = ["", "FREQ=DAILY", "FREQ=DAILY;COUNT=2"] if all_day else list(RULES)
    return Drawn(
        wall=FIRST + timedelta(days=draw(st.integers(-3, 3))) + clock,
        minutes=draw(st.sampled_from([1, 2] if all_day else [0, 15, 60, 600])),
        all_day=all_day,
        tz=draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"])),
        rule=draw(st.sampled_from(rules)),
        fbtype=draw(st.sampled_from(FreeBusyType.values)),
    )


def _of_calendar(user: CrmUser, calendar: list[Drawn], asked: Span = WHOLE) -> list[Period]:
    BusyBlock.objects.all().delete()
    write(user, *(each.entry(number) for number, each in enumerate(calendar)))
    return freebusy.periods(user, asked.start, asked.end, "Europe/Berlin")


def _quarters(periods: list[Period]) -> list[str]:
    """The type at each quarter of an hour; every boundary here falls on one."""
    return [
        next((str(period.fbtype) for period in periods if period.start <= quarter < period.end), "")
        for quarter in QUARTERS
    ]


def _by_oracle(calendar: list[Drawn]) -> list[str]:
    found = []
    for quarter in QUARTERS:
        types = {each.fbtype for each in calendar if each.fbtype != "free" and each.covers(quarter)}
        found.append(next((str(fbtype) for fbtype in freebusy.PRECEDENCE if fbtype in types), ""))
    return found


CALENDARS = st.lists(drawn(), max_size=6)
often = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


@often
@given(CALENDARS)
def test_periods_say_of_each_moment_what_counting_says(alice: CrmUser, calendar: list[Drawn]) -> None:
    periods = _of_calendar(alice, calendar)
    assert _quarters(periods) == _by_oracle(calendar)
    for earlier, later in pairwise(periods):
        assert earlier.end < later.start or (earlier.end == later.start and earlier.fbtype != later.fbtype)
    assert all(WHOLE.start <= period.start < period.end <= WHOLE.end for period in periods)


@often
@given(CALENDARS, st.integers(1, len(QUARTERS) - 1))
def test_splitting_the_span_never_changes_the_answer(alice: CrmUser, calendar: list[Drawn], at_quarter: int) -> None:
    whole = _of_calendar(alice, calendar)
    middle = QUARTERS[at_quarter]
    halves = [
        freebusy.periods(alice, start, end, "Europe/Berlin")
        for start, end in ((WHOLE.start, middle), (middle, WHOLE.end))
    ]
    assert _quarters([*halves[0], *halves[1]]) == _quarters(whole)


@often
@given(CALENDARS, drawn())
def test_something_transparent_changes_nothing(alice: CrmUser, calendar: list[Drawn], other: Drawn) -> None:
    without = _of_calendar(alice, calendar)
    assert _of_calendar(alice, [*calendar, replace(other, fbtype="free")]) == without
