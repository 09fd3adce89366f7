"""The bytes of a feed: what is a whole calendar, whose are its parts, and what makes an event another one."""

import pytest

from calendars.providers import UnexpectedAnswer
from integrations.ical import Reader
from integrations.ics.feed import Feed, parsed
from tests.contracts.contract import BERLIN, calendar_object, component, event

START = "DTSTART:20260320T090000Z"


def feed(*components: str) -> Feed:
    return parsed(calendar_object(*components).encode())


def etag(*lines: str, uid: str = "u") -> str:
    (found,) = feed(component(uid, *lines)).etags().values()
    return found


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="nothing"),
        pytest.param("\r\n\r\n", id="blank lines"),
        pytest.param("<!DOCTYPE html><html>Sign in</html>", id="a page"),
        pytest.param("<html>BEGIN:VCALENDAR\r\nEND:VCALENDAR", id="a page that mentions a calendar"),
        pytest.param('{"error": "not found"}', id="an error in JSON"),
        pytest.param("BEGIN:VEVENT\r\nEND:VEVENT\r\n", id="an event without a calendar"),
        pytest.param("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n", id="no end"),
        pytest.param(calendar_object(component("u", START))[:-20], id="cut in its last line"),
        pytest.param(calendar_object(component("u", START)).partition("SUMMARY")[0][:70], id="cut in an event"),
        pytest.param("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\n", id="parts that do not nest"),
        pytest.param("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\nEND:VCALENDAR\r\n", id="more ends than beginnings"),
        pytest.param(calendar_object() + "<!-- served in 3 ms -->", id="words after the end"),
        pytest.param(calendar_object() + "BEGIN:VCALENDAR\r\n", id="a second calendar that is cut off"),
    ],
)
def test_what_is_no_whole_calendar_is_an_error_and_never_an_empty_calendar(body: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        parsed(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(calendar_object(), id="as the RFC has it"),
        pytest.param("\ufeff" + calendar_object(), id="with a byte order mark"),
        pytest.param(calendar_object().replace("\r\n", "\n"), id="with bare line feeds"),
        pytest.param("\r\n" + calendar_object() + "\r\n\x1a", id="with blanks around it"),
        pytest.param(calendar_object() * 2, id="two calendars in one stream"),
        pytest.param("begin:vcalendar\r\nend:vcalendar", id="in small letters"),
    ],
)
def test_whole_calendar_without_events_is_empty(body: str) -> None:
    assert parsed(body.encode()).etags() == {}


def test_utf_16_is_read() -> None:
    found = parsed(event("u", START, "SUMMARY:Grüße").encode("utf-16"))
    assert "Grüße" in found.text_of("u")


def test_text_that_is_not_utf_8_is_read_as_old_servers_mean_it() -> None:
    found = parsed(event("u", START, "SUMMARY:Grüße").encode("latin-1"))
    assert "Grüße" in found.text_of("u")


def test_name_and_zone_of_the_calendar() -> None:
    found = parsed(calendar_object("X-WR-CALNAME:Team\\, all", "X-WR-TIMEZONE:Europe/Berlin").encode())
    assert (found.name, found.time_zone) == ("Team, all", "Europe/Berlin")


def test_components_of_one_uid_are_one_event_wherever_they_stand() -> None:
    master = component("series", START, "RRULE:FREQ=DAILY;COUNT=3")
    override = component("series", "RECURRENCE-ID:20260321T090000Z", "DTSTART:20260321T100000Z")
    found = feed(override, component("other", START), master)
    assert list(found.etags()) == ["series", "other"]
    entries = Reader().entries(found.text_of("series"), external_event_id="series")
    assert [entry.recurrence_id for entry in entries] == ["", "20260321T090000Z"]


