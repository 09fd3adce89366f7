"""Histories of bookings, told in any order, some of it twice, some of it never: they end as told in order.

The machine plays Cal.com: people ask for bookings, confirm, move, pay for, reassign and cancel them. What it sends
arrives whenever it likes. At the end whatever is still on its way arrives, and the meetings have to be those of a
company to which the same history was told in order, once, and completely.

Only what the facts determine is compared: a delivery is lost only where a later one tells all that it told.
"""

import itertools
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from busyblocks.models import BusyBlock
from calendars.models import Meeting, MeetingUid
from integrations.calcom import handlers, payloads
from tenancy.models import Company, CrmUser
from tests.integrations.calcom import compact

LATER = datetime(2026, 6, 1, tzinfo=UTC)
HOSTS = ("alice@acme.example", "bob@acme.example", "nobody@acme.example")
GUESTS = ("one@example.com", "two@example.com", "three@example.com")
_companies = itertools.count()


@dataclass
class Sent:
    """A delivery; `obsolete` once a later one tells all that it told."""

    document: dict[str, Any]
    obsolete: bool = False


@dataclass
class Play:
    """A booking at Cal.com."""

    uid: str
    number: int
    host: str
    day: int
    place: str = "Room 1"
    sequence: int = 0
    confirmed: bool = False
    over: bool = False
    moved_from: str = ""
    seats: list[str] | None = None
    # Of which series it is an occurrence.
    series: int | None = None
    told: list[Sent] = field(default_factory=list)


