"""Calendars name their time zones in many ways; none of them may become a time without a zone."""

from datetime import UTC, datetime

import pytest

from integrations import zones
from integrations.zones import UnknownZone, find, iana_name


@pytest.mark.parametrize(
    ("tzid", "name"),
    [
        pytest.param("Europe/Berlin", "Europe/Berlin", id="an IANA name"),
        pytest.param("europe/berlin", "Europe/Berlin", id="in another case"),
        pytest.param('"Europe/Berlin"', "Europe/Berlin", id="with quotes in it"),
        pytest.param("Asia/Calcutta", "Asia/Calcutta", id="an older IANA name"),
        pytest.param("America/Argentina/Ushuaia", "America/Argentina/Ushuaia", id="of three parts"),
        pytest.param("W. Europe Standard Time", "Europe/Berlin", id="a Windows name"),
        pytest.param("/mozilla.org/20050126_1/Europe/Berlin", "Europe/Berlin", id="at the end of Mozilla's path"),
        pytest.param("/citadel.org/2021/America/Argentina/Ushuaia", "America/Argentina/Ushuaia", id="of a long path"),
        pytest.param("tzone://Microsoft/Utc", "UTC", id="Microsoft's way to say UTC"),
        pytest.param("GMT", "UTC", id="GMT"),
        pytest.param("tzone://Microsoft/Custom", "", id="Microsoft's way to say nothing"),
        pytest.param("Customized Time Zone", "", id="a zone of the sender's own"),
        pytest.param("GMT+0200", "", id="an offset is no zone"),
        pytest.param("../../etc/passwd", "", id="a path of this machine"),
        pytest.param("America", "", id="a folder of the tz database"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_names_of_zones(tzid: str, name: str) -> None:
    assert iana_name(tzid) == name


def described(tzid: str, *observances: str) -> list[str]:
    return [f"TZID:{tzid}", *(line for observance in observances for line in observance.split())]


STANDARD_EU = (
    "BEGIN:STANDARD DTSTART:16010101T030000 TZOFFSETFROM:+0200 TZOFFSETTO:+0100 "
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10 END:STANDARD"
)
DAYLIGHT_EU = (
    "BEGIN:DAYLIGHT DTSTART:16010101T020000 TZOFFSETFROM:+0100 TZOFFSETTO:+0200 "
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3 END:DAYLIGHT"
)
# Europe's rules, but an hour and 20 minutes east of Greenwich: nobody's zone.
STANDARD_ODD = STANDARD_EU.replace("+0200", "+0220").replace("+0100", "+0120")
DAYLIGHT_ODD = DAYLIGHT_EU.replace("+0100", "+0120").replace("+0200", "+0220")


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        pytest.param(described("Meine Zone", STANDARD_EU, DAYLIGHT_EU), "Europe/Budapest", id="central Europe's rules"),
        pytest.param(
            described("Somewhere near Madrid", STANDARD_EU, DAYLIGHT_EU), "Europe/Madrid", id="the city in its name"
        ),
        pytest.param(
            described("X", "BEGIN:STANDARD DTSTART:16010101T000000 TZOFFSETFROM:+0530 TZOFFSETTO:+0530 END:STANDARD"),
            "Asia/Calcutta",
            id="a fixed half hour",
        ),
        pytest.param(
            described("X", "BEGIN:STANDARD DTSTART:16010101T000000 TZOFFSETFROM:-0300 TZOFFSETTO:-0300 END:STANDARD"),
            "Etc/GMT+3",
            id="a fixed hour (whose sign IANA turns around)",
        ),
        pytest.param(
            described("X", "BEGIN:STANDARD DTSTART:16010101T000000 TZOFFSETFROM:+0000 TZOFFSETTO:+0000 END:STANDARD"),
            "UTC",
            id="no offset",
        ),
        pytest.param(["TZID:X", "X-LIC-LOCATION:Africa/Cairo"], "Africa/Cairo", id="a location beside the rules"),
    ],
)
def test_zone_of_the_senders_own_is_the_iana_zone_with_the_same_offsets(lines: list[str], name: str) -> None:
    found = find(lines[0].removeprefix("TZID:"), [lines])
    assert found.name.replace("Kolkata", "Calcutta") == name


@pytest.mark.parametrize(
    ("wall", "instant"),
    [
        pytest.param(datetime(2026, 1, 15, 12), datetime(2026, 1, 15, 10, 40, tzinfo=UTC), id="winter"),
        pytest.param(datetime(2026, 7, 15, 12), datetime(2026, 7, 15, 9, 40, tzinfo=UTC), id="summer"),
        pytest.param(datetime(2026, 3, 29, 2, 30), datetime(2026, 3, 29, 1, 10, tzinfo=UTC), id="gap: as before it"),
        pytest.param(datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 0, 10, tzinfo=UTC), id="overlap: the first"),
        pytest.param(datetime(1850, 1, 1), datetime(1849, 12, 31, 22, 40, tzinfo=UTC), id="before all rules"),
        pytest.param(datetime(2090, 1, 1), datetime(2089, 12, 31, 22, 40, tzinfo=UTC), id="after all that was listed"),
    ],
)
def test_rules_that_no_iana_zone_follows_still_give_exact_instants(wall: datetime, instant: datetime) -> None:
    found = find("Odd", [described("Odd", STANDARD_ODD, DAYLIGHT_ODD)])
    assert found.name == ""
    assert found.to_utc(wall) == instant


def test_wall_times_in_gap_and_overlap_are_read_as_by_the_tz_database() -> None:
    own = find("Eigene", [described("Eigene", STANDARD_EU, DAYLIGHT_EU)])
    assert own.to_utc(datetime(2026, 3, 29, 2, 30)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert own.to_utc(datetime(2026, 10, 25, 2, 30)) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_description_counts_more_than_an_iana_name_without_a_slash() -> None:
    lines = described("EST", STANDARD_EU, DAYLIGHT_EU)
    assert find("EST", [lines]).name == "Europe/Budapest"
    assert find("EST", []).name == "EST"


def test_iana_name_counts_more_than_a_description() -> None:
    assert (
        find("America/New_York", [described("America/New_York", STANDARD_EU, DAYLIGHT_EU)]).name == "America/New_York"
    )


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="no description"),
        pytest.param(described("Another", STANDARD_EU), id="a description of another zone"),
        pytest.param(described("X"), id="a description without rules"),
        pytest.param(described("X", STANDARD_EU.replace("YEARLY", "SECONDLY")), id="a rule that is a bomb"),
        pytest.param(described("X", STANDARD_EU.replace("YEARLY", "DAILY")), id="a rule that is not yearly"),
        pytest.param(described("X", STANDARD_EU.replace("+0200", "two hours")), id="an offset that is none"),
        pytest.param(described("X", STANDARD_EU.replace("DTSTART", "DTEND")), id="rules without a start"),
    ],
)
def test_unknown_zone_is_refused_never_guessed(lines: list[str]) -> None:
    with pytest.raises(UnknownZone):
        find("X", [lines] if lines else [])


def test_every_windows_name_leads_to_a_zone_that_exists() -> None:
    names = [name for name in zones.WINDOWS_TO_OLSON if iana_name(name)]
    assert len(names) == len(zones.WINDOWS_TO_OLSON)
