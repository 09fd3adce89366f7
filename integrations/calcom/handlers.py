"""What each trigger of Cal.com means for the meetings.

Deliveries come at most once, sometimes twice, and in any order. So a handler never asks what happened before; it
brings the meeting to the state that the delivery implies, and the order in which two deliveries come does not change
where they end:

- A booking's uid names a meeting (`MeetingUid`). A rescheduled booking gets a new uid; the old one becomes an alias
  that is `superseded`: nothing that is still said of it moves the meeting.
- `cancelled_at` on a uid is final: a booking called off or rejected never comes back under its uid. On a uid that
  nobody has heard of it is a tombstone, and the booking that comes later is born cancelled.
- Of two messages about one uid the newer `createdAt` counts; at the same time a confirmed one beats a pending one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from calendars.models import Meeting, MeetingUid
from calendars.models.meeting import MeetingStatus
from calendars.services import meetings
from calendars.services.meetings import Facts, Participant
from integrations.calcom import payloads
from integrations.calcom.errors import NotABooking
from integrations.calcom.hosts import host
from integrations.calcom.payloads import Booking, Envelope
from tenancy.models import Company

SOURCE = "calcom"
HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A booking, what is said of it, and when: `said_at` by Cal.com's clock, `now` by ours."""

    company: Company
    booking: Booking
    said_at: datetime
    now: datetime


def handle(company: Company, envelope: Envelope, *, received_at: datetime, now: datetime) -> Meeting | None:
    """Do what the delivery says, in one transaction; the meeting that it is about, or None for nothing to do.

    Running it again, or beside another delivery of the same booking, is safe. Raises `NotABooking`, and
    `MeetingEndsBeforeItStarts`.
    """
    act = _TRIGGERS.get(envelope.trigger)
    if act is None:
        return None
    # A clock ahead of ours must not shut out what is said later.
    said_at = min(envelope.said_at or received_at, received_at)
    message = Message(company=company, booking=payloads.booking(envelope.payload), said_at=said_at, now=now)
    with transaction.atomic():
        return act(message)


def is_known(trigger: str) -> bool:
    """Whether deliveries of this trigger change meetings; the others are kept and ignored."""
    return trigger in _TRIGGERS


def _created(message: Message) -> Meeting | None:
    return _booked(message, MeetingStatus.SCHEDULED)


def _requested(message: Message) -> Meeting | None:
    return _booked(message, MeetingStatus.PENDING)


def _booked(message: Message, status: MeetingStatus) -> Meeting | None:
    """CREATED, REQUESTED and RESCHEDULED: there is such a booking; where it replaces another, the meeting moves."""
    booking = message.booking
    facts = _facts(booking)
    name, old = _names(message.company, booking)
    if old is not None and booking.seats and _leave_seat(old, booking):
        old = None
    meeting = _meeting_of(name, old, now=message.now)
    if name.superseded or (meeting is not None and not _is_news(name, meeting, message, status)):
        if meeting is not None:
            _link(meeting, name, old)
        return meeting
    if name.cancelled_at is not None:
        status = MeetingStatus.CANCELLED
    user = host(message.company, facts.organizer_email)
    said: dict[str, Any] = {"facts": facts, "status": status, "sequence": booking.sequence, "said_at": message.said_at}
    if meeting is None:
        meeting = meetings.schedule(message.company, source=SOURCE, user=user, **said, now=message.now)
    else:
        if user is not None:
            meetings.assign(meeting, to=user, now=message.now)
        meetings.reschedule(meeting, **said, now=message.now)
    # With seats, each message lists that seat's attendee only; a template may leave the attendees out.
    meetings.invite(meeting, _participants(booking), only=bool(booking.attendees) and not booking.seats)
    _link(meeting, name, old)
    return meeting


def _called_off(message: Message) -> Meeting | None:
    """CANCELLED and REJECTED: final for this uid, unless the booking was moved to another one."""
    booking = message.booking
    name, _ = _names(message.company, booking)
    meeting = _meeting_of(name, None, now=message.now)
    if name.superseded:
        return meeting
    if booking.seat:
        # One seat given back: the booking goes on for whoever is left.
        leaving = [person.email for person in booking.attendees]
        if meeting is None or meetings.uninvite(meeting, leaving):
            return meeting
    if name.cancelled_at is None:
        name.cancelled_at = message.said_at
        name.save(update_fields=["cancelled_at"])
    if meeting is not None:
        meetings.cancel(meeting, said_at=message.said_at, now=message.now)
    return meeting


