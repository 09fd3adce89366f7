"""From what is known of bookings to meetings: one booking, under all of its uids, is one meeting."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from calendars.errors import MeetingEndsBeforeItStarts
from calendars.models import Meeting, MeetingUid
from calendars.models.meeting import MeetingStatus, ParticipantRole
from calendars.services import meetings, people
from calendars.services.meetings import OWN_FIELDS, Facts, Marks, Participant
from integrations.calcom.payloads import Booking
from integrations.calcom.register import Register, newest, seats, value_of
from tenancy.models import Company, CrmUser

SOURCE = "calcom"


@dataclass(slots=True)
class Names:
    """The uid that a message is about, and the one that it replaces, both locked; their registers may be written."""

    company: Company
    own: MeetingUid
    old: MeetingUid | None

    def supersede(self) -> None:
        """The old uid's booking goes on under the new one."""
        if self.old is not None:
            self.old.superseded = True

    def settle(self, *, said_at: datetime, now: datetime) -> Meeting | None:
        """Store what was said, and bring the meeting of these names to what follows from it; None when nothing yet
        says when it is."""
        merged = self.old if self.old is not None and self.old.superseded else None
        meeting = _meeting_of(self.own, merged, now=now)
        if self.old is not None:
            self.old.save()
        if self.old is not None and merged is None:
            # A seat has left for another booking.
            others = _meeting_of(self.old, None, now=now)
            _bring(self.company, _with_others([self.old], others), others, said_at=said_at, now=now)
        self.own.save()
        names = _with_others([self.own, merged] if merged else [self.own], meeting)
        return _bring(self.company, names, meeting, said_at=said_at, now=now)


@contextmanager
def opened(company: Company, uid: str, old_uid: str = "") -> Iterator[Names]:
    """The rows of the uid and of the one that it replaces, locked until the end of the transaction.

    They are made and locked in the order of their text, so that two deliveries of one chain wait for each other
    instead of dying in a deadlock.
    """
    found = {}
    for text in sorted({uid, old_uid} - {""}):
        MeetingUid.objects.get_or_create(company=company, source=SOURCE, uid=text)
        found[text] = MeetingUid.objects.select_for_update().get(company=company, source=SOURCE, uid=text)
    yield Names(company, found[uid], found.get(old_uid))


def parts_of(booking: Booking) -> dict[str, Any]:
    """What a message tells of the booking, by parts that may change apart; what it leaves out is not there.

    Raises `MeetingEndsBeforeItStarts`.
    """
    parts: dict[str, Any] = {}
    if booking.start_time is not None and booking.end_time is not None:
        if booking.end_time < booking.start_time:
            raise MeetingEndsBeforeItStarts
        parts["when"] = [booking.start_time.isoformat(), booking.end_time.isoformat(), booking.time_zone]
    if booking.title:
        parts["title"] = booking.title
    if booking.description:
        parts["description"] = booking.description
    if booking.kind:
        parts["kind"] = booking.kind
    if booking.ical_uid:
        parts["ical_uid"] = booking.ical_uid
    if booking.location or booking.meeting_url:
        parts["place"] = [booking.location, booking.meeting_url]
    if booking.hosts:
        parts["hosts"] = [[person.email, person.name] for person in booking.hosts]
    if booking.attendees is not None and not (booking.seats or booking.seat):
        parts["people"] = [[person.email, person.name] for person in booking.attendees]
    return parts


def _with_others(names: list[MeetingUid], meeting: Meeting | None) -> list[MeetingUid]:
    """These names of the meeting, and those that no message is about just now. The meeting's lock keeps them still."""
    if meeting is None:
        return names
    others = MeetingUid.objects.filter(meeting=meeting).exclude(pk__in=[row.pk for row in names])
    return [*names, *others.order_by("pk")]


def _meeting_of(own: MeetingUid, old: MeetingUid | None, *, now: datetime) -> Meeting | None:
    """The one meeting of both names, locked. Where each has one, the older takes in the younger."""
    pks = {row.meeting_id for row in (own, old) if row is not None and row.meeting_id is not None}
    found = list(Meeting.objects.select_for_update().filter(pk__in=pks).order_by("pk"))
    if not found:
        return None
    kept = found[0]
    for other in found[1:]:
        MeetingUid.objects.filter(meeting=other).update(meeting=kept)
        # What people said of it here is not lost.
        own_words = {name: getattr(other, name) for name in OWN_FIELDS if not getattr(kept, name)}
        meetings.annotate(kept, {name: value for name, value in own_words.items() if value})
        if kept.user_id is None and other.user is not None:
            meetings.assign(kept, to=other.user, now=now)
        meetings.remove(other, now=now)
    own.meeting = kept
    if old is not None:
        old.meeting = kept
    return kept


