"""Series: whatever the feed makes of them, another reader finds the ledger's own instances."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from busyblocks import recurrence, zones
from busyblocks.timespans import Span
from tests.icsfeeds.ledger import events_of, feed_of, ledgers, lines_of, read_back, row

SPAN = (datetime(2025, 12, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC))
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut", "Africa/Casablanca",
    "America/Santiago", "America/Havana", "Africa/Cairo", "Pacific/Apia", "Pacific/Kiritimati", "Asia/Kolkata",
]  # fmt: skip
RULES = [
    "FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=DAILY;COUNT=10", "FREQ=DAILY;BYHOUR=2,9",
    "FREQ=HOURLY;INTERVAL=6;COUNT=40", "FREQ=WEEKLY;BYDAY=SU;COUNT=7",
    "FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO,WE,FR", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU",
    "FREQ=MONTHLY", "FREQ=MONTHLY;BYDAY=2TU", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    "FREQ=YEARLY;BYWEEKNO=20", "FREQ=YEARLY;BYYEARDAY=100,200", "FREQ=WEEKLY;BYDAY=SA,SU;UNTIL=20260930",
    "FREQ=DAILY;UNTIL=20261101T120000Z", "FREQ=DAILY;UNTIL=20261025T023000",
]  # fmt: skip


@st.composite
def timed_series(draw):
    """A master with EXDATEs and RDATEs, and overrides of some of its instances."""
    name = draw(st.sampled_from(ZONES))
    tz = zones.zone(name)
    day = datetime(2026, draw(st.integers(1, 11)), draw(st.integers(1, 28)))
    wall = day + timedelta(minutes=draw(st.sampled_from([15, 90, 120, 150, 9 * 60, 23 * 60 + 30])))
    start = zones.to_utc(wall, tz)
    length = timedelta(minutes=draw(st.sampled_from([30, 60, 8 * 60, 30 * 60])))
    master = row(
        start.replace(tzinfo=None).isoformat(),
        (start + length).replace(tzinfo=None).isoformat(),
        uid="series",
        title="master",
        time_zone=name,
        local_start="" if name == "UTC" else wall.strftime("%Y%m%dT%H%M%S"),
        recurrence_rule=draw(st.sampled_from(RULES)),
    )
    instances = recurrence.expand([master.entry], Span(start, start + timedelta(days=100)))
    ids = [instance.recurrence_id for instance in instances]
    assume(ids)
    exdates = draw(st.lists(st.sampled_from(ids), max_size=2, unique=True))
    rdates = [
        zones.to_utc(wall + timedelta(days=days, minutes=minutes), tz).strftime("%Y%m%dT%H%M%SZ") + period
        for days, minutes, period in draw(
            st.lists(
                st.tuples(st.integers(-3, 40), st.sampled_from([0, 187]), st.sampled_from(["", "/PT2H"])), max_size=2
            )
        )
    ]
    overrides = [
        row(
            (datetime.strptime(instance, "%Y%m%dT%H%M%SZ") + timedelta(hours=hours)).isoformat(),
            uid="series",
            title="moved",
            recurrence_id=instance,
            status=status,
            time_zone=draw(st.sampled_from([name, "UTC"])),
        )
        for instance, hours, status in draw(
            st.lists(
                st.tuples(
                    st.sampled_from(ids), st.sampled_from([0, -3, 50]), st.sampled_from(["confirmed", "cancelled"])
                ),
                max_size=2,
                unique_by=lambda one: one[0],
            )
        )
    ]
    return [master._replace(exdates=exdates, rdates=rdates), *overrides]


@hypothesis_settings(max_examples=60)
@given(timed_series())
@example([row("2026-03-27T01:30:00", uid="s", time_zone="Europe/Berlin", recurrence_rule="FREQ=DAILY;COUNT=5")])
def test_another_reader_finds_the_instances_of_the_ledger(rows):
    feed = feed_of(*rows)

    assert events_of(feed)
    assert read_back(feed, *SPAN) == ledgers(rows, *SPAN)


@pytest.mark.parametrize(
    "rule", ["FREQ=DAILY;COUNT=4", "FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20260401", "FREQ=YEARLY", "FREQ=MONTHLY"]
)
def test_all_day_series_are_dates_throughout(rule):
    master = row("2026-03-02T00:00:00", uid="s", all_day=True, time_zone="Asia/Tokyo", recurrence_rule=rule)
    ids = [one.recurrence_id for one in recurrence.expand([master.entry], Span(*SPAN))]
    moved = row("2026-06-01T00:00:00", uid="s", all_day=True, title="moved", recurrence_id=ids[1])
    rows = [master._replace(exdates=ids[2:3], rdates=["20260310"]), moved]

    feed = feed_of(*rows)

    for name in ("DTSTART", "EXDATE", "RDATE", "RECURRENCE-ID"):
        assert all(line.startswith(f"{name};VALUE=DATE:") for line in lines_of(feed, name))
    assert lines_of(feed, "RECURRENCE-ID")
    assert read_back(feed, *SPAN) == ledgers(rows, *SPAN)


def test_an_instance_in_the_gap_is_taken_out_and_stands_beside_in_utc():
    daily = row(
        "2026-03-28T01:30:00", uid="s", time_zone="Europe/Berlin", local_start="20260328T023000",
        recurrence_rule="FREQ=DAILY;COUNT=3",
    )  # fmt: skip

    feed = feed_of(daily)

    assert lines_of(feed, "EXDATE") == ["EXDATE;TZID=Europe/Berlin:20260329T023000"]
    assert "DTSTART:20260329T013000Z" in lines_of(feed, "DTSTART")
    assert sorted(lines_of(feed, "UID")) == ["UID:s", "UID:s/20260329T013000Z"]


def test_a_shift_through_the_night_of_the_change_keeps_its_length():
    """Eight hours from 22:00 end at 07:00 in the spring and at 05:00 in the autumn; DTEND's clock says 06:00."""
    nights = row(
        "2026-03-27T21:00:00", "2026-03-28T05:00:00", uid="s", time_zone="Europe/Berlin",
        recurrence_rule="FREQ=DAILY;UNTIL=20261031T000000Z",
    )  # fmt: skip

    feed = feed_of(nights)

    assert lines_of(feed, "EXDATE") == [
        "EXDATE;TZID=Europe/Berlin:20260328T220000",
        "EXDATE;TZID=Europe/Berlin:20261024T220000",
    ]
    assert "DTEND;TZID=Europe/Berlin:20260329T070000" in lines_of(feed, "DTEND")
    assert "DTEND;TZID=Europe/Berlin:20261025T050000" in lines_of(feed, "DTEND")


