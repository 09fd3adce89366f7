"""Series made into instances: each rule of RFC 5545 that calendars get wrong, as a row."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from busyblocks.entries import Entry
from busyblocks.errors import BudgetExceeded, RuleRefused, UnknownZone
from busyblocks.recurrence import check_entry, expand, recurs_until
from busyblocks.rules import Budget
from busyblocks.timespans import Span
from busyblocks.zones import zone
from tests.busyblocks.rows import at, days, moment, span, timed

BERLIN = "Europe/Berlin"
YEAR = span("2026-01-01", "2027-01-01")


def _starts(*entries: Entry, within: Span = YEAR, **options: Any) -> list[str]:
    return [instance.start.strftime("%m-%d %H:%M") for instance in expand(entries, within, **options)]


LOCAL_TIME = [
    # A weekly nine o'clock stays nine o'clock: Berlin changes on 29 March, New York on 8 March.
    ("weekly over Berlin's change", timed("2026-03-23 09:00", tz=BERLIN, rule="FREQ=WEEKLY;COUNT=3"),
     ["03-23 08:00", "03-30 07:00", "04-06 07:00"]),
    ("weekly over New York's change", timed("2026-03-02 09:00", tz="America/New_York", rule="FREQ=WEEKLY;COUNT=2"),
     ["03-02 14:00", "03-09 13:00"]),
    ("over the change of the south", timed("2026-04-04 09:00", tz="Australia/Sydney", rule="FREQ=DAILY;COUNT=2"),
     ["04-03 22:00", "04-04 23:00"]),
    ("Lord Howe changes by half an hour",
     timed("2026-10-03 09:00", tz="Australia/Lord_Howe", rule="FREQ=DAILY;COUNT=2"), ["10-02 22:30", "10-03 22:00"]),
    ("Morocco's clock of Ramadan", timed("2026-02-14 09:00", tz="Africa/Casablanca", rule="FREQ=DAILY;COUNT=2"),
     ["02-14 08:00", "02-15 09:00"]),
    ("an instance in the gap moves forward, the next one does not",
     timed("2026-03-28 02:30", tz=BERLIN, rule="FREQ=DAILY;COUNT=3"), ["03-28 01:30", "03-29 01:30", "03-30 00:30"]),
    ("a DTSTART in the gap recurs at the time that was written",
     timed("2026-03-29 02:30", tz=BERLIN, rule="FREQ=DAILY;COUNT=2"), ["03-29 01:30", "03-30 00:30"]),
    ("an instance in the overlap is the first of the two",
     timed("2026-10-24 02:30", tz=BERLIN, rule="FREQ=DAILY;COUNT=3"), ["10-24 00:30", "10-25 00:30", "10-26 01:30"]),
    ("midnight that does not exist", timed("2026-03-28 00:00", tz="Asia/Beirut", rule="FREQ=DAILY;COUNT=2"),
     ["03-27 22:00", "03-28 22:00"]),
    ("hours that the gap makes equal happen once",
     timed("2026-03-29 02:30", tz=BERLIN, rule="FREQ=HOURLY;COUNT=3"), ["03-29 01:30", "03-29 02:30"]),
    ("beyond the date line", timed("2026-01-01 00:30", tz="Pacific/Kiritimati", rule="FREQ=DAILY;COUNT=2"),
     ["01-01 10:30"]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "entry", "expected"), LOCAL_TIME, ids=[row[0] for row in LOCAL_TIME])
def test_series_recurs_in_its_zone(sentence: str, entry: Entry, expected: list[str]) -> None:
    assert _starts(entry) == expected


DAILY = timed("2026-03-02 09:00", tz=BERLIN, uid="d", rule="FREQ=DAILY;COUNT=4")
ALL_DAY = days("2026-03-02", uid="a", rule="FREQ=DAILY;COUNT=4")

ENDS = [
    ("UNTIL as an instant is inclusive", "UNTIL=20260304T080000Z", ["03-02", "03-03", "03-04"]),
    ("and a second before excludes it", "UNTIL=20260304T075959Z", ["03-02", "03-03"]),
    ("UNTIL as local time is inclusive", "UNTIL=20260304T090000", ["03-02", "03-03", "03-04"]),
    ("and a second before excludes it, too", "UNTIL=20260304T085959", ["03-02", "03-03"]),
    ("UNTIL as a date takes in that day", "UNTIL=20260304", ["03-02", "03-03", "03-04"]),
    ("UNTIL before DTSTART leaves nothing", "UNTIL=20250101", []),
    ("and so it does a second before it", "UNTIL=20260302T075959Z", []),
    ("UNTIL at DTSTART leaves it", "UNTIL=20260302T080000Z", ["03-02"]),
    ("COUNT=1 is DTSTART", "COUNT=1", ["03-02"]),
]


@pytest.mark.parametrize(("sentence", "end", "expected"), ENDS, ids=[row[0] for row in ENDS])
def test_series_of_nine_in_berlin_ends(sentence: str, end: str, expected: list[str]) -> None:
    found = expand([replace(DAILY, recurrence_rule=f"FREQ=DAILY;{end}")], YEAR)
    assert [instance.start.strftime("%m-%d") for instance in found] == expected


ALL_DAY_ENDS = [
    ("a date is inclusive", "UTC", "UNTIL=20260303", ["03-02", "03-03"]),
    ("an instant is its date", "UTC", "UNTIL=20260303T000000Z", ["03-02", "03-03"]),
    ("an instant is the date in the entry's zone", BERLIN, "UNTIL=20260303T230000Z", ["03-02", "03-03", "03-04"]),
    ("a local time is its date", "UTC", "UNTIL=20260303T235959", ["03-02", "03-03"]),
]


@pytest.mark.parametrize(("sentence", "tz", "end", "expected"), ALL_DAY_ENDS, ids=[row[0] for row in ALL_DAY_ENDS])
def test_series_of_dates_ends(sentence: str, tz: str, end: str, expected: list[str]) -> None:
    entry = replace(ALL_DAY, recurrence_rule=f"FREQ=DAILY;{end}", time_zone=tz)
    assert [instance.start.strftime("%m-%d") for instance in expand([entry], YEAR)] == expected


SINGLE_DATES = [
    ("an EXDATE removes by instant", DAILY, {"exdates": ("20260303T080000Z",)},
     ["03-02 08:00", "03-04 08:00", "03-05 08:00"]),
    ("COUNT counts before EXDATE removes", DAILY, {"exdates": ("20260302T080000Z", "20260303T080000Z")},
     ["03-04 08:00", "03-05 08:00"]),
    ("an EXDATE at another time removes nothing", replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=1"),
     {"exdates": ("20260302T090000Z",)}, ["03-02 08:00"]),
    ("an EXDATE that is a date removes that local day", DAILY, {"exdates": ("20260303", "20260304")},
     ["03-02 08:00", "03-05 08:00"]),
    ("an EXDATE may remove DTSTART", replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=2"),
     {"exdates": ("20260302T080000Z",)}, ["03-03 08:00"]),
    ("all-day: by date", ALL_DAY, {"exdates": ("20260303",)}, ["03-02 00:00", "03-04 00:00", "03-05 00:00"]),
    ("all-day: an instant is its date", ALL_DAY, {"exdates": ("20260303T000000Z",)},
     ["03-02 00:00", "03-04 00:00", "03-05 00:00"]),
    ("an RDATE adds", replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=1"), {"rdates": ("20260501T100000Z",)},
     ["03-02 08:00", "05-01 10:00"]),
    ("RDATEs alone recur with DTSTART", replace(DAILY, recurrence_rule=""), {"rdates": ("20260501T100000Z",)},
     ["03-02 08:00", "05-01 10:00"]),
    ("an RDATE that the rule has already is one instance", replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=2"),
     {"rdates": ("20260303T080000Z",)}, ["03-02 08:00", "03-03 08:00"]),
    ("an RDATE before DTSTART counts", replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=1"),
     {"rdates": ("20260201T080000Z",)}, ["02-01 08:00", "03-02 08:00"]),
    ("an RDATE that is a date takes DTSTART's time", replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=1"),
     {"rdates": ("20260701",)}, ["03-02 08:00", "07-01 07:00"]),
    ("an EXDATE removes an RDATE", replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=1"),
     {"rdates": ("20260501T100000Z",), "exdates": ("20260501T100000Z",)}, ["03-02 08:00"]),
    ("all-day RDATE", replace(ALL_DAY, recurrence_rule=""), {"rdates": ("20260501",)}, ["03-02 00:00", "05-01 00:00"]),
    ("what is no date is left out", replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=1"),
     {"rdates": ("tomorrow", "20260230T000000Z"), "exdates": ("x",)}, ["03-02 08:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "entry", "dates", "expected"), SINGLE_DATES, ids=[row[0] for row in SINGLE_DATES])
def test_single_dates(sentence: str, entry: Entry, dates: dict[str, Any], expected: list[str]) -> None:
    assert _starts(replace(entry, **dates)) == expected


def _override(recurrence_id: str, entry: Entry, **facts: Any) -> Entry:
    return replace(entry, uid="d", recurrence_id=recurrence_id, recurrence_rule="", **facts)


SECOND, THIRD = moment("2026-03-03 08:00"), moment("2026-03-04 08:00")
OVERRIDES = [
    ("moved later", _override(SECOND, timed("2026-03-03 15:00")), ["03-02 08:00", "03-03 15:00", "03-04 08:00"]),
    ("moved earlier", _override(SECOND, timed("2026-03-01 15:00")), ["03-01 15:00", "03-02 08:00", "03-04 08:00"]),
    ("moved to another zone", _override(SECOND, timed("2026-03-03 09:00", tz="Asia/Tokyo")),
     ["03-02 08:00", "03-03 00:00", "03-04 08:00"]),
    ("made all-day", _override(SECOND, days("2026-03-03")), ["03-02 08:00", "03-03 00:00", "03-04 08:00"]),
    ("cancelled", _override(SECOND, timed("2026-03-03 08:00"), status="cancelled"), ["03-02 08:00", "03-04 08:00"]),
    ("named by date", _override("20260303", timed("2026-03-03 15:00")), ["03-02 08:00", "03-03 15:00", "03-04 08:00"]),
    ("of an instance that the series does not have", _override("20300101T000000Z", timed("2026-06-01 10:00")),
     ["03-02 08:00", "03-03 08:00", "03-04 08:00", "06-01 10:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "override", "expected"), OVERRIDES, ids=[row[0] for row in OVERRIDES])
def test_override_takes_the_place_of_its_instance(sentence: str, override: Entry, expected: list[str]) -> None:
    master = replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=3")
    assert _starts(master, override) == expected
    assert _starts(override, master) == expected


def test_override_of_all_day_series_is_matched_by_date() -> None:
    override = replace(days("2026-03-10"), uid="a", recurrence_id="20260303")
    assert _starts(ALL_DAY, override) == ["03-02 00:00", "03-04 00:00", "03-05 00:00", "03-10 00:00"]


def test_override_is_an_instance_although_an_exdate_names_it() -> None:
    master = replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=2", exdates=(SECOND,))
    assert _starts(master, _override(SECOND, timed("2026-03-03 15:00"))) == ["03-02 08:00", "03-03 15:00"]


def test_orphan_stands_alone() -> None:
    assert _starts(_override(SECOND, timed("2026-03-03 15:00"))) == ["03-03 15:00"]


def test_override_moved_out_of_the_span_is_gone_and_moved_in_is_there() -> None:
    moved = _override(SECOND, timed("2026-08-01 15:00"))
    assert _starts(DAILY, moved, within=span("2026-03-03", "2026-03-04")) == []
    assert _starts(DAILY, moved, within=span("2026-08-01", "2026-08-02")) == ["08-01 15:00"]


FUTURES = [
    ("an hour later from the third on", timed("2026-03-04 10:00", 30, tz=BERLIN),
     [("03-02 08:00", 60), ("03-03 08:00", 60), ("03-04 09:00", 30), ("03-05 09:00", 30)]),
    ("a day later", timed("2026-03-05 09:00", tz=BERLIN),
     [("03-02 08:00", 60), ("03-03 08:00", 60), ("03-05 08:00", 60), ("03-06 08:00", 60)]),
    ("two days earlier", timed("2026-03-02 12:00", tz=BERLIN),
     [("03-02 08:00", 60), ("03-02 11:00", 60), ("03-03 08:00", 60), ("03-03 11:00", 60)]),
    ("called off", replace(timed("2026-03-04 09:00", tz=BERLIN), status="cancelled"),
     [("03-02 08:00", 60), ("03-03 08:00", 60)]),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "form", "expected"), FUTURES, ids=[row[0] for row in FUTURES])
def test_this_and_future(sentence: str, form: Entry, expected: list[tuple[str, int]]) -> None:
    override = _override(THIRD, form, this_and_future=True)
    found = expand([DAILY, override], YEAR)
    assert [
        (instance.start.strftime("%m-%d %H:%M"), (instance.end - instance.start) // timedelta(minutes=1))
        for instance in found
    ] == expected


def test_this_and_future_keeps_its_wall_time_over_the_change_of_the_clock() -> None:
    master = timed("2026-03-23 09:00", tz=BERLIN, uid="d", rule="FREQ=WEEKLY;COUNT=4")
    later = _override("20260330T070000Z", timed("2026-03-30 11:00", tz=BERLIN), this_and_future=True)
    autumn = replace(master, recurrence_rule="FREQ=WEEKLY")
    assert _starts(master, later) == ["03-23 08:00", "03-30 09:00", "04-06 09:00", "04-13 09:00"]
    assert _starts(autumn, later, within=span("2026-10-24", "2026-10-28")) == ["10-26 10:00"]


def test_override_after_this_and_future_is_still_named_by_the_masters_start() -> None:
    later = _override(SECOND, timed("2026-03-03 12:00", tz=BERLIN), this_and_future=True)
    single = _override(THIRD, timed("2026-03-04 20:00", tz=BERLIN))
    assert _starts(DAILY, later, single) == ["03-02 08:00", "03-03 11:00", "03-04 19:00", "03-05 11:00"]


def test_this_and_future_moved_far_is_found_where_it_went() -> None:
    later = _override(SECOND, timed("2026-09-03 09:00", tz=BERLIN), this_and_future=True)
    assert _starts(DAILY, later, within=span("2026-09-01", "2026-10-01")) == [
        "09-03 07:00",
        "09-04 07:00",
        "09-05 07:00",
    ]


DURATIONS = [
    ("an end is an exact length: 24 hours", {}, 24),
    ("a DURATION of a day is a day by the clock", {"duration": "P1D"}, 23),
    ("a DURATION of 24 hours is 24 hours", {"duration": "PT24H"}, 24),
    ("a day and two hours", {"duration": "P1DT2H"}, 25),
    ("what is no duration is the end's length", {"duration": "-P1D"}, 24),
]


@pytest.mark.parametrize(("sentence", "facts", "hours"), DURATIONS, ids=[row[0] for row in DURATIONS])
def test_day_over_the_spring_change_lasts(sentence: str, facts: dict[str, Any], hours: int) -> None:
    entry = timed("2026-03-21 12:00", 24 * 60, tz=BERLIN, rule="FREQ=WEEKLY;COUNT=2", **facts)
    last = expand([entry], YEAR)[-1]
    assert (last.end - last.start) == timedelta(hours=hours)


PERIODS = [
    ("with an end", "20260501T100000Z/20260501T133000Z", 210),
    ("with a duration", "20260501T100000Z/PT3H", 180),
    ("with an end before its start: no length", "20260501T100000Z/20260501T090000Z", 0),
]


@pytest.mark.parametrize(("sentence", "rdate", "minutes"), PERIODS, ids=[row[0] for row in PERIODS])
def test_rdate_that_is_a_period_has_its_own_length(sentence: str, rdate: str, minutes: int) -> None:
    entry = replace(DAILY, recurrence_rule="FREQ=DAILY;COUNT=1", rdates=(rdate,))
    last = expand([entry], YEAR)[-1]
    assert last.end - last.start == timedelta(minutes=minutes)


EDGES = [
    ("ends as the span starts", "2026-03-02 09:00", "2026-03-02 10:00", []),
    ("starts as the span ends", "2026-03-02 07:00", "2026-03-02 08:00", []),
    ("runs into the span", "2026-03-02 08:59", "2026-03-02 10:00", ["03-02 08:00"]),
    ("far in the past, still today", "2026-03-05 00:00", "2026-03-06 00:00", ["03-05 08:00"]),
]


@pytest.mark.parametrize(("sentence", "start", "end", "expected"), EDGES, ids=[row[0] for row in EDGES])
def test_edges_of_the_span(sentence: str, start: str, end: str, expected: list[str]) -> None:
    assert _starts(DAILY, within=span(start, end)) == expected


def test_instance_of_weeks_begun_long_before_the_span_shows() -> None:
    entry = timed("2026-01-05 09:00", 20 * 24 * 60, rule="FREQ=MONTHLY")
    assert _starts(entry, within=span("2026-05-20", "2026-05-21")) == ["05-05 09:00"]


def test_series_from_1970_yields_todays_instance_within_a_small_budget() -> None:
    entry = timed("1970-01-01 09:00", tz=BERLIN, rule="FREQ=DAILY")
    assert _starts(entry, within=span("2026-06-01", "2026-06-02"), budget=Budget(20)) == ["06-01 07:00"]


def test_date_is_read_in_the_zone_asked_for() -> None:
    entry = days("2026-03-29")
    evening = span("2026-03-28 23:30", "2026-03-28 23:45")
    assert _starts(entry, within=evening) == []
    assert _starts(entry, within=evening, dates_in=zone(BERLIN)) == ["03-29 00:00"]
    (instance,) = expand([entry], YEAR)
    covered = instance.span(zone(BERLIN))
    assert covered.end - covered.start == timedelta(hours=23)


def test_recurrence_id_names_the_instance_in_the_series_own_form() -> None:
    for entry, expected in ((DAILY, "20260302T080000Z"), (ALL_DAY, "20260302"), (timed("2026-03-02 09:00"), "")):
        assert expand([entry], YEAR)[0].recurrence_id == expected


def test_second_of_two_equal_wall_times_stays_the_second() -> None:
    start = at("2026-10-25 01:30")
    entry = Entry(
        start_time=start, end_time=start + timedelta(hours=1), time_zone=BERLIN, recurrence_rule="FREQ=DAILY;COUNT=2"
    )
    assert _starts(entry) == ["10-25 01:30", "10-26 01:30"]


@pytest.mark.parametrize("year", ["0001-01-03", "9999-12-28"])
def test_ends_of_time_are_expanded_without_an_error(year: str) -> None:
    for entry in (
        timed(f"{year} 09:00", tz="Pacific/Kiritimati", rule="FREQ=DAILY"),
        days(year, rule="FREQ=DAILY"),
        days(year, 1, rule="FREQ=YEARLY;INTERVAL=999999"),
        replace(timed(f"{year} 09:00", rule="FREQ=DAILY"), duration="P999999W"),
    ):
        near = Span(entry.start_time - timedelta(hours=30), entry.start_time + timedelta(hours=30))
        assert expand([entry], near, dates_in=zone("Pacific/Pago_Pago"))
        recurs_until(entry)


BOUNDS = [
    ("single: its end", timed("2026-03-02 09:00"), True),
    ("endless: none", replace(DAILY, recurrence_rule="FREQ=DAILY"), False),
    ("COUNT", DAILY, True),
    ("COUNT that is not found in time", replace(DAILY, recurrence_rule="FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=2"),
     False),
    ("UNTIL as an instant", replace(DAILY, recurrence_rule="FREQ=DAILY;UNTIL=20260304T080000Z"), True),
    ("UNTIL as a date", replace(DAILY, recurrence_rule="FREQ=DAILY;UNTIL=20260304"), True),
    ("UNTIL at the end of time", replace(DAILY, recurrence_rule="FREQ=YEARLY;UNTIL=99991231T235959Z"), False),
    ("RDATE after the rule's end", replace(DAILY, rdates=("20260901T080000Z/20260902T080000Z",)), True),
    ("RDATEs alone", replace(DAILY, recurrence_rule="", rdates=("20260901T080000Z",)), True),
    ("all-day", ALL_DAY, True),
    ("a rule that nobody understands", replace(DAILY, recurrence_rule="FREQ=EVER"), False),
]  # fmt: skip


@pytest.mark.parametrize(("sentence", "entry", "bounded"), BOUNDS, ids=[row[0] for row in BOUNDS])
def test_recurs_until_is_above_every_end_and_near_the_last(sentence: str, entry: Entry, bounded: bool) -> None:
    bound = recurs_until(entry)
    assert (bound is not None) is bounded
    if bound is not None:
        last = max(i.span(zone("Pacific/Pago_Pago")).end for i in expand([entry], span("2020-01-01", "2040-01-01")))
        assert last <= bound <= last + timedelta(days=5)


def test_texts_that_no_source_should_write_do_not_stop_the_rest() -> None:
    master = replace(DAILY, local_start="99990099T000000", exdates=("",))
    override = _override("never", timed("2026-06-01 10:00"), this_and_future=True)
    assert _starts(master, override) == ["03-02 08:00", "03-03 08:00", "03-04 08:00", "03-05 08:00", "06-01 10:00"]


def test_entry_that_cannot_be_expanded_is_refused_with_a_reason() -> None:
    check_entry(DAILY)
    with pytest.raises(RuleRefused, match="COUNT"):
        check_entry(replace(DAILY, recurrence_rule="FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=2"))
    with pytest.raises(RuleRefused, match="dates"):
        check_entry(replace(DAILY, exdates=tuple(f"20260302T{n:06}Z" for n in range(6000))))
    with pytest.raises(UnknownZone):
        check_entry(replace(DAILY, time_zone="Mars/Olympus"))


def test_expansion_stops_with_the_budget() -> None:
    with pytest.raises(BudgetExceeded):
        expand([replace(DAILY, recurrence_rule="FREQ=DAILY")], YEAR, budget=Budget(100))


def test_a_hundred_thousand_exdates_cost_no_more_than_reading_them() -> None:
    entry = replace(DAILY, exdates=tuple(f"2026{n % 12 + 1:02}{n % 28 + 1:02}T{n:06}Z" for n in range(100_000)))
    assert len(expand([entry], YEAR, budget=Budget(50))) == 4
