"""Wall times become instants; the cases are the ones where clocks misbehave."""

from datetime import UTC, date, datetime

import pytest

from busyblocks.errors import UnknownZone
from busyblocks.zones import midnight, names, to_utc, to_wall, zone

WALL_TIMES = [
    # A gap moves the time forward by its length (RFC 5545 §3.3.5).
    ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:30"),
    ("America/New_York", "2026-03-08 02:30", "2026-03-08 07:30"),
    # Lord Howe's gap is half an hour: 02:15 becomes 02:45.
    ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:45"),
    # What happens twice is meant the first time.
    ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30"),
    ("America/New_York", "2026-11-01 01:30", "2026-11-01 05:30"),
    # Morocco leaves its summer clock for Ramadan: on 15 February 2026 03:00 becomes 02:00.
    ("Africa/Casablanca", "2026-02-15 02:30", "2026-02-15 01:30"),
    # Samoa had no 30 December 2011.
    ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 22:00"),
    ("Pacific/Kiritimati", "2026-01-01 00:00", "2025-12-31 10:00"),
]


@pytest.mark.parametrize(("name", "wall", "expected"), WALL_TIMES)
def test_wall_time_means_one_instant(name: str, wall: str, expected: str) -> None:
    found = to_utc(datetime.fromisoformat(wall), zone(name))
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


MIDNIGHTS = [
    # An ordinary midnight.
    ("Europe/Berlin", "2026-06-01", "2026-05-31 22:00"),
    # No midnight: the day begins with the first instant that exists.
    ("Asia/Beirut", "2026-03-29", "2026-03-28 22:00"),
    ("Africa/Cairo", "2026-04-24", "2026-04-23 22:00"),
    ("America/Havana", "2026-03-08", "2026-03-08 05:00"),
    ("America/Santiago", "2026-09-06", "2026-09-06 04:00"),
    # The gap began before midnight: Toronto jumped from 23:30 to 00:30.
    ("America/Toronto", "1919-03-31", "1919-03-31 04:30"),
    # Midnight twice: the first one.
    ("America/Havana", "2026-11-01", "2026-11-01 04:00"),
    # The day that Samoa left out begins when the next one does.
    ("Pacific/Apia", "2011-12-30", "2011-12-30 10:00"),
]


@pytest.mark.parametrize(("name", "day", "expected"), MIDNIGHTS)
def test_date_begins_at_its_first_instant(name: str, day: str, expected: str) -> None:
    assert midnight(date.fromisoformat(day), zone(name)) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_every_midnight_of_a_year_is_the_first_instant_of_its_date_in_every_zone() -> None:
    for name in names():
        tz = zone(name)
        for month, day in ((3, 8), (3, 29), (4, 24), (9, 6), (10, 4), (10, 25), (11, 1)):
            found = midnight(date(2026, month, day), tz)
            assert to_wall(found, tz).date() == date(2026, month, day), name
            before = to_wall(datetime.fromtimestamp(found.timestamp() - 1, UTC), tz)
            assert before.date() < date(2026, month, day), name


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "europe/berlin", "../../etc/passwd", "/etc/localtime", "Europe", "A" * 5000, "E\x00"]
)
def test_name_of_no_zone_is_unknown(name: str) -> None:
    with pytest.raises(UnknownZone):
        zone(name)


@pytest.mark.parametrize("name", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"])
def test_ends_of_time_bound_the_conversion(name: str) -> None:
    tz = zone(name)
    for wall in (datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)):
        assert to_utc(wall, tz).year == wall.year
        assert to_wall(wall.replace(tzinfo=UTC), tz).year == wall.year
    assert midnight(date.max, tz).year == 9999
