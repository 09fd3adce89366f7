"""What each trigger of Cal.com means for the meetings.

Deliveries come at most once, sometimes twice, and in any order. So a handler never asks what happened before: it
writes what its message tells into the register of the booking's uid (`integrations.calcom.register`), where the newest
word about each part wins, and has the meeting derived again from all that is known (`integrations.calcom.bookings`).

- Confirmed is confirmed: a request that comes late does not make a booking pending again.
- Called off is final under a uid. Of a uid that nobody has heard of it is a tombstone.
- A rescheduled booking has a new uid; the old one is superseded, and what is still said of it moves nothing. With
  seats, only one person's seat has moved.
- Messages about something else (a recording, an absence, the end of the meeting) repeat the booking: that counts only
  where nothing was known of it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from calendars.models import Meeting
from calendars.models.meeting import PaymentStatus
from calendars.services import absences, people
from integrations.calcom import bookings, payloads, series
from integrations.calcom.bookings import SOURCE, Names
from integrations.calcom.errors import NotABooking
from integrations.calcom.payloads import Booking, Envelope
from integrations.calcom.register import Register, put, stamp
from tenancy.models import Company

# Statuses of a booking's row that say what CANCELLED and REJECTED say.
_OFF = {"CANCELLED", "REJECTED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What was delivered, and when: `said_at` by Cal.com's clock, `now` by ours."""

    company: Company
    envelope: Envelope
    said_at: datetime
    now: datetime
    listed: bool = False

    def booking(self) -> Booking:
        return payloads.booking(self.envelope.payload)


def handle(
    company: Company, envelope: Envelope, *, received_at: datetime, now: datetime, listed: bool = False
) -> Meeting | None:
    """Do what the delivery says, in one transaction; the meeting that it is about, or None for nothing to do.

    listed: Cal.com's API says so, in the words of a webhook, and BOOKING_ACCEPTED for a booking that it lists as such.
    Running it again, or beside another delivery of the same booking, is safe. Raises `NotABooking`, and
    `MeetingEndsBeforeItStarts`.
    """
    act = (_LISTED if listed else _TRIGGERS).get(envelope.trigger)
    if act is None:
        return None
    # A clock ahead of ours must not shut out what is said later.
    said_at = min(envelope.said_at or received_at, received_at)
    with transaction.atomic():
        return act(Message(company=company, envelope=envelope, said_at=said_at, now=now, listed=listed))


def is_known(trigger: str) -> bool:
    """Whether deliveries of this trigger change anything here; the others are kept and ignored."""
    return _TRIGGERS.get(trigger, _nothing) is not _nothing


# Families of triggers ---------------------------------------------------------------------------------------------


def _created(message: Message) -> Meeting | None:
    """CREATED, RESCHEDULED: the booking stands."""
    return _booked(message, confirmation="confirmed")


def _accepted_by_the_list(message: Message) -> Meeting | None:
    """It stands too, unless it waits for its payment: the list does not tell."""
    return _booked(message, confirmation="accepted")


def _requested(message: Message) -> Meeting | None:
    """REQUESTED, and an instant meeting that nobody has accepted yet: it waits to be confirmed."""
    return _booked(message)


def _called_off(message: Message) -> Meeting | None:
    """CANCELLED, REJECTED: final for this uid, but of one seat only for whoever had it."""
    booking = message.booking()
    with bookings.opened(message.company, booking.uid) as names:
        name, at = names.own, stamp(message.said_at, None)
        if booking.attendees and (booking.seat or booking.seats):
            # Where there are seats it names whose are given back, all of them when all of it is off.
            for person in booking.attendees:
                put(name.said, "seats", person.email, [False, person.name], at)
        else:
            name.cancelled_at = min(name.cancelled_at or message.said_at, message.said_at)
            if booking.series and booking.start_time is not None and not message.listed:
                # Only "cancel all remaining" says `recurringEvent` here.
                name.series = booking.series
                series.called_off(name, booking.start_time, message.said_at)
        if booking.reason:
            put(name.said, "marks", "reason", booking.reason, at)
        return names.settle(said_at=message.said_at, now=message.now)


def _payment_asked(message: Message) -> Meeting | None:
    """PAYMENT_INITIATED calls the booking ACCEPTED; it is not before it is paid."""
    return _paid_for(message, PaymentStatus.AWAITED, confirmed=False)


