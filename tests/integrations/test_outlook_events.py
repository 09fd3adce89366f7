"""What Graph's events mean in the ledger."""

from datetime import UTC, datetime
from typing import Any

import pytest

from busyblocks.entries import Entry
from integrations.ical import NotUnderstood
from integrations.outlook.events import completed, entry_of, heritage, is_master, is_sparse


def item(**facts: Any) -> dict[str, Any]:
    """A plain event of an hour, with facts of the test's own."""
    return {
        "@odata.etag": 'W/"1"',
        "id": "event-1",
        "type": "singleInstance",
        "subject": "Lunch",
        "start": when("2026-03-20T12:00:00"),
        "end": when("2026-03-20T13:00:00"),
        "originalStartTimeZone": "UTC",
        "showAs": "busy",
        "sensitivity": "normal",
        **facts,
    }


def when(text: str, zone: str = "UTC") -> dict[str, str]:
    return {"dateTime": f"{text}.0000000", "timeZone": zone}


def entry(**facts: Any) -> Entry:
    return entry_of(item(**facts))


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "fbtype", "transparency", "status"),
    [
        pytest.param({"showAs": "busy"}, "busy", "opaque", "confirmed", id="busy is busy"),
        pytest.param({"showAs": "free"}, "free", "transparent", "confirmed", id="free is free"),
        pytest.param({"showAs": "tentative"}, "busy-tentative", "opaque", "tentative", id="tentative is tentative"),
        pytest.param({"showAs": "oof"}, "busy-unavailable", "opaque", "confirmed", id="out of office is unavailable"),
        pytest.param({"showAs": "workingElsewhere"}, "free", "transparent", "confirmed", id="elsewhere one has time"),
        pytest.param({"showAs": "unknown"}, "busy", "opaque", "confirmed", id="unknown is taken as busy"),
        pytest.param({"showAs": "napping"}, "busy", "opaque", "confirmed", id="a word of tomorrow is taken as busy"),
        pytest.param({"showAs": None}, "busy", "opaque", "confirmed", id="no word is taken as busy"),
        pytest.param({"isCancelled": True}, "free", "opaque", "cancelled", id="what is cancelled is free"),
        pytest.param(
            {"isCancelled": True, "showAs": "oof"}, "free", "opaque", "cancelled", id="also when it was unavailable"
        ),
        pytest.param(
            {"responseStatus": {"response": "declined"}}, "free", "opaque", "confirmed", id="what they declined is free"
        ),
        pytest.param(
            {"responseStatus": {"response": "tentativelyAccepted"}, "showAs": "busy"},
            "busy",
            "opaque",
            "confirmed",
            id="who says perhaps and shows busy, is busy",
        ),
        pytest.param({"responseStatus": None}, "busy", "opaque", "confirmed", id="no answer decides nothing"),
    ],
)
def test_time_that_an_event_takes(facts: dict[str, Any], fbtype: str, transparency: str, status: str) -> None:
    found = entry(**facts)
    assert (found.fbtype, found.transparency, found.status) == (fbtype, transparency, status)


@pytest.mark.parametrize(
    ("sensitivity", "classification"),
    [
        ("normal", "public"),
        ("personal", "private"),
        ("private", "private"),
        ("confidential", "confidential"),
        ("secret-of-tomorrow", "private"),
        (None, "public"),
    ],
)
def test_sensitivity_decides_who_may_read_more(sensitivity: str | None, classification: str) -> None:
    assert entry(sensitivity=sensitivity).classification == classification


def test_times_come_with_seven_decimals_and_without_offset() -> None:
    found = entry(start={"dateTime": "2026-03-20T12:00:00.1234567", "timeZone": "UTC"})
    assert found.start_time == utc(2026, 3, 20, 12)


@pytest.mark.parametrize(
    ("written_in", "zone", "wall"),
    [
        pytest.param("W. Europe Standard Time", "Europe/Berlin", "20260320T130000", id="Windows' name"),
        pytest.param("America/New_York", "America/New_York", "20260320T080000", id="IANA's name"),
        pytest.param("tzone://Microsoft/Utc", "UTC", "", id="Exchange's name of UTC"),
        pytest.param(
            "tzone://Microsoft/Custom", "UTC", "", id="a zone of the sender's own, while the instant is known"
        ),
        pytest.param("Nowhere Standard Time", "UTC", "", id="a name that nobody knows, while the instant is known"),
        pytest.param(None, "UTC", "", id="no name"),
    ],
)
def test_instant_stands_beside_the_zone_that_the_event_was_written_in(
    written_in: str | None, zone: str, wall: str
) -> None:
    found = entry(originalStartTimeZone=written_in)
    assert found.start_time == utc(2026, 3, 20, 12)
    assert (found.time_zone, found.local_start) == (zone, wall)


def test_time_that_is_told_in_another_zone_after_all_is_reckoned_in_it() -> None:
    zone = "Eastern Standard Time"
    found = entry(start=when("2026-03-20T08:00:00", zone), end=when("2026-03-20T09:00:00", zone))
    assert (found.start_time, found.end_time) == (utc(2026, 3, 20, 12), utc(2026, 3, 20, 13))


@pytest.mark.parametrize("name", ["start", "end"])
@pytest.mark.parametrize("zone", ["tzone://Microsoft/Custom", "Nowhere Standard Time"])
def test_time_told_in_a_zone_that_cannot_be_known_is_not_guessed(name: str, zone: str) -> None:
    with pytest.raises(NotUnderstood, match="time zone"):
        entry(**{name: when("2026-03-20T12:30:00", zone)})


