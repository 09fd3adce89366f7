"""Reading what Cal.com sends: one tolerant reader for every envelope and spelling.

Nearly everything in a delivery is optional, users may send their own template (then the payload lies flat in the
body, and the content type may be a form's), and the metadata is anybody's. So: parse by content, believe types only
after looking, and keep nothing that a database refuses.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from django.utils.dateparse import parse_datetime

from busyblocks import zones
from busyblocks.errors import UnknownZone
from integrations.calcom.errors import NotABooking, UnreadableBody

# Longest uid that is kept as it is; longer ones by digest.
_UID_LENGTH = 255
_TRIGGER_LENGTH = 64
_FORM_FIELDS = 1000
# Each escape costs two hundred bytes while a form is decoded; a megabyte of them would cost two hundred.
_FORM_ESCAPES = 200_000
_TEXT_LENGTH = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A delivery before its meaning: the trigger, when Cal.com said it (None: it did not say), and what of."""

    trigger: str
    said_at: datetime | None
    payload: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody in a booking; `email` in lower case."""

    email: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booking:
    """A booking as one delivery tells it. Times are aware, UTC; e-mails lower case; "" and None: not said.

    uid: its name at Cal.com, or one derived from its content. old_uid: of the booking that this one replaces.
    hosts: the organizer first, then the team. attendees: the booker first, without hosts; None: not said.
    seat: it tells of one attendee's seat only; seats: it has seats, so that each message tells of one of them.
    no_shows: who was absent (True) or was not after all.
    series: the same text for bookings that may be occurrences of one series; "" for one that recurs in none.
    """

    uid: str
    old_uid: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    time_zone: str = "UTC"
    title: str = ""
    description: str = ""
    location: str = ""
    meeting_url: str = ""
    kind: str = ""
    ical_uid: str = ""
    sequence: int | None = None
    status: str = ""
    organizer: Person | None = None
    hosts: tuple[Person, ...] = ()
    attendees: tuple[Person, ...] | None = None
    seat: bool = False
    seats: bool = False
    no_shows: tuple[tuple[str, bool], ...] = ()
    recording_url: str = ""
    transcript_url: str = ""
    reason: str = ""
    series: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutOfOffice:
    """Somebody is away. `email` in lower case; all_day: whole dates, 00:00 UTC of the first and after the last."""

    uid: str
    email: str
    start_time: datetime
    end_time: datetime
    all_day: bool
    title: str


def envelope(body: bytes) -> Envelope:
    """What the raw body holds, whatever its content type claims; raises `UnreadableBody` with the reason."""
    document = _object(body)
    trigger = _text(document.get("triggerEvent")).strip()
    if not trigger:
        raise UnreadableBody("The body names no triggerEvent.")
    payload = document.get("payload")
    return Envelope(
        trigger=trigger[:_TRIGGER_LENGTH],
        said_at=moment(document.get("createdAt")),
        payload=payload if isinstance(payload, dict) else document,
    )


def booking(payload: dict[str, Any]) -> Booking:
    """The booking in a payload; raises `NotABooking` when neither a uid nor a start names one."""
    start = moment(payload.get("startTime"))
    listed = payload.get("attendees")
    people = tuple(_people(listed))
    uid = _uid(payload.get("uid")) or _uid(payload.get("bookingUid"))
    title = _text(payload.get("title")) or _text(payload.get("eventTitle"))
    if not uid:
        if start is None:
            raise NotABooking("It has neither a uid nor a startTime.")
        uid = _derived_uid(start, title, people)
    hosts = _hosts(payload)
    old_uid = _uid(payload.get("rescheduleUid")) or _uid(payload.get("fromReschedule"))
    return Booking(
        uid=uid,
        # A seat may be rescheduled under the booking's own uid.
        old_uid="" if old_uid == uid else old_uid,
        start_time=start,
        end_time=_end(payload, start),
        time_zone=_zone(_inside(payload, "organizer", "timeZone") or _inside(payload, "user", "timeZone")),
        title=title,
        description=_text(payload.get("additionalNotes")) or _text(payload.get("description")),
        location=_place(payload.get("location")),
        meeting_url=_join_link(payload),
        kind=_text(payload.get("type"))[:255],
        ical_uid=_text(payload.get("iCalUID"))[:512],
        sequence=_count(payload["iCalSequence"]) if _is_whole(payload.get("iCalSequence")) else None,
        status=_text(payload.get("status")).strip().upper(),
        organizer=hosts[0] if hosts else None,
        hosts=hosts,
        attendees=_with_guests(people, payload, hosts) if isinstance(listed, list) else None,
        seat=bool(_text(payload.get("attendeeSeatId"))),
        seats=bool(_count(payload.get("seatsPerTimeSlot"))),
        no_shows=tuple(_no_shows(listed)),
        recording_url=_link(payload.get("downloadLink")) or _link(_inside(payload, "downloadLinks", "recording")),
        transcript_url=_transcript(_inside(payload, "downloadLinks", "transcription")),
        reason=_text(payload.get("cancellationReason")) or _text(payload.get("rejectionReason")),
        series=_series(payload, people, hosts),
    )


def absent_hosts(payload: dict[str, Any]) -> tuple[str, ...]:
    """The e-mails of the hosts who did not come to a Cal Video call: the listed ones, else every host."""
    listed = tuple(_people(payload.get("hostsThatDidntJoinTheCall")))
    return tuple(person.email for person in listed or _hosts(payload))


def out_of_office(payload: dict[str, Any]) -> OutOfOffice:
    """The absence in `payload.oooEntry`; raises `NotABooking` when it does not say whose or when."""
    entry = payload.get("oooEntry")
    if not isinstance(entry, dict):
        raise NotABooking("It has no oooEntry.")
    start, end = moment(entry.get("start")), moment(entry.get("end"))
    person = next(_people([entry.get("user")]), None)
    if start is None or end is None or person is None:
        raise NotABooking("The oooEntry does not say who is away, or from when to when.")
    number = entry.get("id")
    uid = _uid(entry.get("uuid")) or (f"id:{number}" if _is_whole(number) else f"{person.email} {start.isoformat()}")
    # Cal.com means whole days and writes the last as its last second.
    all_day = (start.hour, start.minute) == (0, 0) and (end.hour, end.minute) in {(23, 59), (0, 0)}
    if all_day:
        try:
            start, end = _midnight(start), _midnight(end) + timedelta(days=end.hour == 23 or end == start)
        except OverflowError:
            raise NotABooking("The oooEntry lies outside the years 1 to 9999.") from None
    return OutOfOffice(
        uid=_uid(uid),
        email=person.email,
        start_time=start,
        end_time=end,
        all_day=all_day,
        title=_text(entry.get("notes")) or "Out of office",
    )


def moment(value: Any) -> datetime | None:
    """A time in any of Cal.com's spellings (…Z, …+00:00, ….000Z), as UTC; None when it is none."""
    if not isinstance(value, str):
        return None
    try:
        found = parse_datetime(value.strip())
        if found is None:
            return None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _object(body: bytes) -> dict[str, Any]:
    """JSON; a form around JSON; or a form of plain fields."""
    found = _json(body)
    if isinstance(found, dict):
        return found
    if body.count(b"%") > _FORM_ESCAPES:
        raise UnreadableBody("The body is neither JSON nor a form of a reasonable size.")
    try:
        fields = parse_qsl(body.decode("utf-8"), max_num_fields=_FORM_FIELDS, keep_blank_values=True)
    except ValueError:
        raise UnreadableBody("The body is neither JSON nor a form in UTF-8.") from None
    for name, value in fields:
        for text in (value, name):
            inner = _json(text.encode())
            if isinstance(inner, dict) and "triggerEvent" in inner:
                return inner
    form: dict[str, Any] = dict(fields)
    if "triggerEvent" not in form:
        raise UnreadableBody("The body is neither a JSON object nor a form that holds one.")
    if isinstance(payload := _json(str(form.get("payload", "")).encode()), dict):
        form["payload"] = payload
    return form


