"""The calendar as a whole: the documented lines, hostile texts, copies, zones, rows that cannot be written."""

from datetime import UTC, datetime, timedelta

import icalendar
import pytest
import structlog

from busyblocks import zones
from tests.icsfeeds.ledger import events_of, feed_of, ledgers, lines_of, read_back, row, unfolded

SPAN = (datetime(2025, 12, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC))
SCRIPTS = {
    "Latin": "Besprechung über Größe, Preis; Maß \\ Gewicht",
    "Greek": "Τριμηνιαία επισκόπηση των αποτελεσμάτων",
    "Cyrillic": "Квартальный обзор результатов продаж отдела",
    "Arabic": "مراجعة ربع سنوية لنتائج المبيعات في القسم",
    "Hebrew": "סקירה רבעונית של תוצאות המכירות במחלקה",
    "Devanagari": "त्रैमासिक समीक्षा बैठक बिक्री परिणाम विभाग",
    "Thai": "การทบทวนรายไตรมาสของผลการขายในแผนก",
    "Han": "季度回顾会议关于销售部门业绩的详细讨论与计划安排",
    "Hangul": "분기별 영업 실적 검토 회의 및 향후 계획 논의",
    "Emoji": "👩‍👩‍👧‍👦 family 🏳️‍🌈 flags 🇩🇪 and 🧑🏽‍🚀 more",
}


def test_the_documented_example_comes_out_line_by_line():
    review = row("2026-03-15T14:00:00", "2026-03-15T15:00:00", title="Quarterly Review", location="Conference Room A")

    lines = unfolded(feed_of(review)).split("\r\n")

    assert lines[:3] == ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//23blocks//CRM//EN"]
    assert lines[-2:] == ["END:VCALENDAR", ""]
    event = lines[lines.index("BEGIN:VEVENT") : lines.index("END:VEVENT")]
    for line in (
        "DTSTART:20260315T140000Z",
        "DTEND:20260315T150000Z",
        "SUMMARY:Quarterly Review",
        "LOCATION:Conference Room A",
        "STATUS:CONFIRMED",
        "TRANSP:OPAQUE",
        "CLASS:PUBLIC",
        "SEQUENCE:0",
        "CREATED:20260110T103000Z",
        "LAST-MODIFIED:20260110T103000Z",
        "DTSTAMP:20260110T103000Z",
    ):
        assert line in event


@pytest.mark.parametrize("script", SCRIPTS)
def test_texts_of_every_script_are_read_back_as_they_were(script):
    text = SCRIPTS[script] * 3
    feed = feed_of(row(title=text, description=text + "\n" + text, location=text, uid=text))

    (event,) = events_of(feed)

    assert str(event["SUMMARY"]) == str(event["LOCATION"]) == str(event["UID"]) == text
    assert str(event["DESCRIPTION"]) == text + "\n" + text
    assert all(len(line) <= 75 for line in feed.split(b"\r\n"))
    assert all(line.decode() is not None for line in feed.split(b"\r\n"))


@pytest.mark.parametrize("char", ["\r\n", "\r", "\n", "\x00", "\v", "\f", "\x85", "\u2028", "\u2029", "\ud800"])
@pytest.mark.parametrize("field", ["title", "description", "location", "uid", "url"])
def test_no_text_begins_a_line_of_its_own(field, char):
    hostile = row(**{field: f"https://example.org/{char}ATTENDEE:mailto:mallory@globex.example{char}END:VEVENT"})

    feed = feed_of(hostile)

    starts = [line[:8] for line in unfolded(feed).splitlines()]
    assert "ATTENDEE" not in starts
    assert starts.count("END:VEVE") == 1
    assert b"\x00" not in feed
    assert len(events_of(feed)) == 1


def test_an_all_day_entry_is_written_as_dates():
    feed = feed_of(row("2026-03-15T00:00:00", "2026-03-17T00:00:00", all_day=True, time_zone="Pacific/Auckland"))

    assert lines_of(feed, "DTSTART") == ["DTSTART;VALUE=DATE:20260315"]
    assert lines_of(feed, "DTEND") == ["DTEND;VALUE=DATE:20260317"]


def test_an_entry_in_a_zone_names_it_and_the_feed_describes_it():
    feed = feed_of(row("2026-03-15T14:00:00", time_zone="Europe/Berlin"))

    assert lines_of(feed, "DTSTART") == ["DTSTART;TZID=Europe/Berlin:20260315T150000"]
    text = unfolded(feed)
    assert text.count("BEGIN:VTIMEZONE") == 1
    assert text.index("TZID:Europe/Berlin") < text.index("BEGIN:VEVENT")