def test_an_instance_in_an_hour_that_happens_twice_stands_beside_in_utc():
    daily = row(
        "2026-10-24T00:30:00", uid="s", time_zone="Europe/Berlin", local_start="20261024T023000",
        recurrence_rule="FREQ=DAILY;COUNT=3",
    )  # fmt: skip

    feed = feed_of(daily)

    assert lines_of(feed, "EXDATE") == ["EXDATE;TZID=Europe/Berlin:20261025T023000"]
    assert "DTSTART:20261025T003000Z" in lines_of(feed, "DTSTART")


def test_rdates_without_a_rule_are_separate_events():
    thrice = row("2026-03-02T09:00:00", uid="s", rdates=["20260304T090000Z", "20260309T100000Z"])

    feed = feed_of(thrice)

    assert not lines_of(feed, "RDATE")
    assert lines_of(feed, "UID") == ["UID:s", "UID:s/20260304T090000Z", "UID:s/20260309T100000Z"]
    assert read_back(feed, *SPAN) == ledgers([thrice], *SPAN)


def test_an_rdate_on_an_instance_in_the_gap_is_one_event():
    sundays = row(
        "2026-03-01T07:30:00", uid="s", time_zone="America/New_York", local_start="20260301T023000",
        recurrence_rule="FREQ=WEEKLY;COUNT=3", rdates=["20260308"],
    )  # fmt: skip

    feed = feed_of(sundays)

    assert not lines_of(feed, "RDATE")
    assert read_back(feed, *SPAN) == ledgers([sundays], *SPAN)


def test_a_period_stands_beside_the_series():
    longer = row(
        "2026-03-02T09:00:00", uid="s", recurrence_rule="FREQ=WEEKLY;COUNT=2", rdates=["20260304T090000Z/PT3H"]
    )

    feed = feed_of(longer)

    assert not lines_of(feed, "RDATE")
    assert read_back(feed, *SPAN) == ledgers([longer], *SPAN)


def test_a_start_that_the_rule_does_not_produce_stands_beside_and_still_counts():
    monday_start = row("2026-03-02T09:00:00", uid="s", recurrence_rule="FREQ=WEEKLY;BYDAY=WE;COUNT=3")

    feed = feed_of(monday_start)

    assert lines_of(feed, "RRULE") == ["RRULE:FREQ=WEEKLY;BYDAY=WE;COUNT=2"]
    assert lines_of(feed, "DTSTART") == ["DTSTART:20260304T090000Z", "DTSTART:20260302T090000Z"]
    assert read_back(feed, *SPAN) == ledgers([monday_start], *SPAN)


