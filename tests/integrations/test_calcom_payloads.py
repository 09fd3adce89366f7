"""Reading deliveries: every envelope, every spelling, and rubbish."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

import pytest

from integrations.calcom import payloads
from integrations.calcom.errors import NotABooking, UnreadableBody
from integrations.calcom.payloads import Booking, Person
from tests.integrations.calcom import compact, delivery, sample

TEN = datetime(2026, 3, 20, 10, tzinfo=UTC)


def read(document: dict[str, Any]) -> Booking:
    return payloads.booking(payloads.envelope(compact(document)).payload)


@pytest.mark.parametrize(
    ("name", "uid", "start", "link"),
    [
        ("booking_created", None, "2024-01-01T10:00:00+00:00", None),
        ("booking_requested", None, "2024-01-01T13:00:00+00:00", None),
        (
            "booking_rescheduled",
            "new-booking-unique-id",
            "2024-01-10T14:30:00+00:00",
            "https://app.example.com/video/new-booking-unique-id",
        ),
        ("booking_cancelled", "unique-booking-identifier", "2024-01-04T10:00:00+00:00", ""),
        ("meeting_ended", "unique-booking-identifier", "2024-01-01T10:00:00+00:00", None),
    ],
)
def test_published_samples_are_read(name: str, uid: str | None, start: str, link: str | None) -> None:
    document = sample(name)
    booking = read(document)
    assert booking.start_time == datetime.fromisoformat(start)
    assert booking.uid == (uid or document["payload"]["uid"])
    assert link is None or booking.meeting_url == link


def test_reschedule_names_the_booking_that_it_replaces() -> None:
    assert read(sample("booking_rescheduled")).old_uid == "previous-booking-unique-id"


def test_reschedule_under_the_same_uid_replaces_nothing() -> None:
    assert read(delivery("BOOKING_RESCHEDULED", "a", rescheduleUid="a")).old_uid == ""


DOCUMENT = delivery("BOOKING_CREATED")
FLAT = {"triggerEvent": "BOOKING_CREATED", "createdAt": DOCUMENT["createdAt"], **DOCUMENT["payload"]}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(compact(DOCUMENT), id="nested"),
        pytest.param(json.dumps(DOCUMENT, indent=4).encode(), id="pretty"),
        pytest.param(compact(FLAT), id="flat, by a template"),
        pytest.param(b"\xef\xbb\xbf" + compact(DOCUMENT), id="with a byte order mark"),
        pytest.param(urlencode({"payload": compact(DOCUMENT).decode()}).encode(), id="form around JSON"),
        pytest.param(quote_plus(compact(DOCUMENT).decode()).encode(), id="form that is JSON"),
        pytest.param(
            urlencode(
                {
                    "triggerEvent": "BOOKING_CREATED",
                    "createdAt": DOCUMENT["createdAt"],
                    "payload": json.dumps(DOCUMENT["payload"]),
                }
            ).encode(),
            id="form with a JSON payload",
        ),
    ],
)
def test_every_envelope_holds_the_same_booking(body: bytes) -> None:
    envelope = payloads.envelope(body)
    assert envelope.trigger == "BOOKING_CREATED"
    assert envelope.said_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert payloads.booking(envelope.payload) == read(DOCUMENT)


def test_form_of_plain_fields_holds_a_booking() -> None:
    form = {"triggerEvent": "BOOKING_CREATED", "uid": "a", "title": "Call", "startTime": "2026-03-20T10:00:00Z"}
    booking = payloads.booking(payloads.envelope(urlencode(form).encode()).payload)
    assert (booking.uid, booking.title, booking.start_time) == ("a", "Call", TEN)


@pytest.mark.parametrize(
    "text",
    ["2026-03-20T10:00:00Z", "2026-03-20T10:00:00+00:00", "2026-03-20T10:00:00.000Z", "2026-03-20T11:00:00+01:00"],
)
def test_time_is_read_in_every_spelling(text: str) -> None:
    assert payloads.moment(text) == TEN


@pytest.mark.parametrize("value", [None, 7, "", "soon", "2026-02-30T10:00:00Z", "0001-01-01T00:00:00+23:00", ["x"], {}])
def test_what_is_no_time_is_none(value: Any) -> None:
    assert payloads.moment(value) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"null",
        b"42",
        b'{"triggerEvent": ""}',
        b'{"triggerEvent": 7}',
        b'{"payload": {}}',
        b'{"triggerEvent": "BOOKING_CREATED"',
        '{"triggerEvent": "Größe"}'.encode("latin-1"),
        b"\xff\xfe\x00\x01",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"1" * 100_000,
        b"&".join(b"a=b" for _ in range(2000)),
    ],
    ids=range(15),
)
def test_rubbish_is_unreadable_and_breaks_nothing(body: bytes) -> None:
    with pytest.raises(UnreadableBody):
        payloads.envelope(body)


@pytest.mark.parametrize(
    "rubbish", [None, 7, -1, 1.5, True, "x", "\0", "\ud800", [], [[]], [None], {}, {"a": {}}, 10**30]
)
@pytest.mark.parametrize(
    "name",
    [
        "uid",
        "rescheduleUid",
        "title",
        "endTime",
        "length",
        "organizer",
        "attendees",
        "responses",
        "metadata",
        "videoCallData",
        "location",
        "iCalUID",
        "iCalSequence",
        "seatsPerTimeSlot",
        "attendeeSeatId",
        "type",
        "description",
    ],
)
def test_field_of_the_wrong_type_counts_as_not_said(name: str, rubbish: Any) -> None:
    booking = payloads.booking({**DOCUMENT["payload"], name: rubbish})
    assert booking.start_time == TEN
    texts = (booking.uid, booking.title, booking.location, booking.ical_uid, booking.kind, booking.description)
    for text in texts:
        assert "\0" not in text
        text.encode()
    assert 0 <= (booking.sequence or 0) < 2**31


def test_booking_without_a_uid_gets_the_same_name_every_time() -> None:
    payload = {name: value for name, value in DOCUMENT["payload"].items() if name != "uid"}
    again = {**payload, "startTime": "2026-03-20T10:00:00.000+00:00", "description": "changed"}
    assert payloads.booking(payload).uid == payloads.booking(again).uid
    assert payloads.booking({**payload, "title": "Another"}).uid != payloads.booking(payload).uid


def test_payload_without_uid_and_start_is_no_booking() -> None:
    with pytest.raises(NotABooking):
        payloads.booking({"title": "Call"})


def test_very_long_uid_is_kept_by_its_digest() -> None:
    uid = read(delivery("BOOKING_CREATED", "u" * 300)).uid
    assert (uid.startswith("sha256:"), len(uid)) == (True, 71)


def test_end_that_is_not_said_follows_from_the_length() -> None:
    payload = {**DOCUMENT["payload"], "endTime": None, "length": 45}
    end = payloads.booking(payload).end_time
    assert end is not None
    assert (end - TEN).total_seconds() == 45 * 60


@pytest.mark.parametrize(
    ("facts", "link"),
    [
        (
            {"metadata": {"videoCallUrl": "https://a.example"}, "videoCallData": {"url": "https://b.example"}},
            "https://a.example",
        ),
        ({"videoCallData": {"url": "https://b.example"}, "location": "https://c.example"}, "https://b.example"),
        ({"location": "https://c.example"}, "https://c.example"),
        ({"location": "integrations:daily"}, ""),
        # The metadata is written by whoever books.
        ({"metadata": {"videoCallUrl": "javascript:alert(1)"}, "location": "Main Street 1"}, ""),
        ({"metadata": {"videoCallUrl": "https://a.example/\r\nX: y"}}, ""),
    ],
)
def test_join_link_is_taken_from_the_first_place_that_has_one(facts: dict[str, Any], link: str) -> None:
    assert read(delivery("BOOKING_CREATED", **facts)).meeting_url == link


def test_location_that_only_names_a_video_app_is_no_place() -> None:
    assert read(delivery("BOOKING_CREATED", location="integrations:daily")).location == ""
    assert read(delivery("BOOKING_CREATED", location="Main Street 1")).location == "Main Street 1"


def test_guests_named_by_the_booker_take_part() -> None:
    named = ["Guest@example.com", "alice@acme.example", "client@example.com", 7]
    attendees = read(
        delivery("BOOKING_CREATED", responses={"guests": {"label": "who else?", "value": named}})
    ).attendees
    assert attendees == (Person(email="client@example.com", name="Client"), Person(email="guest@example.com"))


@pytest.mark.parametrize(
    ("name", "zone"),
    [("Europe/Berlin", "Europe/Berlin"), ("Nowhere/At_All", "UTC"), ("../etc/passwd", "UTC"), (7, "UTC")],
)
def test_zone_that_does_not_exist_reads_as_utc(name: Any, zone: str) -> None:
    organizer = {"email": "alice@acme.example", "timeZone": name}
    assert read(delivery("BOOKING_CREATED", host=None, organizer=organizer)).time_zone == zone