def test_an_hour_that_happens_twice_is_written_in_utc():
    first = row("2026-10-25T00:15:00", "2026-10-25T00:45:00", time_zone="Europe/Berlin")
    second = row("2026-10-25T01:15:00", "2026-10-25T01:45:00", time_zone="Europe/Berlin")

    feed = feed_of(first, second)

    assert lines_of(feed, "DTSTART") == ["DTSTART:20261025T001500Z", "DTSTART:20261025T011500Z"]
    assert read_back(feed, *SPAN) == ledgers([first, second], *SPAN)


def test_an_entry_without_length_has_no_end():
    assert not lines_of(feed_of(row("2026-03-15T14:00:00", "2026-03-15T14:00:00")), "DTEND")


@pytest.mark.parametrize(
    "start", ["0001-01-05T09:00:00", "1850-01-05T09:00:00", "2090-01-05T09:00:00", "9999-12-20T09:00:00"]
)
def test_years_far_away_are_instants_and_need_no_zone(start):
    feed = feed_of(row(start, time_zone="Europe/Berlin"))

    assert lines_of(feed, "DTSTART") == ["DTSTART:" + start.replace("-", "").replace(":", "") + "Z"]
    assert b"VTIMEZONE" not in feed


def test_an_event_in_every_zone_is_read_back_at_its_instant():
    names = sorted(zones.names())
    moment = datetime(2026, 7, 15, 12, 0, tzinfo=UTC)
    feed = feed_of(*(row("2026-07-15T12:00:00", title=name, time_zone=name) for name in names))

    starts = {str(event["SUMMARY"]): event.start for event in events_of(feed)}

    assert {name: start.astimezone(UTC) for name, start in starts.items()} == dict.fromkeys(names, moment)
    used = {line.partition("TZID=")[2].partition(":")[0] for line in lines_of(feed, "DTSTART") if "TZID=" in line}
    described = {str(zone["TZID"]) for zone in icalendar.Calendar.from_ical(feed).walk("VTIMEZONE")}
    assert described == used
    assert max(len(line) for line in feed.split(b"\r\n")) <= 75


@pytest.mark.parametrize(
    ("values", "transparency"),
    [
        ({"fbtype": "busy"}, "OPAQUE"),
        ({"fbtype": "busy-tentative", "status": "tentative"}, "OPAQUE"),
        ({"fbtype": "free", "transparency": "transparent"}, "TRANSPARENT"),
        ({"fbtype": "free", "status": "confirmed"}, "TRANSPARENT"),  # declined by the owner
        ({"fbtype": "free", "status": "cancelled"}, "TRANSPARENT"),
    ],
)
def test_what_does_not_take_time_is_transparent(values, transparency):
    feed = feed_of(row(**values))

    assert lines_of(feed, "TRANSP") == [f"TRANSP:{transparency}"]
    assert lines_of(feed, "STATUS") == [f"STATUS:{values.get('status', 'confirmed').upper()}"]


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ({"fbtype": "busy"}, []),
        ({"fbtype": "free"}, []),
        # Away is more than busy, and neither STATUS nor TRANSP says so.
        ({"fbtype": "busy-unavailable"}, ["X-MICROSOFT-CDO-BUSYSTATUS:OOF"]),
        # Of a meeting that stands, and whose guest has answered "perhaps".
        ({"fbtype": "busy-tentative", "status": "confirmed"}, ["X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE"]),
        ({"fbtype": "busy-tentative", "transparency": "transparent"}, []),
    ],
)
def test_how_firmly_time_is_taken_is_told_to_outlook(values, written):
    assert lines_of(feed_of(row(**values)), "X-MICROSOFT-CDO-BUSYSTATUS") == written


def test_an_entry_without_a_title_says_busy():
    assert lines_of(feed_of(row(title="")), "SUMMARY") == ["SUMMARY:Busy"]


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://meet.example/a?b=c,d;e#f", ["URL:https://meet.example/a?b=c,d;e#f"]),
        ("https://meet.example/straße", ["URL:https://meet.example/stra%C3%9Fe"]),
        ("javascript:alert(1)", []),
        ("https://", []),
        ("https://[broken", []),
        ("integrations:daily", []),
    ],
)
def test_only_web_addresses_become_urls(url, written):
    assert lines_of(feed_of(row(url=url)), "URL") == written


