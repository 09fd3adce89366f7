"""Meetings, each with the ledger rows that make its people busy: both are written in one transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from busyblocks.entries import fbtype_of
from busyblocks.models import BusyBlock, EventStatus, Transparency
from busyblocks.prepared import revised
from calendars.errors import MeetingEndsBeforeItStarts, MeetingIsBooked
from calendars.models import Meeting, MeetingParticipant
from calendars.models.meeting import MeetingStatus, ParticipantRole
from tenancy.models import Company, CrmUser

_EVENT_STATUS = {
    MeetingStatus.SCHEDULED: EventStatus.CONFIRMED,
    MeetingStatus.COMPLETED: EventStatus.CONFIRMED,
    MeetingStatus.PENDING: EventStatus.TENTATIVE,
    MeetingStatus.CANCELLED: EventStatus.CANCELLED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Somebody who takes part, by e-mail (lower case). With a `user`, the meeting takes that user's time too."""

    email: str
    name: str = ""
    role: str = ParticipantRole.ATTENDEE
    rsvp_status: str = "accepted"
    phone: str = ""
    contact_unique_id: str = ""
    no_show: bool = False
    user: CrmUser | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is said of a meeting. The field names are the row's; times are aware, UTC; organizer_email lower case.

    all_day: the times are 00:00 UTC of the first date and of the date after the last.
    """

    start_time: datetime
    end_time: datetime
    all_day: bool = False
    time_zone: str = "UTC"
    title: str = ""
    description: str = ""
    location: str = ""
    meeting_url: str = ""
    meeting_type: str = ""
    organizer_name: str = ""
    organizer_email: str = ""
    ical_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a source tells beside the facts; the field names are the row's. None of it shows in a calendar."""

    started_at: datetime | None = None
    ended_at: datetime | None = None
    payment_status: str = ""
    recording_url: str = ""
    transcript_url: str = ""
    cancellation_reason: str = ""


FACT_FIELDS = tuple(Facts.__dataclass_fields__)
MARK_FIELDS = tuple(Marks.__dataclass_fields__)
# Columns of the CRM's own, which no source knows and which may be changed whatever the source.
OWN_FIELDS = ("code", "account_unique_id", "meeting_score", "payload")
_PERSON_FIELDS = ("name", "role", "rsvp_status", "phone", "contact_unique_id", "no_show")


def schedule(
    company: Company,
    *,
    source: str,
    facts: Facts,
    user: CrmUser | None,
    participants: Iterable[Participant] = (),
    status: MeetingStatus = MeetingStatus.SCHEDULED,
    marks: Marks | None = None,
    sequence: int = 0,
    said_at: datetime,
    own: dict[str, Any] | None = None,
    now: datetime,
) -> Meeting:
    """A new meeting of `user` (None: its host is not known yet, and it makes nobody busy).

    said_at: when its source said this. own: values of OWN_FIELDS. Raises `MeetingEndsBeforeItStarts`.
    """
    _check(facts)
    people = list({person.email: person for person in participants}.values())
    with transaction.atomic(savepoint=False):
        meeting = Meeting(
            company=company, user=user, source=source, status=status, sequence=sequence, source_updated_at=said_at
        )
        _take(meeting, facts)
        _mark(meeting, marks)
        for name, value in (own or {}).items():
            setattr(meeting, name, value)
        meeting.save(force_insert=True)
        _add_participants(meeting, people)
        users = {person.user.pk for person in people if person.user is not None}
        if user is not None:
            users.add(user.pk)
        _add_rows(meeting, users, now=now)
    return meeting


