"""Meetings, each with the ledger row that makes its user busy: both are written in one transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from busyblocks.entries import fbtype_of
from busyblocks.models import BusyBlock, EventStatus, Transparency
from calendars.errors import MeetingEndsBeforeItStarts
from calendars.models import Meeting, MeetingParticipant
from calendars.models.meeting import MeetingStatus
from tenancy.models import Company, CrmUser, bump_revision

_EVENT_STATUS = {
    MeetingStatus.SCHEDULED: EventStatus.CONFIRMED,
    MeetingStatus.COMPLETED: EventStatus.CONFIRMED,
    MeetingStatus.PENDING: EventStatus.TENTATIVE,
    MeetingStatus.CANCELLED: EventStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Somebody who takes part, by e-mail (lower case)."""

    email: str
    name: str = ""
    role: str = "attendee"
    rsvp_status: str = "accepted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is said of a meeting. The field names are the row's; times are aware, UTC; organizer_email lower case."""

    start_time: datetime
    end_time: datetime
    time_zone: str = "UTC"
    title: str = ""
    description: str = ""
    location: str = ""
    meeting_url: str = ""
    meeting_type: str = ""
    organizer_name: str = ""
    organizer_email: str = ""
    ical_uid: str = ""


FACT_FIELDS = tuple(Facts.__dataclass_fields__)


def schedule(
    company: Company,
    *,
    source: str,
    facts: Facts,
    user: CrmUser | None,
    participants: Iterable[Participant] = (),
    status: MeetingStatus = MeetingStatus.SCHEDULED,
    sequence: int = 0,
    said_at: datetime,
    now: datetime,
) -> Meeting:
    """A new meeting of `user` (None: its host is not known yet, and it makes nobody busy).

    said_at: when its source said this. Raises `MeetingEndsBeforeItStarts`.
    """
    _check(facts)
    with transaction.atomic():
        meeting = Meeting(
            company=company, user=user, source=source, status=status, sequence=sequence, source_updated_at=said_at
        )
        _take(meeting, facts)
        meeting.save()
        _replace_participants(meeting, participants)
        _write_row(meeting, now=now)
    return meeting


def reschedule(
    meeting: Meeting,
    *,
    facts: Facts,
    status: MeetingStatus = MeetingStatus.SCHEDULED,
    sequence: int = 0,
    said_at: datetime,
    now: datetime,
) -> Meeting:
    """The meeting as its source says it is now: times, place, words and status. Saying the same again changes nothing.

    An empty iCalendar UID or organizer keeps the known one. Participants are the business of `invite`.
    Raises `MeetingEndsBeforeItStarts`.
    """
    _check(facts)
    with transaction.atomic():
        before = _visible(meeting)
        _take(meeting, facts)
        meeting.status = status
        meeting.source_updated_at = said_at
        changed = _visible(meeting) != before
        # RFC 5545 §3.8.7.4: readers keep the copy with the higher number.
        meeting.sequence = max(meeting.sequence + changed, sequence)
        meeting.save()
        if changed:
            _write_row(meeting, now=now)
    return meeting


def cancel(meeting: Meeting, *, said_at: datetime, now: datetime) -> Meeting:
    """The meeting called off: it stays listed, and its user is free. Cancelling twice changes nothing."""
    if meeting.status == MeetingStatus.CANCELLED:
        return meeting
    with transaction.atomic():
        meeting.status = MeetingStatus.CANCELLED
        meeting.sequence += 1
        meeting.source_updated_at = max(said_at, meeting.source_updated_at or said_at)
        meeting.save()
        _write_row(meeting, now=now)
    return meeting


def assign(meeting: Meeting, *, to: CrmUser, now: datetime) -> Meeting:
    """The meeting as `to`'s: it makes them busy, and nobody else any more."""
    if meeting.user_id == to.pk:
        return meeting
    with transaction.atomic():
        _forget_row(meeting, now=now)
        meeting.user = to
        meeting.save()
        _write_row(meeting, now=now)
    return meeting