def test_this_and_future_is_listed_instance_by_instance():
    master = row("2026-03-02T09:00:00", uid="s", title="master", recurrence_rule="FREQ=WEEKLY;COUNT=5")
    later = row("2026-03-16T11:00:00", uid="s", title="later", recurrence_id="20260316T090000Z", this_and_future=True)

    feed = feed_of(master, later)

    assert not lines_of(feed, "RRULE")
    assert read_back(feed, *SPAN) == ledgers([master, later], *SPAN)
    assert [title for _, _, title in read_back(feed, *SPAN)] == ["master", "master", "later", "later", "later"]


def test_a_series_that_only_falls_on_changes_of_the_clock_is_listed():
    yearly = row(
        "2026-03-29T00:30:00", "2026-03-29T02:30:00", uid="s", time_zone="Europe/Berlin",
        recurrence_rule="FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU",
    )  # fmt: skip

    feed = feed_of(yearly)

    assert not lines_of(feed, "RRULE")
    assert read_back(feed, *SPAN) == ledgers([yearly], *SPAN)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=WEEKLY;BYMONTHDAY=13",
        "FREQ=DAILY;BYYEARDAY=100",
        "FREQ=WEEKLY;BYDAY=2MO",
        "FREQ=MONTHLY;BYWEEKNO=20",
        "FREQ=YEARLY;BYWEEKNO=20",
    ],
)
def test_a_rule_of_which_readers_make_different_things_is_listed_as_the_ledger_understands_it(rule):
    odd = row("2026-03-02T09:00:00", uid="s", recurrence_rule=rule)

    feed = feed_of(odd)

    assert not lines_of(feed, "RRULE")
    assert read_back(feed, *SPAN) == ledgers([odd], *SPAN)


def test_an_override_of_what_the_rule_does_not_yield_stands_alone():
    master = row("2026-03-02T09:00:00", uid="s", title="master", recurrence_rule="FREQ=WEEKLY;COUNT=2")
    stray = row("2026-03-05T11:00:00", uid="s", title="stray", recurrence_id="20260305T090000Z")

    feed = feed_of(master, stray)

    assert not lines_of(feed, "RECURRENCE-ID")
    assert read_back(feed, *SPAN) == ledgers([master, stray], *SPAN)


def test_overrides_without_their_master_stand_alone_under_uids_of_their_own():
    first = row("2026-03-09T11:00:00", uid="s", recurrence_id="20260309T090000Z")
    second = row("2026-03-16T11:00:00", uid="s", recurrence_id="20260316T090000Z")
    gone = row("2026-03-23T11:00:00", uid="s", recurrence_id="20260323T090000Z", status="cancelled")

    feed = feed_of(first, second, gone)

    assert not lines_of(feed, "RECURRENCE-ID")
    assert lines_of(feed, "UID") == ["UID:s/20260309T090000Z", "UID:s/20260316T090000Z"]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("BYDAY=MO;FREQ=WEEKLY", "RRULE:FREQ=WEEKLY;BYDAY=MO"),
        ("rrule:freq=weekly;byday=mo;", "RRULE:FREQ=WEEKLY;BYDAY=MO"),
        ("FREQ=WEEKLY;UNTIL=20260316", "RRULE:FREQ=WEEKLY;UNTIL=20260316T225959Z"),
        ("FREQ=WEEKLY;UNTIL=20260316T100000", "RRULE:FREQ=WEEKLY;UNTIL=20260316T090000Z"),
    ],
)
def test_rules_are_written_freq_first_and_until_in_utc(written, sent):
    weekly = row("2026-03-02T09:00:00", uid="s", time_zone="Europe/Berlin", recurrence_rule=written)

    assert lines_of(feed_of(weekly), "RRULE") == [sent]


def test_days_of_a_duration_are_days_of_the_wall_clock():
    daily = row(
        "2026-03-27T09:00:00", "2026-03-28T09:00:00", uid="s", time_zone="Europe/Berlin", duration="P1D",
        recurrence_rule="FREQ=DAILY;COUNT=4",
    )  # fmt: skip

    feed = feed_of(daily)

    assert lines_of(feed, "DURATION") == ["DURATION:P1D"]
    assert read_back(feed, *SPAN) == ledgers([daily], *SPAN)


def test_a_duration_that_is_none_never_reaches_the_feed():
    hostile = row("2026-03-02T09:00:00", uid="s", duration="P1D\r\nX-EVIL:1", recurrence_rule="FREQ=DAILY;COUNT=2")

    assert b"X-EVIL" not in feed_of(hostile, hostile._replace(time_zone="Europe/Berlin", uid="z"))