def _json(body: bytes) -> Any:
    """The value, or None. Anything may come: other charsets (RFC 8259 §8.1), nesting beyond the parser's stack."""
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str:
    """Text that every database can store: without NUL and lone surrogates, of bounded length; "" for non-text."""
    if not isinstance(value, str):
        return ""
    return value.replace("\0", "")[:_TEXT_LENGTH].encode("utf-8", "replace").decode()


def _uid(value: Any) -> str:
    text = _text(value).strip()
    return text if len(text) <= _UID_LENGTH else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _derived_uid(start: datetime, title: str, attendees: Iterable[Person]) -> str:
    """A name for a booking that came without one: the same content always gets the same name."""
    content = [start.isoformat(), title, sorted(person.email for person in attendees)]
    return f"content:{hashlib.sha256(json.dumps(content).encode()).hexdigest()}"


def _series(payload: dict[str, Any], people: tuple[Person, ...], hosts: tuple[Person, ...]) -> str:
    """By event type, organizer and booker; `recurringEvent` tells of the event type's rule, in every occurrence."""
    if not isinstance(payload.get("recurringEvent"), dict) or not people or not hosts:
        return ""
    kind = _count(payload.get("eventTypeId")) or _text(payload.get("type"))
    content = [kind, hosts[0].email, people[0].email]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _is_whole(value: Any) -> bool:
    """Whether it is a small whole number. The bound is what the databases' integers hold."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 - 1


def _count(value: Any) -> int:
    """A small whole number; 0 for everything else."""
    return int(value) if _is_whole(value) else 0


def _midnight(time: datetime) -> datetime:
    return time.replace(hour=0, minute=0, second=0, microsecond=0)


def _end(payload: dict[str, Any], start: datetime | None) -> datetime | None:
    """endTime, else the start and `length` minutes."""
    end = moment(payload.get("endTime"))
    if end is not None or start is None:
        return end
    try:
        return start + timedelta(minutes=_count(payload.get("length")))
    except OverflowError:
        return start


def _zone(value: Any) -> str:
    """An IANA zone that exists here, else UTC."""
    try:
        return zones.zone(_text(value)).key
    except UnknownZone:
        return "UTC"


def _inside(payload: dict[str, Any], *names: str) -> Any:
    value: Any = payload
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _people(values: Any) -> Iterator[Person]:
    """Who has an e-mail, each once."""
    seen = set()
    for value in values if isinstance(values, list) else []:
        if not isinstance(value, dict):
            continue
        email = _text(value.get("email")).strip().lower()[:254]
        if email and email not in seen:
            seen.add(email)
            yield Person(email=email, name=_text(value.get("name"))[:255])


def _hosts(payload: dict[str, Any]) -> tuple[Person, ...]:
    """The organizer, else the user of a booking's own row; then the members of the team who take part."""
    owner = {"email": payload.get("userPrimaryEmail"), "name": _inside(payload, "user", "name")}
    organizer = next(_people([payload.get("organizer"), payload.get("user"), owner]), None)
    if organizer is None:
        return ()
    return (organizer, *(person for person in _people(_inside(payload, "team", "members")) if person != organizer))