def reschedule(
    meeting: Meeting,
    *,
    facts: Facts,
    status: MeetingStatus = MeetingStatus.SCHEDULED,
    marks: Marks | None = None,
    sequence: int = 0,
    said_at: datetime,
    now: datetime,
) -> Meeting:
    """The meeting as its source says it is now: times, place, words and status. Saying the same again changes nothing.

    An empty iCalendar UID or organizer keeps the known one; so do marks that are None.
    Participants are the business of `invite`. Raises `MeetingEndsBeforeItStarts`.
    """
    _check(facts)
    with transaction.atomic():
        before, known = _visible(meeting), (meeting.sequence, _marks_of(meeting))
        _take(meeting, facts)
        _mark(meeting, marks)
        meeting.status = status
        meeting.source_updated_at = said_at
        changed = _visible(meeting) != before
        # RFC 5545 §3.8.7.4: readers keep the copy with the higher number.
        meeting.sequence = max(meeting.sequence + changed, sequence)
        if changed or known != (meeting.sequence, _marks_of(meeting)):
            meeting.save()
        if changed:
            _write_rows(meeting, now=now)
    return meeting


def restate(
    meeting: Meeting,
    *,
    facts: Facts,
    status: MeetingStatus,
    marks: Marks,
    user: CrmUser | None,
    participants: Iterable[Participant],
    said_at: datetime,
    now: datetime,
) -> Meeting:
    """All of the meeting as its source says it is now: what `reschedule`, `assign` and `invite(only=True)` would do one
    after the other, with the ledger written once. Saying the same again writes nothing.

    The caller has a transaction open and the meeting locked. Raises `MeetingEndsBeforeItStarts`.
    """
    _check(facts)
    before, known = _visible(meeting), (meeting.user_id, _marks_of(meeting))
    _take(meeting, facts)
    _mark(meeting, marks)
    meeting.status = status
    meeting.user = user
    changed = _visible(meeting) != before
    given_away = meeting.user_id != known[0]
    if changed or (meeting.user_id, _marks_of(meeting)) != known:
        meeting.source_updated_at = max(said_at, meeting.source_updated_at or said_at)
        meeting.sequence += changed
        meeting.save()
    told = _replace_participants(meeting, participants)
    if changed or given_away or told:
        _write_rows(meeting, now=now, told=told)
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
        _write_rows(meeting, now=now)
    return meeting


def annotate(meeting: Meeting, own: dict[str, Any]) -> Meeting:
    """The meeting with new values of some OWN_FIELDS. No calendar shows them."""
    for name, value in own.items():
        setattr(meeting, name, value)
    if own:
        meeting.save(update_fields=[*own, "updated_at"])
    return meeting


def assign(meeting: Meeting, *, to: CrmUser | None, now: datetime) -> Meeting:
    """The meeting as `to`'s: it takes their time, and that of whoever had it no more. None: it waits for its host."""
    if meeting.user_id == (to.pk if to else None):
        return meeting
    with transaction.atomic():
        meeting.user = to
        meeting.save(update_fields=["user", "updated_at"])
        # Whoever it is taken from is not the organizer as a participant either.
        if meeting.organizer_email:
            meeting.participants.filter(email=meeting.organizer_email, role=ParticipantRole.HOST).update(user=to)
        _write_rows(meeting, now=now)
    return meeting


def adopt(user: CrmUser, *, email: str, now: datetime) -> int:
    """Give `user` the meetings that wait for a host of this e-mail; how many."""
    email = email.strip().lower()
    if not email:
        return 0
    with transaction.atomic():
        ours = Meeting.objects.filter(company_id=user.company_id)
        waiting = list(ours.filter(user=None, organizer_email=email).select_for_update().order_by("pk"))
        for meeting in waiting:
            _recognize(meeting, email, user)
            assign(meeting, to=user, now=now)
        # Those of other organizers in which they are a host too.
        hosting = Q(participants__user=None, participants__role=ParticipantRole.HOST, participants__email=email)
        hosted = ours.filter(pk__in=ours.filter(hosting).values("pk"))
        others = list(hosted.select_for_update().order_by("pk"))
        for meeting in others:
            _recognize(meeting, email, user)
            _write_rows(meeting, now=now)
    return len(waiting) + len(others)


