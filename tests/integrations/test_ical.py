"""From text to entries: nothing the ledger needs is lost, and nothing that cannot be understood is guessed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from busyblocks.entries import Entry, folded_id
from integrations.ical import LARGEST_OBJECT_BYTES, NotUnderstood, Reader
from tests.contracts.contract import calendar_object, component, event

CORPUS = Path(__file__).parent.parent / "corpus"
READER = Reader(owner_email="alice@acme.example", time_zone="Europe/Berlin")


def read(text: str, reader: Reader = READER) -> tuple[Entry, ...]:
    return reader.entries(text, external_event_id="one.ics", etag='"1"')


def one(*lines: str, reader: Reader = READER) -> Entry:
    (entry,) = read(event("u", *lines), reader)
    return entry


def corpus(name: str) -> tuple[Entry, ...]:
    return read((CORPUS / f"{name}.ics").read_bytes().decode())


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


# Start and end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        pytest.param(("DTSTART:20260320T090000Z",), utc(2026, 3, 20, 9), utc(2026, 3, 20, 9), id="no end: an instant"),
        pytest.param(
            ("DTSTART:20260320T090000Z", "DTEND:20260320T100000Z"), utc(2026, 3, 20, 9), utc(2026, 3, 20, 10), id="UTC"
        ),
        pytest.param(
            ("DTSTART;TZID=America/New_York:20260320T090000", "DTEND;TZID=Europe/Berlin:20260320T150000"),
            utc(2026, 3, 20, 13),
            utc(2026, 3, 20, 14),
            id="each end in its own zone",
        ),
        pytest.param(
            ("DTSTART:20260320T090000", "DTEND:20260320T100000"),
            utc(2026, 3, 20, 8),
            utc(2026, 3, 20, 9),
            id="floating: the calendar's zone",
        ),
        pytest.param(("DTSTART;VALUE=DATE:20260320",), utc(2026, 3, 20), utc(2026, 3, 21), id="a date lasts a day"),
        pytest.param(
            ("DTSTART;VALUE=DATE:20260320", "DTEND;VALUE=DATE:20260320"),
            utc(2026, 3, 20),
            utc(2026, 3, 21),
            id="a date that ends where it starts, too",
        ),
        pytest.param(("DTSTART:20260515",), utc(2026, 5, 15), utc(2026, 5, 16), id="a date without VALUE=DATE"),
        pytest.param(
            ("DTSTART;VALUE=DATE:20260320T000000", "DTEND;VALUE=DATE:20260322T000000"),
            utc(2026, 3, 20),
            utc(2026, 3, 22),
            id="a date written as its midnight",
        ),
        pytest.param(
            ("DTSTART;VALUE=DATE:20260320", "DURATION:P1W"), utc(2026, 3, 20), utc(2026, 3, 27), id="a week of dates"
        ),
        pytest.param(
            ("DTSTART;VALUE=DATE:20260320", "DURATION:PT48H"), utc(2026, 3, 20), utc(2026, 3, 22), id="days in hours"
        ),
        pytest.param(
            ("DTSTART;TZID=Europe/Berlin:20260328T120000", "DURATION:P1D"),
            utc(2026, 3, 28, 11),
            utc(2026, 3, 29, 10),
            id="a day across the change of clocks lasts 23 hours",
        ),
        pytest.param(
            ("DTSTART;TZID=Europe/Berlin:20260328T120000", "DURATION:PT24H"),
            utc(2026, 3, 28, 11),
            utc(2026, 3, 29, 11),
            id="24 hours last 24 hours",
        ),
        pytest.param(
            ("DTSTART;TZID=Europe/Berlin:20260329T023000",),
            utc(2026, 3, 29, 1, 30),
            utc(2026, 3, 29, 1, 30),
            id="a time in the gap moves forward by the gap",
        ),
        pytest.param(
            ("DTSTART;TZID=Europe/Berlin:20261025T023000",),
            utc(2026, 10, 25, 0, 30),
            utc(2026, 10, 25, 0, 30),
            id="of a time that happens twice the first",
        ),
        pytest.param(
            ("DTSTART;TZID=Europe/Berlin:20260320T090000Z",),
            utc(2026, 3, 20, 9),
            utc(2026, 3, 20, 9),
            id="Z beside a TZID is UTC",
        ),
        pytest.param(
            ("DTSTART:20161231T235960Z", "DTEND:20170101T000000Z"),
            utc(2016, 12, 31, 23, 59, 59),
            utc(2017, 1, 1),
            id="a leap second is the second before it",
        ),
        pytest.param(
            ("DTSTART;VALUE=DATE:16040229",), utc(1604, 2, 29), utc(1604, 3, 1), id="a birthday without a year"
        ),
    ],
)
def test_when_it_is(lines: tuple[str, ...], start: datetime, end: datetime) -> None:
    entry = one(*lines)
    assert (entry.start_time, entry.end_time) == (start, end)
    assert entry.start_time.tzinfo is UTC


@pytest.mark.parametrize(
    ("line", "zone", "wall", "all_day"),
    [
        pytest.param("DTSTART:20260320T090000Z", "UTC", "", False, id="UTC has no wall time of its own"),
        pytest.param("DTSTART;TZID=Asia/Tokyo:20260320T090000", "Asia/Tokyo", "20260320T090000", False, id="a zone"),
        pytest.param("DTSTART:20260320T090000", "Europe/Berlin", "20260320T090000", False, id="floating"),
        pytest.param(
            "DTSTART;TZID=Europe/Berlin:20260329T023000", "Europe/Berlin", "20260329T023000", False, id="in a gap, too"
        ),
        pytest.param("DTSTART;VALUE=DATE:20260320", "Europe/Berlin", "", True, id="a date has no wall time"),
    ],
)
def test_where_it_is_written(line: str, zone: str, wall: str, all_day: bool) -> None:
    entry = one(line)
    assert (entry.time_zone, entry.local_start, entry.all_day) == (zone, wall, all_day)


def test_calendar_without_a_zone_reads_floating_times_in_utc() -> None:
    entry = one("DTSTART:20260320T090000", reader=Reader())
    assert (entry.start_time, entry.time_zone) == (utc(2026, 3, 20, 9), "UTC")


def test_event_that_starts_in_the_gap_keeps_its_length() -> None:
    (entry,) = corpus("start-in-the-gap-of-the-clock")
    assert entry.end_time - entry.start_time == timedelta(minutes=45)


@pytest.mark.parametrize(
    ("duration", "kept"),
    [("PT45M", "PT45M"), ("p1dt2h", "P1DT2H"), ("+PT1H30M15S", "+PT1H30M15S"), ("P2W", "P2W")],
)
def test_duration_is_kept_as_it_was_written(duration: str, kept: str) -> None:
    assert one("DTSTART:20260320T090000Z", f"DURATION:{duration}").duration == kept


# Facts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "fbtype"),
    [
        pytest.param((), "busy", id="nothing said: busy"),
        pytest.param(("TRANSP:TRANSPARENT",), "free", id="transparent"),
        pytest.param(("TRANSP:OPAQUE",), "busy", id="opaque"),
        pytest.param(("STATUS:TENTATIVE",), "busy-tentative", id="tentative"),
        pytest.param(("STATUS:CANCELLED",), "free", id="cancelled"),
        pytest.param(("STATUS:NO-SUCH-WORD",), "busy", id="a status nobody knows is confirmed"),
        pytest.param(("X-MICROSOFT-CDO-BUSYSTATUS:OOF",), "busy-unavailable", id="out of office"),
        pytest.param(("X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE",), "busy-tentative", id="Outlook's tentative"),
        pytest.param(("X-MICROSOFT-CDO-BUSYSTATUS:FREE",), "free", id="Outlook's free"),
        pytest.param(("X-MICROSOFT-CDO-BUSYSTATUS:WORKINGELSEWHERE",), "free", id="working elsewhere"),
        pytest.param(("X-MICROSOFT-CDO-BUSYSTATUS:BUSY",), "busy", id="Outlook's busy"),
        pytest.param(("X-MICROSOFT-CDO-BUSYSTATUS:BUSY", "TRANSP:TRANSPARENT"), "free", id="TRANSP says free"),
        pytest.param(("ATTENDEE;PARTSTAT=ACCEPTED:mailto:alice@acme.example",), "busy", id="accepted"),
        pytest.param(("ATTENDEE;PARTSTAT=DECLINED:MAILTO:Alice@ACME.example",), "free", id="declined, in any case"),
        pytest.param(("ATTENDEE;PARTSTAT=TENTATIVE:mailto:alice@acme.example",), "busy-tentative", id="perhaps"),
        pytest.param(("ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:alice@acme.example",), "busy-tentative", id="none yet"),
        pytest.param(("ATTENDEE:mailto:alice@acme.example",), "busy", id="an attendee of whom nothing is said"),
        pytest.param(("ATTENDEE;PARTSTAT=DECLINED:mailto:notalice@acme.example",), "busy", id="a longer address"),
        pytest.param(
            ("ORGANIZER:mailto:alice@acme.example", "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:alice@acme.example"),
            "busy",
            id="the organizer comes without being asked",
        ),
        pytest.param(
            ("ORGANIZER:mailto:alice@acme.example", "ATTENDEE;PARTSTAT=DECLINED:mailto:alice@acme.example"),
            "free",
            id="unless the organizer declined",
        ),
    ],
)
def test_how_it_counts_in_free_busy(lines: tuple[str, ...], fbtype: str) -> None:
    assert one("DTSTART:20260320T090000Z", *lines).fbtype == fbtype


@pytest.mark.parametrize(
    ("line", "classification"),
    [
        ("CLASS:PUBLIC", "public"),
        ("CLASS:confidential", "confidential"),
        ("CLASS:PRIVATE", "private"),
        pytest.param("CLASS:X-SECRET", "private", id="what nobody knows is private (RFC 5545 §3.8.1.3)"),
    ],
)
def test_who_may_read_it(line: str, classification: str) -> None:
    assert one("DTSTART:20260320T090000Z", line).classification == classification


def test_text_is_unescaped_and_unfolded() -> None:
    (entry,) = corpus("quoted-parameters-with-colons-and-folded-lines")
    assert entry.title.startswith("A title that is long enough to be folded in the middle of a word, with a comma; ")
    assert entry.title.endswith("; a semicolon, a backslash \\ and\ta tab")
    assert entry.description == "First line\nsecond line\nthird"
    assert entry.fbtype == "busy-tentative"


def test_property_of_an_alarm_is_not_the_events() -> None:
    (entry,) = corpus("quoted-parameters-with-colons-and-folded-lines")
    assert entry.start_time == utc(2026, 7, 14, 8)


def test_control_characters_are_dropped_and_strange_line_ends_are_blanks() -> None:
    (entry,) = corpus("control-characters-in-text")
    assert entry.title == "nul vt ff crnel  ls end"


def test_long_text_is_cut_with_an_ellipsis() -> None:
    entry = one("DTSTART:20260320T090000Z", f"SUMMARY:{'t' * 5_000}", f"DESCRIPTION:{'d' * 100_000}")
    assert (len(entry.title), entry.title[-1]) == (2_000, "…")
    assert (len(entry.description), entry.description[-1]) == (65_536, "…")


@pytest.mark.parametrize(("text", "sequence"), [("7", 7), ("x", 0), ("-1", 0), ("99999999999", 2**31 - 1)])
def test_sequence_fits_its_column(text: str, sequence: int) -> None:
    assert one("DTSTART:20260320T090000Z", f"SEQUENCE:{text}").sequence == sequence


def test_long_uid_and_etag_are_folded() -> None:
    (entry,) = READER.entries(event("u" * 600, "DTSTART:20260320T090000Z"), external_event_id="x", etag="e" * 300)
    assert entry.uid == folded_id("u" * 600)
    assert len(entry.etag) == 65


def test_iclouds_attendee_is_known_by_its_email_parameter() -> None:
    assert corpus("icloud-attendee-by-parameter")[0].fbtype == "free"


def test_outlooks_zone_and_status() -> None:
    (entry,) = corpus("outlook-windows-zone-names")
    assert (entry.time_zone, entry.fbtype, entry.classification) == ("Europe/Berlin", "busy-unavailable", "private")


def test_zone_of_the_senders_own_is_found_out() -> None:
    (entry,) = corpus("zone-of-the-senders-own-that-is-really-new-york")
    assert (entry.time_zone, entry.start_time) == ("America/New_York", utc(2026, 7, 14, 14))


# Series -----------------------------------------------------------------------------------------------------------


def test_series_with_every_kind_of_date() -> None:
    master, override = corpus("series-with-every-kind-of-date")
    assert master.recurrence_rule == "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE;UNTIL=20260601T130000Z"
    assert master.rdates == (
        "20260401T160000Z",
        "20260402T160000Z",
        "20260403",
        "20260404T120000Z/20260404T130000Z",
        "20260405T120000Z/20260405T140000Z",
    )
    assert master.exdates == ("20260316T130000Z", "20260318T130000Z")
    assert (override.recurrence_id, override.this_and_future) == ("20260504T130000Z", True)
    assert override.start_time == utc(2026, 5, 4, 14)


def test_exceptions_of_dates_are_dates_however_they_are_written() -> None:
    master, override = read(
        calendar_object(
            component("u", "DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=DAILY", "EXDATE;TZID=Asia/Tokyo:20260304T000000"),
            component("u", "RECURRENCE-ID;TZID=Asia/Tokyo:20260306T000000", "DTSTART:20260306T090000Z"),
        )
    )
    assert master.exdates == ("20260304",)
    assert override.recurrence_id == "20260306"


def test_instance_named_without_a_zone_is_named_in_its_masters() -> None:
    master, override = read(
        calendar_object(
            component("u", "DTSTART;TZID=Asia/Tokyo:20260302T090000", "RRULE:FREQ=DAILY", "EXDATE:20260304T090000"),
            component("u", "RECURRENCE-ID:20260306T090000", "DTSTART:20260306T120000Z"),
        )
    )
    assert master.exdates == ("20260304T000000Z",)
    assert override.recurrence_id == "20260306T000000Z"


def test_cancelled_instance_needs_no_start() -> None:
    _, cancelled = corpus("cancelled-instance-without-start")
    assert (cancelled.recurrence_id, cancelled.status) == ("20260303T080000Z", "cancelled")


def test_override_without_its_master_stands_alone() -> None:
    (entry,) = read(
        calendar_object(
            component("u", "RECURRENCE-ID:20260306T090000Z", "DTSTART:20260306T120000Z", "RRULE:FREQ=DAILY")
        )
    )
    assert (entry.recurrence_id, entry.recurring) == ("20260306T090000Z", False)


def test_of_several_versions_the_latest_counts_in_whatever_order_they_stand() -> None:
    text = (CORPUS / "same-event-three-times.ics").read_bytes().decode()
    head, *events = text.split("BEGIN:VEVENT")
    events[-1], tail = events[-1].split("END:VCALENDAR")
    for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0)):
        shuffled = head + "".join("BEGIN:VEVENT" + events[place] for place in order) + "END:VCALENDAR" + tail
        assert [entry.title for entry in read(shuffled)] == ["Third"]


def test_of_two_versions_of_an_instance_the_latest_counts() -> None:
    instance = ("RECURRENCE-ID:20260306T090000Z", "DTSTART:20260306T120000Z")
    (entry,) = read(
        calendar_object(
            component("u", *instance, "SEQUENCE:10", "SUMMARY:After"), component("u", *instance, "SEQUENCE:9")
        )
    )
    assert entry.title == "After"


def test_tasks_and_journals_are_no_events_and_no_failure() -> None:
    assert corpus("task-and-journal-only") == ()


# What is not understood -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((), "It has no start."),
        (("DTSTART:tomorrow",), "'tomorrow' is not a time."),
        (("DTSTART:20260230T090000Z",), "'20260230T090000Z' is not a time."),
        (("DTSTART:20260320T250000Z",), "'20260320T250000Z' is not a time."),
        (("DTSTART:٢٠٢٦٠٣٢٠T090000Z",), "'٢٠٢٦٠٣٢٠T090000Z' is not a time."),
        (("DTSTART;VALUE=DATE:20260320T093000",), "'20260320T093000' is not a date, though it says so."),
        (("DTSTART:00010101T000000Z",), "It starts in the year 1."),
        (("DTSTART;VALUE=DATE:99991231",), "It starts in the year 9999."),
        (("DTSTART;TZID=Nowhere/Land:20260320T090000",), "Its time zone 'Nowhere/Land' is unknown and not described."),
        (("DTSTART;TZID=tzone://Microsoft/Custom:20260320T090000",), "is unknown and not described."),
        (("DTSTART;TZID=GMT+0200:20260320T090000",), "is unknown and not described."),
        (("DTSTART:20260320T090000Z", "DTEND:20260320T080000Z"), "It ends before it starts."),
        (("DTSTART:20260320T090000Z", "DTEND;VALUE=DATE:20260321"), "one is a date and the other a time"),
        (("DTSTART:20260320T090000Z", "DTEND:21600320T090000Z"), "It lasts more than 100 years."),
        (("DTSTART:20260320T090000Z", "DURATION:P999999W"), "lies outside the years"),
        (("DTSTART:20260320T090000Z", "DURATION:-PT1H"), "'-PT1H' is not a duration."),
        (("DTSTART:20260320T090000Z", "DURATION:PT"), "'PT' is not a duration."),
        (("DTSTART;VALUE=DATE:20260320", "DURATION:PT5H"), "a date that lasts a part of a day"),
        (("DTSTART:20260320T090000Z", "RRULE:FREQ=SECONDLY"), "SECONDLY is not supported"),
        (("DTSTART:20260320T090000Z", "RRULE:FREQ=MINUTELY"), "MINUTELY is not supported"),
        (("DTSTART:20260320T090000Z", "RRULE:FREQ=DAILY;INTERVAL=0"), "INTERVAL must be a whole number"),
        (("DTSTART:20260320T090000Z", "RRULE:RSCALE=HEBREW;FREQ=YEARLY"), "RSCALE"),
        (("DTSTART:20260320T090000Z", "RRULE:nonsense"), "is not a part of an RFC 5545 rule"),
        (("DTSTART:20260320T090000Z", "RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"), "by several rules at once"),
        (("DTSTART:20260320T090000Z", "RRULE:FREQ=DAILY", "EXRULE:FREQ=DAILY"), "by several rules at once"),
        (("DTSTART:20260320T090000Z", "DTEND:20300320T090000Z", "RRULE:FREQ=DAILY"), "more than two years"),
        (("DTSTART:20260320T090000Z", "RDATE;VALUE=PERIOD:20260320T090000Z/20250101T000000Z"), "periods is none"),
        (("DTSTART:20260320T090000Z", f"EXDATE:{','.join(['20260320T090000Z'] * 5_001)}"), "more than 5000 dates"),
        (("DTSTART:20260320T090000Z", "RECURRENCE-ID;RANGE=THISANDPRIOR:20260320T090000Z"), "THISANDPRIOR"),
    ],
)
def test_what_is_withheld_says_why(lines: tuple[str, ...], reason: str) -> None:
    with pytest.raises(NotUnderstood) as withheld:
        one(*lines)
    assert reason in withheld.value.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "It is not an iCalendar object.", id="nothing"),
        pytest.param("<html>Please sign in</html>", "It is not an iCalendar object.", id="a web page"),
        pytest.param("BEGIN:VCARD\r\nEND:VCARD\r\n", "It is not an iCalendar object.", id="an address"),
        pytest.param(event("u", "DTSTART:20260320T090000Z")[:-17], "It is cut off.", id="cut off at the end"),
        pytest.param("BEGIN:VCALENDAR\r\nBEGIN:VTIMEZONE\r\nTZID:x\r\n", "It is cut off.", id="cut off in a zone"),
        pytest.param(
            "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nEND:VCALENDAR\r\n", "do not nest", id="parts that do not nest"
        ),
        pytest.param(
            calendar_object(component("u", "DTSTART:20260320T090000Z"), component("v", "DTSTART:20260320T090000Z")),
            "It holds more than one event.",
            id="two events in one",
        ),
        pytest.param(" " * (LARGEST_OBJECT_BYTES + 1), "It is larger than 4 MiB.", id="too large"),
        pytest.param(
            calendar_object(*(component("u", f"RECURRENCE-ID:{day}", "DTSTART:20260320") for day in range(5_001))),
            "more than 5000 instances",
            id="too many instances",
        ),
    ],
)
def test_object_that_is_none_says_why(text: str, reason: str) -> None:
    with pytest.raises(NotUnderstood) as withheld:
        read(text)
    assert reason in withheld.value.reason


def test_series_in_a_zone_that_follows_no_known_rules_is_withheld_and_a_single_event_is_exact() -> None:
    zone = (
        "BEGIN:VTIMEZONE\r\nTZID:Odd\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\nTZOFFSETFROM:+0120\r\n"
        "TZOFFSETTO:+0120\r\nEND:STANDARD\r\nEND:VTIMEZONE"
    )
    start = "DTSTART;TZID=Odd:20260320T090000"
    (entry,) = read(calendar_object(zone, component("u", start)))
    assert (entry.start_time, entry.time_zone, entry.local_start) == (utc(2026, 3, 20, 7, 40), "UTC", "")
    with pytest.raises(NotUnderstood, match="no known rules"):
        read(calendar_object(zone, component("u", start, "RRULE:FREQ=DAILY")))


def test_line_that_is_none_is_passed_over() -> None:
    assert one("DTSTART:20260320T090000Z", "a line without a colon", "SUMMARY:Kept").title == "Kept"


def test_names_of_properties_and_components_may_be_in_any_case() -> None:
    (entry,) = read(event("u", "DTSTART;TZID=Europe/Berlin:20260320T090000", "SUMMARY:Kept").lower())
    assert (entry.title, entry.start_time) == ("kept", utc(2026, 3, 20, 8))
    assert one("dtstart:20260320T090000Z", "Summary:Kept").title == "Kept"


# Against icalendar, which reads and writes all of RFC 5545 -----------------------------------------------------------

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Africa/Casablanca",
]
texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\x85\u2028\u2029"), max_size=200
) | st.text(st.sampled_from('\n\t,;:\\"^ nN'), max_size=40)
walls = st.datetimes(datetime(1970, 1, 2), datetime(2037, 1, 1)).map(lambda wall: wall.replace(microsecond=0))
starts = st.one_of(
    walls.map(lambda wall: wall.replace(tzinfo=UTC)),
    st.tuples(walls, st.sampled_from(ZONES)).map(lambda pair: pair[0].replace(tzinfo=ZoneInfo(pair[1]))),
    walls,
    walls.map(lambda wall: wall.date()),
)


@given(
    title=texts,
    description=texts,
    uid=st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="\\,;"), min_size=1),
    start=starts,
    hours=st.integers(0, 100),
    sequence=st.integers(0, 1000),
    status=st.sampled_from(["CONFIRMED", "TENTATIVE", "CANCELLED"]),
    attendee=texts,
)
def test_what_icalendar_writes_is_read_without_loss(
    title: str, description: str, uid: str, start: Any, hours: int, sequence: int, status: str, attendee: str
) -> None:
    written = icalendar.Event()
    written.add("uid", uid)
    written.add("summary", title)
    written.add("description", description)
    written.add("dtstart", start)
    written.add("sequence", sequence)
    written.add("status", status)
    written.add("duration", timedelta(days=hours) if not isinstance(start, datetime) else timedelta(hours=hours))
    written.add("attendee", "mailto:bob@acme.example", parameters={"CN": attendee.replace("\n", " ")})
    calendar = icalendar.Calendar()
    calendar.add_component(written)
    (entry,) = read(calendar.to_ical().decode())

    if not isinstance(start, datetime):
        expected = datetime(start.year, start.month, start.day, tzinfo=UTC)
    else:
        expected = (start if start.tzinfo else start.replace(tzinfo=ZoneInfo("Europe/Berlin"))).astimezone(UTC)
    assert (entry.start_time, entry.all_day) == (expected, not isinstance(start, datetime))
    assert (entry.uid, entry.sequence, entry.status) == (uid.strip(), sequence, status.lower())
    assert entry.title == title.replace("\r\n", "\n")
    assert entry.description == description.replace("\r\n", "\n")


@pytest.mark.parametrize(
    "name",
    [
        "icloud-attendee-by-parameter",
        "outlook-windows-zone-names",
        "same-event-three-times",
        "series-with-every-kind-of-date",
        "start-in-the-gap-of-the-clock",
    ],
)
def test_icalendar_reads_the_same_instants_in_the_corpus(name: str) -> None:
    calendar = icalendar.Calendar.from_ical((CORPUS / f"{name}.ics").read_bytes())
    theirs = {part["DTSTART"].dt.astimezone(UTC) for part in calendar.walk("VEVENT")}
    assert {entry.start_time for entry in corpus(name)} <= theirs