def adopt(user: CrmUser, *, email: str, now: datetime) -> int:
    """Give `user` the meetings whose host by this e-mail nobody was matched to; how many."""
    waiting = Meeting.objects.filter(company_id=user.company_id, user=None, organizer_email=email.strip().lower())
    found = list(waiting.select_for_update())
    for meeting in found:
        assign(meeting, to=user, now=now)
    return len(found)


def invite(meeting: Meeting, participants: Iterable[Participant], *, only: bool) -> None:
    """Make `participants` take part; with `only`, nobody else does."""
    with transaction.atomic():
        if only:
            _replace_participants(meeting, participants)
            return
        known = set(meeting.participants.values_list("email", flat=True))
        _add_participants(meeting, [person for person in participants if person.email not in known])


def uninvite(meeting: Meeting, emails: Iterable[str]) -> int:
    """Take these people out; how many attendees remain."""
    with transaction.atomic():
        meeting.participants.filter(email__in=list(emails)).exclude(role="host").delete()
        return meeting.participants.exclude(role="host").count()


def remove(meeting: Meeting, *, now: datetime) -> None:
    """Delete the meeting with its ledger row: it turned out to be another one under a different name."""
    with transaction.atomic():
        _forget_row(meeting, now=now)
        meeting.delete()


def _check(facts: Facts) -> None:
    if facts.end_time < facts.start_time:
        raise MeetingEndsBeforeItStarts


def _take(meeting: Meeting, facts: Facts) -> None:
    for name in FACT_FIELDS:
        value = getattr(facts, name)
        if value or name not in {"ical_uid", "organizer_name", "organizer_email"}:
            setattr(meeting, name, value)


def _visible(meeting: Meeting) -> tuple[object, ...]:
    return (meeting.status, *(getattr(meeting, name) for name in FACT_FIELDS))


def _replace_participants(meeting: Meeting, participants: Iterable[Participant]) -> None:
    wanted = {person.email: person for person in participants}
    known = {row.email: row for row in meeting.participants.all()}
    gone = [row.pk for email, row in known.items() if email not in wanted]
    if gone:
        MeetingParticipant.objects.filter(pk__in=gone).delete()
    for email, person in wanted.items():
        row = known.get(email)
        if row is not None and (row.name, row.role) != (person.name, person.role):
            row.name, row.role = person.name, person.role
            row.save(update_fields=["name", "role"])
    _add_participants(meeting, [person for email, person in wanted.items() if email not in known])


def _add_participants(meeting: Meeting, participants: list[Participant]) -> None:
    MeetingParticipant.objects.bulk_create(
        [
            MeetingParticipant(
                meeting=meeting,
                email=person.email,
                name=person.name,
                role=person.role,
                rsvp_status=person.rsvp_status,
            )
            for person in participants
        ]
    )


def _write_row(meeting: Meeting, *, now: datetime) -> None:
    if meeting.user_id is None:
        return
    status = _EVENT_STATUS[MeetingStatus(meeting.status)]
    values = {
        "company_id": meeting.company_id,
        "source": meeting.source,
        "uid": meeting.ical_uid or f"{meeting.unique_id}@calendar",
        "sequence": meeting.sequence,
        "title": meeting.title,
        "description": meeting.description,
        "location": meeting.location or meeting.meeting_url,
        "start_time": meeting.start_time,
        "end_time": meeting.end_time,
        "time_zone": meeting.time_zone,
        "status": status,
        "fbtype": fbtype_of(transparency=Transparency.OPAQUE, status=status),
    }
    BusyBlock.objects.update_or_create(
        meeting_key=str(meeting.unique_id), user_id=meeting.user_id, recurrence_id="", defaults=values
    )
    bump_revision(meeting.user_id, at=now)


def _forget_row(meeting: Meeting, *, now: datetime) -> None:
    if meeting.user_id is None:
        return
    BusyBlock.objects.filter(meeting_key=str(meeting.unique_id)).delete()
    bump_revision(meeting.user_id, at=now)