_TRIGGERS: dict[str, Callable[[Message], Meeting | None]] = {
    "BOOKING_CREATED": _created,
    "BOOKING_REQUESTED": _requested,
    "BOOKING_RESCHEDULED": _created,
    "BOOKING_CANCELLED": _called_off,
    "BOOKING_REJECTED": _called_off,
}


def _names(company: Company, booking: Booking) -> tuple[MeetingUid, MeetingUid | None]:
    """The rows of the booking's uid and of the one it replaces, locked until the end of the transaction.

    They are made and locked in the order of their text, so that two deliveries of one chain wait for each other
    instead of dying in a deadlock.
    """
    found = {}
    for uid in sorted({booking.uid, booking.old_uid} - {""}):
        MeetingUid.objects.get_or_create(company=company, source=SOURCE, uid=uid)
        found[uid] = MeetingUid.objects.select_for_update().get(company=company, source=SOURCE, uid=uid)
    return found[booking.uid], found.get(booking.old_uid)


def _meeting_of(name: MeetingUid, old: MeetingUid | None, *, now: datetime) -> Meeting | None:
    """The one meeting of both names, locked. Where each has one, the newer name's takes in the older's names."""
    pks = [row.meeting_id for row in (name, old) if row is not None and row.meeting_id is not None]
    found = {meeting.pk: meeting for meeting in Meeting.objects.select_for_update().filter(pk__in=pks).order_by("pk")}
    kept = found.pop(name.meeting_id, None) if name.meeting_id else None
    if kept is None or old is None:
        return kept or next(iter(found.values()), None)
    for other in found.values():
        MeetingUid.objects.filter(meeting=other).update(meeting=kept)
        meetings.remove(other, now=now)
        old.meeting = kept
    return kept


def _leave_seat(old: MeetingUid, booking: Booking) -> bool:
    """Take the people of a moved seat out of the old booking; whether it goes on for others."""
    if old.meeting is None:
        return False
    leaving = {person.email for person in booking.attendees}
    if not old.meeting.participants.exclude(role=HOST).exclude(email__in=leaving).exists():
        return False
    meetings.uninvite(old.meeting, leaving)
    return True


def _is_news(name: MeetingUid, meeting: Meeting, message: Message, status: MeetingStatus) -> bool:
    """Whether the message says more than the meeting knows. The first word under a new name always does."""
    if name.meeting_id is None or meeting.source_updated_at is None:
        return True
    known = (meeting.source_updated_at, meeting.status != MeetingStatus.PENDING)
    return (message.said_at, status != MeetingStatus.PENDING) >= known


def _link(meeting: Meeting, name: MeetingUid, old: MeetingUid | None) -> None:
    if name.meeting_id != meeting.pk:
        name.meeting = meeting
        name.save(update_fields=["meeting"])
    if old is not None and (old.meeting_id != meeting.pk or not old.superseded):
        old.meeting, old.superseded = meeting, True
        old.save(update_fields=["meeting", "superseded"])


def _facts(booking: Booking) -> Facts:
    if booking.start_time is None or booking.end_time is None:
        raise NotABooking("It names no startTime that can be read.")
    organizer = booking.organizer
    return Facts(
        start_time=booking.start_time,
        end_time=booking.end_time,
        time_zone=booking.time_zone,
        title=booking.title,
        description=booking.description,
        location=booking.location,
        meeting_url=booking.meeting_url,
        meeting_type=booking.kind,
        organizer_name=organizer.name if organizer else "",
        organizer_email=organizer.email if organizer else "",
        ical_uid=booking.ical_uid,
    )


def _participants(booking: Booking) -> list[Participant]:
    """The host first, then the attendees."""
    people = [Participant(email=person.email, name=person.name) for person in booking.attendees]
    if booking.organizer is None:
        return people
    organizer = booking.organizer
    others = [person for person in people if person.email != organizer.email]
    return [Participant(email=organizer.email, name=organizer.name, role=HOST), *others]