def _paid(message: Message) -> Meeting | None:
    """PAID; a booking that its host has to confirm still waits."""
    return _paid_for(message, PaymentStatus.PAID, confirmed=message.booking().status != "PENDING")


def _relocated(message: Message) -> Meeting | None:
    """LOCATION_UPDATED: where to meet, whatever else it tells or leaves out."""
    return _changed(message, "place")


def _reassigned(message: Message) -> Meeting | None:
    """REASSIGNED: another host."""
    return _changed(message, "hosts")


def _accepted(message: Message) -> Meeting | None:
    """INSTANT_MEETING_ACCEPTED: somebody has taken it."""
    booking = message.booking()
    with bookings.opened(message.company, booking.uid) as names:
        _tell(names.own.said, booking, message.said_at)
        names.own.said["confirmed"] = True
        return names.settle(said_at=message.said_at, now=message.now)


def _started(message: Message) -> Meeting | None:
    return _happened(message, "started")


def _ended(message: Message) -> Meeting | None:
    return _happened(message, "ended")


def _recorded(message: Message) -> Meeting | None:
    """RECORDING_READY, RECORDING_TRANSCRIPTION_GENERATED: links that their readers need a login for."""
    booking = message.booking()
    with bookings.opened(message.company, booking.uid) as names:
        at = stamp(message.said_at, None)
        for mark, url in (("recording", booking.recording_url), ("transcript", booking.transcript_url)):
            if url:
                put(names.own.said, "marks", mark, url, at)
        _repeat(names.own.said, booking, message.said_at)
        return names.settle(said_at=message.said_at, now=message.now)


def _no_show(message: Message) -> Meeting | None:
    """NO_SHOW_UPDATED: who was absent, or was not after all."""
    booking = message.booking()
    return _absent(message, booking, dict(booking.no_shows))


def _hosts_absent(message: Message) -> Meeting | None:
    return _absent(message, message.booking(), dict.fromkeys(payloads.absent_hosts(message.envelope.payload), True))


def _guests_absent(message: Message) -> Meeting | None:
    booking = message.booking()
    return _absent(message, booking, {person.email: True for person in booking.attendees or ()})


def _out_of_office(message: Message) -> None:
    """OOO_CREATED: its host is unavailable, now or once we know whose the e-mail is."""
    away = payloads.out_of_office(message.envelope.payload)
    absences.record(
        message.company,
        source=SOURCE,
        uid=away.uid,
        email=away.email,
        user=people.known_by(message.company, away.email),
        start_time=away.start_time,
        end_time=away.end_time,
        all_day=away.all_day,
        title=away.title,
        said_at=message.said_at,
        now=message.now,
    )


def _nothing(message: Message) -> None:
    """Of no consequence for anybody's time."""


_TRIGGERS: dict[str, Callable[[Message], Meeting | None]] = {
    "BOOKING_CREATED": _created,
    "BOOKING_REQUESTED": _requested,
    "BOOKING_RESCHEDULED": _created,
    "BOOKING_CANCELLED": _called_off,
    "BOOKING_REJECTED": _called_off,
    "BOOKING_PAYMENT_INITIATED": _payment_asked,
    "BOOKING_PAID": _paid,
    "BOOKING_NO_SHOW_UPDATED": _no_show,
    "BOOKING_LOCATION_UPDATED": _relocated,
    "BOOKING_REASSIGNED": _reassigned,
    "MEETING_STARTED": _started,
    "MEETING_ENDED": _ended,
    "INSTANT_MEETING": _requested,
    "INSTANT_MEETING_ACCEPTED": _accepted,
    "RECORDING_READY": _recorded,
    "RECORDING_TRANSCRIPTION_GENERATED": _recorded,
    "OOO_CREATED": _out_of_office,
    "AFTER_HOSTS_CAL_VIDEO_NO_SHOW": _hosts_absent,
    "AFTER_GUESTS_CAL_VIDEO_NO_SHOW": _guests_absent,
    "FORM_SUBMITTED": _nothing,
    "FORM_SUBMITTED_NO_EVENT": _nothing,
    "ROUTING_FORM_FALLBACK_HIT": _nothing,
    "WRONG_ASSIGNMENT_REPORT": _nothing,
    "CALENDAR_ENTRY_REJECTED": _nothing,
    "PING": _nothing,
}