def test_event_brings_the_zones_that_it_names_and_no_others() -> None:
    other = BERLIN.replace("Europe/Berlin", "Custom/Zone")
    found = feed(BERLIN, other, component("u", "DTSTART;TZID=Europe/Berlin:20260320T090000"))
    assert "TZID:Europe/Berlin" in found.text_of("u")
    assert "Custom/Zone" not in found.text_of("u")


def test_uid_of_an_alarm_is_not_that_of_its_event() -> None:
    alarm = "BEGIN:VALARM\r\nUID:alarm\r\nTRIGGER:-PT5M\r\nEND:VALARM"
    text = f"BEGIN:VEVENT\r\n{alarm}\r\nUID:real\r\n{START}\r\nEND:VEVENT"
    assert list(feed(text).etags()) == ["real"]


def test_folded_uid_is_one_uid() -> None:
    text = f"BEGIN:VEVENT\r\nUID:abc\r\n def\r\n{START}\r\nEND:VEVENT"
    assert list(feed(text).etags()) == ["abcdef"]


def test_events_without_uid_are_known_by_what_they_say() -> None:
    def unnamed(title: str, stamp: str) -> str:
        return "\r\n".join(["BEGIN:VEVENT", START, f"DTSTAMP:{stamp}", f"SUMMARY:{title}", "END:VEVENT"])

    first = feed(unnamed("One", "20260101T000000Z"), unnamed("Two", "20260101T000000Z"))
    second = feed(unnamed("Two", "20260202T000000Z"), unnamed("One", "20260202T000000Z"))
    assert len(first.etags()) == 2
    assert first.etags() == second.etags()


def test_long_uid_is_folded_to_what_can_be_indexed() -> None:
    (id_,) = feed(component("x" * 2000, START)).etags()
    assert len(id_) <= 512


@pytest.mark.parametrize(
    ("lines", "same"),
    [
        pytest.param((START, "DTSTAMP:20270101T000000Z"), True, id="written at another time"),
        pytest.param((START, "LAST-MODIFIED:20270101T000000Z"), True, id="touched at another time"),
        pytest.param((START, "CREATED:20270101T000000Z"), True, id="made at another time"),
        pytest.param((START, "X-SERVER-TOKEN:abc"), True, id="a word that the ledger does not know"),
        pytest.param((START, "SUMMARY:"), False, id="a title"),
        pytest.param((START, "SEQUENCE:1"), False, id="a sequence number"),
        pytest.param(("DTSTART:20260320T090001Z",), False, id="another start"),
        pytest.param((START, "STATUS:CANCELLED"), False, id="cancelled"),
        pytest.param((START, "TRANSP:TRANSPARENT"), False, id="free"),
    ],
)
def test_what_makes_an_event_another_one(lines: tuple[str, ...], same: bool) -> None:
    assert (etag(*lines) == etag(START)) is same


def test_order_of_lines_makes_no_difference() -> None:
    assert etag(START, "SUMMARY:A", "LOCATION:B") == etag("LOCATION:B", "SUMMARY:A", START)


def test_rules_of_a_zone_make_an_event_another_one() -> None:
    zoned = component("u", "DTSTART;TZID=Europe/Berlin:20260320T090000")
    other = BERLIN.replace("TZOFFSETTO:+0200", "TZOFFSETTO:+0300")
    assert feed(BERLIN, zoned).etags() != feed(other, zoned).etags()


def test_another_calendar_zone_makes_every_event_another_one() -> None:
    found = feed(component("u", START))
    assert found.etags("Europe/Berlin") != found.etags("Asia/Tokyo")


@pytest.mark.parametrize("turned", [False, True])
def test_of_duplicates_the_highest_sequence_counts_in_any_order(turned: bool) -> None:
    old = component("u", START, "SEQUENCE:9", "SUMMARY:Old")
    new = component("u", START, "SEQUENCE:10", "SUMMARY:New")
    found = feed(*([new, old] if turned else [old, new]))
    (entry,) = Reader().entries(found.text_of("u"), external_event_id="u")
    assert entry.title == "New"
    assert found.etags() == feed(old, new).etags()
