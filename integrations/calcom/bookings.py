"""From what is known of bookings to meetings: one booking, under all of its uids, is one meeting."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from calendars.errors import MeetingEndsBeforeItStarts
from calendars.models import Meeting, MeetingUid
from calendars.models.meeting import MeetingStatus, ParticipantRole, PaymentStatus
from calendars.services import meetings, people
from calendars.services.meetings import OWN_FIELDS, Facts, Marks, Participant
from integrations.calcom import series
from integrations.calcom.payloads import Booking
from integrations.calcom.register import Register, entry_of, newest, seats, told, value_of
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
        uids = series.affected(self.company, self.own) if self.own.series else []
        if self.old is not None and merged is None:
            # A seat has left for another booking.
            others = _meeting_of(self.old, None, now=now)
            _bring(self.company, _with_others([self.old], others), others, said_at=said_at, now=now)
            self.old.save()
        names = _with_others([self.own, merged] if merged else [self.own], meeting)
        meeting = _bring(self.company, names, meeting, said_at=said_at, now=now)
        for row in (self.own, merged):
            if row is not None:
                row.save()
        for uid in uids:
            # In the order of their text, as all names are locked.
            with opened(self.company, uid) as other:
                series.conclude(self.own, other.own)
                found = _meeting_of(other.own, None, now=now)
                _bring(self.company, _with_others([other.own], found), found, said_at=said_at, now=now)
                other.own.save()
        return meeting


@contextmanager
def opened(company: Company, uid: str, old_uid: str = "") -> Iterator[Names]:
    """The rows of the uid and of the one that it replaces, locked until the end of the transaction.

    They are made and locked in the order of their text, so that two deliveries of one chain wait for each other
    instead of dying in a deadlock.
    """
    texts = sorted({uid, old_uid} - {""})
    rows = MeetingUid.objects.select_for_update().filter(company=company, source=SOURCE, uid__in=texts).order_by("uid")
    found = {row.uid: row for row in rows}
    if missing := [text for text in texts if text not in found]:
        made = [MeetingUid(company=company, source=SOURCE, uid=text) for text in missing]
        # Whoever makes it at the same time is waited for, and theirs is read.
        MeetingUid.objects.bulk_create(made, ignore_conflicts=True)
        found = {row.uid: row for row in rows.all()}
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
    if not pks:
        return None
    found = list(
        Meeting.objects.select_for_update(of=("self",)).select_related("user").filter(pk__in=pks).order_by("pk")
    )
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
    if told(name.said, "when") is None:
        return meeting
    registers = [row.said for row in names]
    facts, hosts = _facts(name.said, registers), _part(name.said, registers, "hosts") or []
    taken = seats(name.said)
    marks = _marks(name.said, registers)
    off = name.cancelled_at is not None or taken.all_left or series.is_off(name.said)
    status = _status(name, marks, cancelled=off)
    if status != MeetingStatus.CANCELLED:
        marks = replace(marks, cancellation_reason="")
    guests = taken.people or _part(name.said, registers, "people") or []
    absent = {email for email, (_, was) in name.said.get("absent", {}).items() if was}
    people_now = _People(company, meeting, facts, hosts)
    participants = people_now.participants(guests, absent)
    if meeting is None:
        meeting = meetings.schedule(
            company,
            source=SOURCE,
            facts=facts,
            user=people_now.user,
            participants=participants,
            status=status,
            marks=marks,
            said_at=said_at,
            now=now,
        )
    else:
        meetings.restate(
            meeting,
            facts=facts,
            status=status,
            marks=marks,
            user=people_now.user,
            participants=participants,
            said_at=said_at,
            now=now,
        )
    for row in names:
        if row.meeting_id != meeting.pk:
            row.meeting = meeting
            row.save(update_fields=["meeting"])
    return meeting


def _tip(names: list[MeetingUid]) -> MeetingUid:
    """The name under which the booking is known now: the one that no other has replaced. Of several (a chain with a
    missing link, or a ring that nobody honest sends) the one whose time was said last."""
    current = [row for row in names if not row.superseded] or names
    timed = [(entry[0][1], row.uid, row) for row in current if (entry := told(row.said, "when"))]
    return max(timed)[2] if timed else max(current, key=lambda row: row.uid)


def _part(said: Register, registers: list[Register], part: str) -> Any:
    """What the current name says, else the newest that any other name has said."""
    entry = told(said, part) or entry_of(registers, "facts", part) or entry_of(registers, "repeated", part)
    return entry[1] if entry else None


def _facts(said: Register, registers: list[Register]) -> Facts:
    start, end, time_zone = _part(said, registers, "when")
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


def _status(name: MeetingUid, marks: Marks, *, cancelled: bool) -> MeetingStatus:
    if cancelled:
        return MeetingStatus.CANCELLED
    if marks.ended_at:
        return MeetingStatus.COMPLETED
    # A booking that waits for its payment is called accepted all the while.
    accepted = name.said.get("accepted") and marks.payment_status != PaymentStatus.AWAITED
    return MeetingStatus.SCHEDULED if name.said.get("confirmed") or accepted else MeetingStatus.PENDING


def _marks(said: Register, registers: list[Register]) -> Marks:
    return Marks(
        started_at=_moment(value_of(said, "marks", "started")),
        ended_at=_moment(value_of(said, "marks", "ended")),
        payment_status=newest(registers, "marks", "payment") or "",
        recording_url=newest(registers, "marks", "recording") or "",
        transcript_url=newest(registers, "marks", "transcript") or "",
        cancellation_reason=value_of(said, "marks", "reason") or "",
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


class _People:
    """Whose meeting it is, and who takes part: everybody is looked up at once."""

    def __init__(self, company: Company, meeting: Meeting | None, facts: Facts, hosts: list[list[str]]) -> None:
        self._hosts = hosts
        self._seated: dict[str, CrmUser] = {}
        if meeting is not None:
            rows = meeting.participants.exclude(user=None).select_related("user")
            self._seated = {row.email: row.user for row in rows if row.user is not None}
        organizer = facts.organizer_email
        # A meeting that somebody has stays theirs until another organizer is named: people assign meetings here too.
        kept = meeting.user if meeting is not None and organizer in {"", meeting.organizer_email} else None
        self._organizer = organizer or (meeting.organizer_email if meeting is not None else "")
        asked = {email for email, _ in hosts if email not in self._seated}
        self._known = people.known(company, asked | ({organizer} if kept is None else set()) - {""})
        self.user = kept or self._known.get(organizer)

    def participants(self, guests: list[list[str]], absent: set[str]) -> list[Participant]:
        """The hosts first, each with their user where we know them; then the guests."""
        found: dict[str, Participant] = {}
        for email, name in self._hosts:
            user = self._seated.get(email) or self._known.get(email)
            if email == self._organizer:
                user = self.user
            found[email] = Participant(
                email=email, name=name, role=ParticipantRole.HOST, no_show=email in absent, user=user
            )
        for email, name in guests:
            found.setdefault(email, Participant(email=email, name=name, no_show=email in absent))
        return list(found.values())