_LISTED = {**_TRIGGERS, "BOOKING_ACCEPTED": _accepted_by_the_list}


# What several of them do ------------------------------------------------------------------------------------------


def _booked(message: Message, *, confirmation: str = "") -> Meeting | None:
    booking = message.booking()
    if booking.start_time is None or booking.end_time is None:
        raise NotABooking("It names no startTime that can be read.")
    with bookings.opened(message.company, booking.uid, booking.old_uid) as names:
        _tell(names.own.said, booking, message.said_at)
        if confirmation:
            names.own.said[confirmation] = True
        if booking.series:
            series.joined(names.own, booking.series, message.said_at)
        if names.own.series:
            series.stands(names.own.said, message.said_at)
        _replace(names, booking, message.said_at)
        return names.settle(said_at=message.said_at, now=message.now)


def _paid_for(message: Message, payment: PaymentStatus, *, confirmed: bool) -> Meeting | None:
    booking = message.booking()
    with bookings.opened(message.company, booking.uid) as names:
        said = names.own.said
        # Paid is paid: what asked for the money may come later, and is older whatever it says.
        rank = stamp(message.said_at, list(PaymentStatus).index(payment))
        put(said, "marks", "payment", payment.value, rank)
        _repeat(said, booking, message.said_at)
        if confirmed:
            said["confirmed"] = True
        return names.settle(said_at=message.said_at, now=message.now)


def _changed(message: Message, part: str) -> Meeting | None:
    booking = message.booking()
    with bookings.opened(message.company, booking.uid) as names:
        facts = bookings.parts_of(booking)
        if part in facts:
            put(names.own.said, "facts", part, facts[part], stamp(message.said_at, booking.sequence))
        _repeat(names.own.said, booking, message.said_at)
        if booking.status == "ACCEPTED":
            names.own.said["accepted"] = True
        return names.settle(said_at=message.said_at, now=message.now)


def _happened(message: Message, mark: str) -> Meeting | None:
    """STARTED and ENDED: the booking's own row, under the time of its creation. They tell no other time than its."""
    booking = message.booking()
    moment = booking.start_time if mark == "started" else booking.end_time
    with bookings.opened(message.company, booking.uid, booking.old_uid) as names:
        said = names.own.said
        if moment is not None:
            put(said, "marks", mark, moment.isoformat(), stamp(moment, None))
        _repeat(said, booking, message.said_at)
        for email, was_absent in booking.no_shows:
            # Its createdAt is the booking's: whoever was marked since knows better.
            put(said, "absent", email, was_absent, stamp(message.said_at, None))
        if booking.status in _OFF:
            names.own.cancelled_at = min(names.own.cancelled_at or message.said_at, message.said_at)
        elif booking.status != "PENDING":
            said["accepted"] = True
        _replace(names, booking, message.said_at)
        return names.settle(said_at=message.said_at, now=message.now)


def _absent(message: Message, booking: Booking, absent: dict[str, bool]) -> Meeting | None:
    with bookings.opened(message.company, booking.uid) as names:
        for email, was_absent in absent.items():
            put(names.own.said, "absent", email, was_absent, stamp(message.said_at, None))
        return names.settle(said_at=message.said_at, now=message.now)


def _tell(said: Register, booking: Booking, said_at: datetime) -> None:
    """Everything that the message tells of the booking."""
    at = stamp(said_at, booking.sequence)
    for part, value in bookings.parts_of(booking).items():
        put(said, "facts", part, value, at)
    if booking.seats or booking.seat:
        for person in booking.attendees or ():
            put(said, "seats", person.email, [True, person.name], stamp(said_at, None))


def _repeat(said: Register, booking: Booking, said_at: datetime) -> None:
    """The same, by the way: it counts where nobody tells it as a fact, for it may be stale."""
    at = stamp(said_at, None)
    for part, value in bookings.parts_of(booking).items():
        put(said, "repeated", part, value, at)


def _replace(names: Names, booking: Booking, said_at: datetime) -> None:
    """The old uid is superseded; with seats, only those people have left it."""
    if names.old is None:
        return
    if not (booking.seats or booking.seat):
        names.supersede()
        return
    for person in booking.attendees or ():
        put(names.old.said, "seats", person.email, [False, person.name], stamp(said_at, None))