@pytest.mark.parametrize("zone", ["UTC", "Tokyo Standard Time", "Pacific Standard Time", "tzone://Microsoft/Custom"])
def test_all_day_event_is_dates_that_no_zone_shifts(zone: str) -> None:
    found = entry(
        isAllDay=True,
        start=when("2026-03-20T00:00:00", zone),
        end=when("2026-03-22T00:00:00", zone),
        originalStartTimeZone=zone,
    )
    assert found.all_day
    assert (found.start_time, found.end_time) == (utc(2026, 3, 20), utc(2026, 3, 22))
    assert (found.time_zone, found.local_start) == ("UTC", "")


def test_all_day_event_that_somebody_shifted_to_utc_is_shifted_back() -> None:
    found = entry(
        isAllDay=True,
        start=when("2026-03-19T23:00:00"),
        end=when("2026-03-20T23:00:00"),
        originalStartTimeZone="W. Europe Standard Time",
    )
    assert (found.start_time, found.end_time) == (utc(2026, 3, 20), utc(2026, 3, 21))


@pytest.mark.parametrize("written_in", ["UTC", "tzone://Microsoft/Custom", "W. Europe Standard Time"])
def test_all_day_event_that_starts_at_noon_is_not_guessed(written_in: str) -> None:
    with pytest.raises(NotUnderstood, match="midnight"):
        entry(isAllDay=True, start=when("2026-03-20T12:00:00"), originalStartTimeZone=written_in)


def test_all_day_event_without_length_lasts_its_day() -> None:
    midnight = when("2026-03-20T00:00:00")
    assert entry(isAllDay=True, start=midnight, end=midnight).end_time == utc(2026, 3, 21)


def test_nulls_are_nothing() -> None:
    names = ("subject", "bodyPreview", "iCalUId", "seriesMasterId", "location", "responseStatus", "isAllDay")
    found = entry(**dict.fromkeys(names))
    assert (found.title, found.description, found.uid, found.series_id, found.location) == ("", "", "", "", "")


def test_texts_are_kept_without_what_calendars_cannot_carry() -> None:
    found = entry(
        subject="Lunch\0 \ud83d with\x0b Bob\u2028now", bodyPreview="One\r\nTwo", location={"displayName": "Room 1"}
    )
    assert (found.title, found.description, found.location) == ("Lunch  with Bob now", "One\nTwo", "Room 1")


def test_long_title_is_cut() -> None:
    assert len(entry(subject="x" * 5000).title) == 2000


def test_entry_carries_the_vendors_ids_and_version() -> None:
    found = entry(seriesMasterId="series-1", iCalUId="uid-1")
    assert (found.external_event_id, found.series_id, found.uid, found.etag) == (
        "event-1",
        "series-1",
        "uid-1",
        'W/"1"',
    )


def test_ids_too_long_for_the_ledger_are_folded_alike() -> None:
    long = "x" * 600
    found = entry(id=long, seriesMasterId=long)
    assert len(found.external_event_id) == 512
    assert found.series_id == found.external_event_id


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param({"start": None}, id="no start"),
        pytest.param({"start": {"dateTime": None, "timeZone": "UTC"}}, id="a start that is null"),
        pytest.param({"start": {"dateTime": "soon", "timeZone": "UTC"}}, id="a start that is no time"),
        pytest.param({"start": when("2026-02-30T12:00:00")}, id="a day that there is not"),
        pytest.param({"start": when("2026-03-20T14:00:00")}, id="an end before the start"),
        pytest.param({"start": when("0001-01-01T00:00:00")}, id="Exchange's year of nothing"),
        pytest.param({"end": when("9999-12-31T00:00:00")}, id="a length of thousands of years"),
    ],
)
def test_what_makes_no_sense_is_not_guessed(facts: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        entry(**facts)


def test_series_is_told_by_its_type_or_its_recurrence() -> None:
    assert is_master({"type": "seriesMaster"})
    assert is_master({"recurrence": {"pattern": {}}})
    assert not is_master({"type": "occurrence", "seriesMasterId": "series-1"})
    assert not is_master({"recurrence": None})


def test_occurrence_takes_from_its_series_what_it_does_not_say() -> None:
    master = item(
        type="seriesMaster", subject="Standup", showAs="tentative", sensitivity="private", location={"displayName": "A"}
    )
    bare = {
        "id": "occurrence-1",
        "type": "occurrence",
        "seriesMasterId": "series-1",
        "start": when("2026-03-27T12:00:00"),
        "end": when("2026-03-27T12:30:00"),
    }
    assert is_sparse(bare)
    found = entry_of(completed(bare, heritage(master)))
    assert (found.title, found.fbtype, found.classification, found.location) == (
        "Standup",
        "busy-tentative",
        "private",
        "A",
    )
    assert (found.start_time, found.end_time) == (utc(2026, 3, 27, 12), utc(2026, 3, 27, 12, 30))
    assert (found.external_event_id, found.etag) == ("occurrence-1", 'W/"1"')


def test_occurrence_keeps_what_it_says_itself_even_if_that_is_nothing() -> None:
    own = item(type="exception", seriesMasterId="series-1", subject=None, showAs="free")
    del own["sensitivity"]
    found = entry_of(completed(own, heritage(item(subject="Standup", sensitivity="private"))))
    assert (found.title, found.fbtype, found.classification) == ("", "free", "private")