def _with_guests(
    attendees: tuple[Person, ...], payload: dict[str, Any], hosts: tuple[Person, ...]
) -> tuple[Person, ...]:
    """The attendees and whom the booker named beside them, without the hosts."""
    guests = _inside(payload, "responses", "guests", "value")
    named = [{"email": guest} for guest in guests] if isinstance(guests, list) else []
    known = {person.email for person in hosts}
    found = []
    for person in (*attendees, *_people(named)):
        if person.email not in known:
            known.add(person.email)
            found.append(person)
    return tuple(found)


def _no_shows(values: Any) -> Iterator[tuple[str, bool]]:
    for value in values if isinstance(values, list) else []:
        person = next(_people([value]), None)
        if person is not None and isinstance(value.get("noShow"), bool):
            yield person.email, value["noShow"]


def _transcript(value: Any) -> str:
    """The first link: a link, or a list of them with their formats."""
    listed = value if isinstance(value, list) else [value]
    links = [_link(item.get("link") if isinstance(item, dict) else item) for item in listed]
    return next((link for link in links if link), "")


def _place(value: Any) -> str:
    """An address, a telephone number or a link; `integrations:…` only names the video app that makes the link."""
    text = _text(value)
    return "" if text.startswith("integrations:") else text


def _join_link(payload: dict[str, Any]) -> str:
    """Where to join: metadata.videoCallUrl, then videoCallData.url, then a location that is a web address.

    The metadata is written by whoever books: only http(s) is a link.
    """
    candidates = (
        _inside(payload, "metadata", "videoCallUrl"),
        _inside(payload, "videoCallData", "url"),
        payload.get("location"),
    )
    return next((link for link in map(_link, candidates) if link), "")


def _link(value: Any) -> str:
    text = _text(value).strip()
    fits = text.lower().startswith(("https://", "http://")) and not any(sign.isspace() for sign in text)
    return text if fits else ""