def _recognize(meeting: Meeting, email: str, user: CrmUser) -> None:
    meeting.participants.filter(email=email, role=ParticipantRole.HOST, user=None).update(user=user)


def invite(meeting: Meeting, participants: Iterable[Participant], *, only: bool, now: datetime) -> bool:
    """Make `participants` take part; with `only`, nobody else does. Whether that changed anything."""
    with transaction.atomic():
        if only:
            changed = _replace_participants(meeting, participants)
        else:
            known = set(meeting.participants.values_list("email", flat=True))
            added = [person for person in participants if person.email not in known]
            _add_participants(meeting, added)
            changed = bool(added)
        if changed:
            _write_rows(meeting, now=now, told=True)
    return changed


def uninvite(meeting: Meeting, emails: Iterable[str], *, now: datetime) -> int:
    """Take these people out; how many of them there were."""
    with transaction.atomic():
        count, _ = meeting.participants.filter(email__in=list(emails)).delete()
        if count:
            _write_rows(meeting, now=now, told=True)
    return count


def discard(meeting: Meeting, *, now: datetime) -> Meeting:
    """Put the meeting into the trash: nobody's time, in no list, until it is recovered. Twice changes nothing."""
    if meeting.deleted_at is not None:
        return meeting
    with transaction.atomic():
        meeting.deleted_at = now
        # Feeds tell that it is gone, and readers keep the copy with the higher number (RFC 5545 §3.8.7.4).
        meeting.sequence += 1
        meeting.save(update_fields=["deleted_at", "sequence", "updated_at"])
        _write_rows(meeting, now=now)
    return meeting


def recover(meeting: Meeting, *, now: datetime) -> Meeting:
    """Take the meeting out of the trash, as its source says it is by now. Twice changes nothing."""
    if meeting.deleted_at is None:
        return meeting
    with transaction.atomic():
        meeting.deleted_at = None
        meeting.sequence += 1
        meeting.save(update_fields=["deleted_at", "sequence", "updated_at"])
        _write_rows(meeting, now=now)
    return meeting


def remove(meeting: Meeting, *, now: datetime) -> None:
    """Delete the meeting with its ledger rows, for good: it turned out to be another one under a different name."""
    with transaction.atomic():
        _forget_rows(meeting, now=now)
        meeting.delete()


def check_made_here(meeting: Meeting) -> None:
    """Raises `MeetingIsBooked` for a meeting that another source decides."""
    if not meeting.made_here:
        raise MeetingIsBooked(meeting.source)


def of_user(meetings: QuerySet[Meeting], unique_id: str) -> QuerySet[Meeting]:
    """Those of `meetings` that are the user's own, or in which they take part as a user of the company."""
    taking_part = MeetingParticipant.objects.filter(user__unique_id=unique_id).values("meeting")
    return meetings.filter(Q(user__unique_id=unique_id) | Q(pk__in=taking_part))


def _check(facts: Facts) -> None:
    if facts.end_time < facts.start_time:
        raise MeetingEndsBeforeItStarts


def _take(meeting: Meeting, facts: Facts) -> None:
    for name in FACT_FIELDS:
        value = getattr(facts, name)
        if value or name not in {"ical_uid", "organizer_name", "organizer_email"}:
            setattr(meeting, name, value)


def _mark(meeting: Meeting, marks: Marks | None) -> None:
    if marks is not None:
        for name in MARK_FIELDS:
            setattr(meeting, name, getattr(marks, name))


def _marks_of(meeting: Meeting) -> tuple[object, ...]:
    return tuple(getattr(meeting, name) for name in MARK_FIELDS)


def _visible(meeting: Meeting) -> tuple[object, ...]:
    return (meeting.status, *(getattr(meeting, name) for name in FACT_FIELDS))


# Participants -----------------------------------------------------------------------------------------------------