def _bring(
    company: Company, names: list[MeetingUid], meeting: Meeting | None, *, said_at: datetime, now: datetime
) -> Meeting | None:
    """Make the meeting what follows from all that was said under `names`."""
    name = _tip(names)
    when = value_of(name.said, "facts", "when")
    if when is None:
        return meeting
    registers = [row.said for row in names]
    facts, hosts = _facts(name.said, registers), _part(name.said, registers, "hosts") or []
    taken = seats(name.said)
    status = _status(name, cancelled=name.cancelled_at is not None or taken.all_left)
    marks = _marks(name.said, registers, status)
    user = _user(company, meeting, facts.organizer_email)
    if meeting is None:
        meeting = meetings.schedule(
            company, source=SOURCE, facts=facts, user=user, status=status, marks=marks, said_at=said_at, now=now
        )
    else:
        newer = max(said_at, meeting.source_updated_at or said_at)
        meetings.reschedule(meeting, facts=facts, status=status, marks=marks, said_at=newer, now=now)
        meetings.assign(meeting, to=user, now=now)
    guests = taken.people or _part(name.said, registers, "people") or []
    absent = {email for email, (_, was) in name.said.get("absent", {}).items() if was}
    meetings.invite(meeting, _participants(company, hosts, guests, absent, meeting), only=True, now=now)
    for row in names:
        if row.meeting_id != meeting.pk:
            row.meeting = meeting
            row.save(update_fields=["meeting"])
    return meeting


def _tip(names: list[MeetingUid]) -> MeetingUid:
    """The name under which the booking is known now: the one that no other has replaced. Of several (a chain with a
    missing link, or a ring that nobody honest sends) the one whose time was said last."""
    current = [row for row in names if not row.superseded] or names
    timed = [row for row in current if "when" in row.said.get("facts", {})] or current
    return max(timed, key=lambda row: (row.said.get("facts", {}).get("when", [["", ""]])[0][1], row.uid))


def _part(said: Register, registers: list[Register], part: str) -> Any:
    """What the current name says, else the newest that any other name has said."""
    found = value_of(said, "facts", part)
    return newest(registers, "facts", part) if found is None else found


def _facts(said: Register, registers: list[Register]) -> Facts:
    start, end, time_zone = value_of(said, "facts", "when")
    location, meeting_url = _part(said, registers, "place") or ["", ""]
    hosts = _part(said, registers, "hosts") or [["", ""]]
    return Facts(
        start_time=datetime.fromisoformat(start).astimezone(UTC),
        end_time=datetime.fromisoformat(end).astimezone(UTC),
        time_zone=time_zone,
        title=_part(said, registers, "title") or "",
        description=_part(said, registers, "description") or "",
        location=location,
        meeting_url=meeting_url,
        meeting_type=_part(said, registers, "kind") or "",
        organizer_email=hosts[0][0],
        organizer_name=hosts[0][1],
        ical_uid=_part(said, registers, "ical_uid") or "",
    )


def _status(name: MeetingUid, *, cancelled: bool) -> MeetingStatus:
    if cancelled:
        return MeetingStatus.CANCELLED
    if value_of(name.said, "marks", "ended"):
        return MeetingStatus.COMPLETED
    return MeetingStatus.SCHEDULED if name.said.get("confirmed") else MeetingStatus.PENDING


def _marks(said: Register, registers: list[Register], status: MeetingStatus) -> Marks:
    return Marks(
        started_at=_moment(value_of(said, "marks", "started")),
        ended_at=_moment(value_of(said, "marks", "ended")),
        payment_status=newest(registers, "marks", "payment") or "",
        recording_url=newest(registers, "marks", "recording") or "",
        transcript_url=newest(registers, "marks", "transcript") or "",
        cancellation_reason=(value_of(said, "marks", "reason") or "") if status == MeetingStatus.CANCELLED else "",
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _user(company: Company, meeting: Meeting | None, email: str) -> CrmUser | None:
    """Whose meeting it is: of whoever has the organizer's e-mail; but a meeting that somebody has stays theirs until
    another organizer is named, because people assign meetings here too."""
    if meeting is None:
        return people.known_by(company, email)
    if meeting.user is not None and email in {"", meeting.organizer_email}:
        return meeting.user
    return people.known_by(company, email)


def _participants(
    company: Company, hosts: list[list[str]], guests: list[list[str]], absent: set[str], meeting: Meeting
) -> list[Participant]:
    """The hosts first, each with their user where we know them; then the guests."""
    known = dict(meeting.participants.exclude(user=None).values_list("email", "user"))
    owners = CrmUser.objects.in_bulk(known.values())
    found: dict[str, Participant] = {}
    for email, name in hosts:
        user = owners[known[email]] if email in known else people.known_by(company, email)
        if email == meeting.organizer_email:
            user = meeting.user
        found[email] = Participant(
            email=email, name=name, role=ParticipantRole.HOST, no_show=email in absent, user=user
        )
    for email, name in guests:
        found.setdefault(email, Participant(email=email, name=name, no_show=email in absent))
    return list(found.values())