class History(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock = datetime(2026, 3, 1, 9, tzinfo=UTC)
        self.sent: list[Sent] = []
        self.on_their_way: list[Sent] = []
        self.bookings: list[Play] = []
        self.names = itertools.count()
        self.here = _company()

    # What people do at Cal.com ------------------------------------------------------------------------------------

    @rule(host=st.sampled_from(HOSTS), day=st.integers(1, 20), asked=st.booleans())
    def book(self, host: str, day: int, asked: bool) -> None:
        booking = Play(f"b{next(self.names)}", len(self.bookings), host, day, confirmed=not asked)
        self.bookings.append(booking)
        self._send("BOOKING_REQUESTED" if asked else "BOOKING_CREATED", booking)

    @rule(host=st.sampled_from(HOSTS), day=st.integers(1, 20))
    def book_with_seats(self, host: str, day: int) -> None:
        booking = Play(f"b{next(self.names)}", len(self.bookings), host, day, confirmed=True, seats=[GUESTS[0]])
        self.bookings.append(booking)
        self._send("BOOKING_CREATED", booking, seat=GUESTS[0])

    @rule(host=st.sampled_from(HOSTS), day=st.integers(1, 17))
    def book_a_series(self, host: str, day: int) -> None:
        series = len(self.bookings)
        for n in range(3):
            booking = Play(f"b{next(self.names)}", len(self.bookings), host, day + n, confirmed=True, series=series)
            self.bookings.append(booking)
            self._send("BOOKING_CREATED", booking)

    @precondition(lambda self: any(booking.series is not None for booking in self._open()))
    @rule(data=st.data())
    def call_off_the_rest(self, data: st.DataObject) -> None:
        booking = data.draw(st.sampled_from([booking for booking in self._open() if booking.series is not None]))
        for other in self._open():
            other.over |= other.series == booking.series and other.day >= booking.day
        self._send("BOOKING_CANCELLED", booking, cancellationReason="No time")

    @precondition(lambda self: self._open())
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        booking = self._one(data)
        if not booking.confirmed:
            booking.confirmed = True
            self._obsolete(booking, "BOOKING_REQUESTED", "BOOKING_PAYMENT_INITIATED")
            self._send("BOOKING_CREATED", booking)

    @precondition(lambda self: self._open())
    @rule(data=st.data(), day=st.integers(1, 20))
    def move(self, data: st.DataObject, day: int) -> None:
        booking = self._one(data)
        # Whether a moved occurrence still belongs to its series, nobody says.
        if booking.seats is None and booking.series is None:
            booking.moved_from, booking.uid = booking.uid, f"b{next(self.names)}"
            booking.day, booking.sequence, booking.confirmed = day, booking.sequence + 1, True
            # It tells everything; only what became of the money it does not.
            self._obsolete(booking, "BOOKING_CREATED", "BOOKING_REQUESTED", "BOOKING_LOCATION_UPDATED")
            self._obsolete(booking, "BOOKING_REASSIGNED", "BOOKING_NO_SHOW_UPDATED")
            self._send("BOOKING_RESCHEDULED", booking, rescheduleUid=booking.moved_from)

    @precondition(lambda self: self._open())
    @rule(data=st.data(), place=st.sampled_from(["Room 2", "Room 3", "https://video.example/1"]))
    def relocate(self, data: st.DataObject, place: str) -> None:
        booking = self._one(data)
        booking.place = place
        self._obsolete(booking, "BOOKING_LOCATION_UPDATED")
        self._send("BOOKING_LOCATION_UPDATED", booking)

    @precondition(lambda self: self._open())
    @rule(data=st.data(), host=st.sampled_from(HOSTS))
    def reassign(self, data: st.DataObject, host: str) -> None:
        booking = self._one(data)
        booking.host = host
        self._obsolete(booking, "BOOKING_REASSIGNED")
        self._send("BOOKING_REASSIGNED", booking)

    @precondition(lambda self: self._open())
    @rule(data=st.data(), guest=st.sampled_from(GUESTS))
    def take_a_seat(self, data: st.DataObject, guest: str) -> None:
        booking = self._one(data)
        if booking.seats is not None and guest not in booking.seats:
            booking.seats.append(guest)
            self._send("BOOKING_CREATED", booking, seat=guest)

    @precondition(lambda self: self._open())
    @rule(data=st.data())
    def give_a_seat_back(self, data: st.DataObject) -> None:
        booking = self._one(data)
        if booking.seats:
            guest = booking.seats.pop()
            booking.over = not booking.seats
            self._send("BOOKING_CANCELLED", booking, seat=guest, attendeeSeatId=f"seat-{guest}")

    @precondition(lambda self: self._open())
    @rule(data=st.data(), trigger=st.sampled_from(["BOOKING_CANCELLED", "BOOKING_REJECTED"]))
    def call_off(self, data: st.DataObject, trigger: str) -> None:
        booking = self._one(data)
        # An occurrence that is called off takes the later ones with it.
        if booking.seats is None and booking.series is None:
            booking.over = True
            self._send(trigger, booking, cancellationReason="No time")

    @precondition(lambda self: self._open())
    @rule(data=st.data())
    def ask_for_money_and_get_it(self, data: st.DataObject) -> None:
        booking = self._one(data)
        self._send("BOOKING_PAYMENT_INITIATED", booking, status="ACCEPTED")
        self._obsolete(booking, "BOOKING_PAYMENT_INITIATED")
        booking.confirmed = True
        self._send("BOOKING_PAID", booking, status="ACCEPTED")

    @precondition(lambda self: self._open())
    @rule(data=st.data(), absent=st.booleans())
    def mark_absent(self, data: st.DataObject, absent: bool) -> None:
        booking = self._one(data)
        self._obsolete(booking, "BOOKING_NO_SHOW_UPDATED")
        attendees = [{"email": GUESTS[0], "noShow": absent}]
        self._deliver_later("BOOKING_NO_SHOW_UPDATED", booking, {"bookingUid": booking.uid, "attendees": attendees})

    @precondition(lambda self: self._open())
    @rule(data=st.data())
    def record(self, data: st.DataObject) -> None:
        self._send("RECORDING_READY", self._one(data), downloadLink=f"https://video.example/{len(self.sent)}")

    # How it arrives -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.on_their_way)
    @rule(data=st.data(), again=st.booleans())
    def arrives(self, data: st.DataObject, again: bool) -> None:
        delivery = self.on_their_way[data.draw(st.integers(0, len(self.on_their_way) - 1))]
        if not again:
            self.on_their_way.remove(delivery)
        _tell(self.here, delivery)

    @precondition(lambda self: any(delivery.obsolete for delivery in self.on_their_way))
    @rule(data=st.data())
    def is_lost(self, data: st.DataObject) -> None:
        lost = [delivery for delivery in self.on_their_way if delivery.obsolete]
        self.on_their_way.remove(lost[data.draw(st.integers(0, len(lost) - 1))])

    def teardown(self) -> None:
        for delivery in reversed(self.on_their_way):
            _tell(self.here, delivery)
        in_order = _company()
        for delivery in self.sent:
            _tell(in_order, delivery)
        assert _meetings(self.here) == _meetings(in_order)

    # ----------------------------------------------------------------------------------------------------------------

    def _open(self) -> list[Play]:
        return [booking for booking in self.bookings if not booking.over]

    def _one(self, data: st.DataObject) -> Play:
        found = self._open()
        return found[data.draw(st.integers(0, len(found) - 1))]

    def _obsolete(self, booking: Play, *triggers: str) -> None:
        for delivery in booking.told:
            if booking.seats is None and booking.series is None and delivery.document["triggerEvent"] in triggers:
                delivery.obsolete = True

    def _send(self, trigger: str, booking: Play, *, seat: str = "", **facts: Any) -> None:
        start = datetime(2026, 4, booking.day, 10, tzinfo=UTC)
        attendees = [seat] if seat else [] if booking.seats is not None else list(GUESTS[:2])
        payload: dict[str, Any] = {
            "uid": booking.uid,
            "title": f"Booking {booking.number}",
            "startTime": start.isoformat(),
            "endTime": (start + timedelta(minutes=30)).isoformat(),
            "organizer": {"email": booking.host, "name": booking.host.partition("@")[0], "timeZone": "Europe/Berlin"},
            "attendees": [{"email": email, "name": ""} for email in attendees],
            "location": booking.place,
            "iCalUID": f"{booking.number}@cal.com",
            # Some messages have no number.
            **({} if len(self.sent) % 4 == 3 else {"iCalSequence": booking.sequence}),
            "status": "ACCEPTED" if booking.confirmed else "PENDING",
            "seatsPerTimeSlot": 5 if booking.seats is not None else None,
            **({} if booking.series is None else {"recurringEvent": {"freq": 2}, "eventTypeId": 50 + booking.series}),
            **facts,
        }
        self._deliver_later(trigger, booking, payload)

    def _deliver_later(self, trigger: str, booking: Play, payload: dict[str, Any]) -> None:
        self.clock += timedelta(minutes=1)
        head = {"triggerEvent": trigger, "createdAt": self.clock.isoformat()}
        # A company's own template may leave everything flat.
        sent = Sent({**head, **payload} if len(self.sent) % 3 == 2 else {**head, "payload": payload})
        booking.told.append(sent)
        self.sent.append(sent)
        self.on_their_way.append(sent)


def _company() -> Company:
    company = Company.objects.create(url_id=f"acme-{next(_companies)}")
    for email in HOSTS[:2]:
        CrmUser.objects.create(company=company, unique_id=email.partition("@")[0], email=email)
    return company


def _tell(company: Company, delivery: Sent) -> None:
    envelope = payloads.envelope(compact(delivery.document))
    with transaction.atomic():
        handlers.handle(company, envelope, received_at=LATER, now=LATER)


def _meetings(company: Company) -> list[Any]:
    """All that can be seen of the company's meetings and of its users' time."""
    found = []
    for meeting in Meeting.objects.filter(company=company):
        rows = BusyBlock.objects.filter(meeting_key=str(meeting.unique_id))
        found.append(
            {
                "names": sorted(MeetingUid.objects.filter(meeting=meeting).values_list("uid", "superseded")),
                "status": meeting.status,
                "times": (meeting.start_time, meeting.end_time),
                "words": (meeting.title, meeting.location, meeting.meeting_url, meeting.cancellation_reason),
                "whose": (meeting.user and meeting.user.unique_id, meeting.organizer_email),
                "people": sorted(meeting.participants.values_list("email", "role", "no_show", "user__unique_id")),
                "marks": (meeting.payment_status, meeting.recording_url),
                "taken": sorted(rows.values_list("user__unique_id", "start_time", "end_time", "fbtype")),
            }
        )
    return sorted(found, key=lambda meeting: str(meeting["names"]))


@pytest.mark.django_db
def test_history_ends_the_same_however_it_arrives() -> None:
    examples = 10 * int(os.environ.get("FAULT_RUNS", "1"))
    run_state_machine_as_test(History, settings=settings(max_examples=examples, stateful_step_count=20, deadline=None))