def _replace_participants(meeting: Meeting, participants: Iterable[Participant]) -> bool:
    """Whether anything changed."""
    wanted = {person.email: person for person in participants}
    known = {row.email: row for row in meeting.participants.all()}
    gone = [row.pk for email, row in known.items() if email not in wanted]
    if gone:
        MeetingParticipant.objects.filter(pk__in=gone).delete()
    changed = bool(gone)
    for email, person in wanted.items():
        row = known.get(email)
        if row is not None and _person_of(row) != _values(person):
            for name, value in _values(person).items():
                setattr(row, name, value)
            row.save()
            changed = True
    added = [person for email, person in wanted.items() if email not in known]
    _add_participants(meeting, added)
    return changed or bool(added)


def _add_participants(meeting: Meeting, participants: list[Participant]) -> None:
    MeetingParticipant.objects.bulk_create(
        [MeetingParticipant(meeting=meeting, email=person.email, **_values(person)) for person in participants]
    )


def _values(person: Participant) -> dict[str, Any]:
    values = {name: getattr(person, name) for name in _PERSON_FIELDS}
    return {**values, "user_id": person.user.pk if person.user else None}


def _person_of(row: MeetingParticipant) -> dict[str, Any]:
    return {name: getattr(row, name) for name in (*_PERSON_FIELDS, "user_id")}


# The ledger -------------------------------------------------------------------------------------------------------


def _write_rows(meeting: Meeting, *, now: datetime, told: bool = False) -> None:
    """Make the ledger say what the meeting says, to everybody whose time it takes and to nobody else.

    told: something changed that readers of a calendar see and the ledger does not hold (who takes part).
    """
    users: set[int] = set()
    if meeting.deleted_at is None:
        users.update(meeting.participants.exclude(user=None).values_list("user_id", flat=True))
        if meeting.user_id is not None:
            users.add(meeting.user_id)
    values = _row_of(meeting)
    rows = {row.user_id: row for row in BusyBlock.objects.filter(meeting_key=str(meeting.unique_id))}
    touched = set(users) if told else set()
    for user_id, row in rows.items():
        if user_id not in users:
            row.delete()
            touched.add(user_id)
        elif any(getattr(row, name) != value for name, value in values.items()):
            BusyBlock.objects.filter(pk=row.pk).update(**values, updated_at=now)
            touched.add(user_id)
    _add_rows(meeting, users - rows.keys(), also=touched, now=now)


def _add_rows(meeting: Meeting, users: Iterable[int], *, also: Iterable[int] = (), now: datetime) -> None:
    """A row for each of these users, who have none yet; their revision counts up, and that of the others too."""
    wanted = sorted(users)
    if wanted:
        key, values = str(meeting.unique_id), _row_of(meeting)
        BusyBlock.objects.bulk_create(BusyBlock(meeting_key=key, user_id=user_id, **values) for user_id in wanted)
    # In one order everywhere, so that two meetings of the same people do not wait for each other.
    for user_id in sorted({*wanted, *also}):
        revised(user_id, at=now)


def _row_of(meeting: Meeting) -> dict[str, Any]:
    status = _EVENT_STATUS[MeetingStatus(meeting.status)]
    return {
        "company_id": meeting.company_id,
        "source": meeting.source,
        "uid": meeting.ical_uid or f"{meeting.unique_id}@calendar",
        "sequence": meeting.sequence,
        "title": meeting.title,
        "description": meeting.description,
        "location": meeting.location or meeting.meeting_url,
        "start_time": meeting.start_time,
        "end_time": meeting.end_time,
        "all_day": meeting.all_day,
        "time_zone": meeting.time_zone,
        "status": status,
        "fbtype": fbtype_of(transparency=Transparency.OPAQUE, status=status),
    }


def _forget_rows(meeting: Meeting, *, now: datetime) -> None:
    rows = BusyBlock.objects.filter(meeting_key=str(meeting.unique_id))
    users = sorted(rows.values_list("user_id", flat=True))
    rows.delete()
    for user_id in users:
        revised(user_id, at=now)