def test_a_meeting_and_the_copies_of_it_that_calendars_report_appear_once():
    meeting = row(uid="booking@cal.com", title="meeting", meeting_key="5a", updated_at=datetime(2026, 1, 1, tzinfo=UTC))
    in_google = row(uid="booking@cal.com", title="copy", origin_id=1, external_event_id="g", sequence=9)
    in_apple = row(uid="booking@cal.com", title="copy", origin_id=2, external_event_id="a")

    feed = feed_of(in_google, meeting, in_apple)

    assert lines_of(feed, "SUMMARY") == ["SUMMARY:meeting"]


def test_of_two_mirrored_copies_the_busy_one_is_shown():
    declined = row(uid="x", title="declined", origin_id=1, fbtype="free", sequence=5)
    accepted = row(uid="x", title="accepted", origin_id=2)

    assert lines_of(feed_of(declined, accepted), "SUMMARY") == ["SUMMARY:accepted"]


def test_a_master_is_shown_rather_than_another_calendars_single_override():
    override = row("2026-03-09T11:00:00", uid="x", title="invited once", origin_id=1, recurrence_id="20260309T090000Z")
    master = row("2026-03-02T09:00:00", uid="x", title="series", origin_id=2, recurrence_rule="FREQ=WEEKLY;COUNT=3")

    assert lines_of(feed_of(override, master), "SUMMARY") == ["SUMMARY:series"]


def test_blocks_made_by_hand_are_never_taken_for_copies():
    feed = feed_of(row(uid="same", title="one"), row("2026-03-16T14:00:00", uid="same", title="two"))

    assert sorted(lines_of(feed, "SUMMARY")) == ["SUMMARY:one", "SUMMARY:two"]
    assert len(set(lines_of(feed, "UID"))) == 2


@pytest.mark.parametrize(
    "poison",
    [
        {"recurrence_rule": "FREQ=MINUTELY"},
        {"recurrence_rule": "FREQ=DAILY\r\nX-EVIL:1"},
        {"recurrence_rule": "FREQ=DAILY", "time_zone": "Mars/Olympus"},
        {"recurrence_rule": "FREQ=DAILY", "exdates": ["not a date"]},
        {"recurrence_rule": "FREQ=DAILY", "exdates": [None]},
        {"recurrence_rule": "FREQ=DAILY", "local_start": "20269999T999999"},
        {"start_time": None},
        {"title": None},
        {"rdates": 5},
    ],
)
def test_a_row_that_cannot_be_written_is_left_out_and_logged_by_its_id_alone(poison):
    bad = row(title="a secret", uid="bad")._replace(**poison)

    with structlog.testing.capture_logs() as logs:
        feed = feed_of(row(title="before"), bad, row(title="after"))

    assert lines_of(feed, "SUMMARY") == ["SUMMARY:before", "SUMMARY:after"]
    assert [(log["event"], log["row"]) for log in logs] == [("feed_entry_skipped", str(bad.unique_id))]
    assert set(logs[0]) == {"event", "row", "error", "log_level"}


def test_an_unknown_zone_costs_a_single_entry_nothing():
    assert lines_of(feed_of(row("2026-03-15T14:00:00", time_zone="Mars/Olympus")), "DTSTART") == [
        "DTSTART:20260315T140000Z"
    ]


def test_the_same_rows_give_the_same_bytes():
    rows = [row("2026-03-15T14:00:00", time_zone="Europe/Berlin"), row(recurrence_rule="FREQ=DAILY", uid="s")]

    assert feed_of(*rows) == feed_of(*rows)


def test_the_feed_says_how_often_to_come_back_and_is_no_scheduling_message():
    text = unfolded(feed_of(row()))

    assert "REFRESH-INTERVAL;VALUE=DURATION:PT300S\r\n" in text
    assert "X-PUBLISHED-TTL:PT300S\r\n" in text
    assert "METHOD" not in text
    assert "CALSCALE:GREGORIAN\r\n" in text
    assert "NAME:Calendar\r\nX-WR-CALNAME:Calendar\r\n" in text


def test_ten_thousand_entries_are_ten_thousand_events_under_as_many_uids():
    start = datetime(2026, 1, 1)
    rows = [row((start + timedelta(hours=hour)).isoformat()) for hour in range(10_000)]

    uids = lines_of(feed_of(*rows), "UID")

    assert len(uids) == len(set(uids)) == 10_000
