"""VTIMEZONE: what other readers make of it is what the zone data say."""

import io
from datetime import UTC, datetime, timedelta, tzinfo

import pytest
from dateutil.tz import tzical

from busyblocks import zones
from icsfeeds.vtimezone import onsets, vtimezone

YEARS = (2025, 2032)
# Every kind of rule: none, last Sunday, second Sunday, southern, half an hour, at midnight, by the moon, by decree.
TOLD_APART = [
    "Asia/Kolkata", "Europe/Berlin", "Europe/Dublin", "America/New_York", "America/Santiago", "America/Asuncion",
    "Australia/Lord_Howe", "Asia/Beirut", "Africa/Cairo", "America/Havana", "Africa/Casablanca", "Asia/Gaza",
    "Asia/Jerusalem", "Pacific/Apia", "Pacific/Kiritimati", "Pacific/Chatham", "Antarctica/Troll", "America/Nuuk",
]  # fmt: skip


def _read(component: str) -> tzinfo:
    found = tzical(io.StringIO(f"BEGIN:VCALENDAR\n{component}END:VCALENDAR\n".replace("\r\n", "\n"))).get()
    assert found is not None
    return found


@pytest.mark.parametrize("name", TOLD_APART)
def test_another_reader_finds_the_same_offsets_on_either_side_of_every_change(name):
    first, last = YEARS
    read, known = _read(vtimezone(name, first, last)), zones.zone(name)
    changes = [onset.instant for onset in onsets(name, first, last)]
    middles = [datetime(year, month, 15, 12, tzinfo=UTC) for year in range(first, last + 1) for month in (1, 4, 7, 10)]
    around = [instant + timedelta(hours=hours) for instant in changes for hours in (-30, -3, 3, 30)]

    for instant in [*middles, *around]:
        wall = zones.to_wall(instant, known)
        assert wall.replace(tzinfo=read).utcoffset() == instant.astimezone(known).utcoffset(), (name, instant)


def test_a_zone_with_yearly_rules_needs_one_component_of_each_kind():
    component = vtimezone("Europe/Berlin", 2026, 2036)

    assert component.count("BEGIN:DAYLIGHT") == component.count("BEGIN:STANDARD") == 1
    assert "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\n" in component
    assert "RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\n" in component


def test_a_rule_that_ended_ends_in_the_component_too():
    component = vtimezone("America/New_York", 2000, 2026)

    assert "RRULE:FREQ=YEARLY;BYMONTH=4;BYDAY=1SU;UNTIL=20060403T070000Z" in component
    assert "RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=2SU\r\n" in component


def test_a_zone_that_follows_the_moon_gets_no_rule():
    assert "RRULE" not in vtimezone("Africa/Casablanca", 2026, 2036)


def test_a_zone_without_changes_has_one_observance():
    component = vtimezone("Asia/Kolkata", 2026, 2036)

    assert component.count("BEGIN:") == 2
    assert "TZOFFSETTO:+0530\r\n" in component


def test_offsets_with_seconds_keep_them():
    assert "TZOFFSETTO:-004430" in vtimezone("Africa/Monrovia", 1960, 1960)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Europe/Berlin", 1940, 1950),
        ("Africa/Freetown", 1939, 1941),
        ("Africa/Casablanca", 2008, 2026),
        ("Asia/Gaza", 2038, 2046),
        ("America/Caracas", 2005, 2017),
    ],
)
def test_no_change_is_missed_between_two_samples(name, first, last):
    step, info = timedelta(hours=6), zones.zone(name)
    instant, found = datetime(first, 1, 1, tzinfo=UTC), []
    while instant.year <= last:
        if instant.astimezone(info).utcoffset() != (instant + step).astimezone(info).utcoffset():
            found.append(instant)
        instant += step

    seen = [onset.instant for onset in onsets(name, first, last)]

    assert len(seen) == len(found)
    assert all(before < change <= before + step for before, change in zip(found, seen, strict=True))
