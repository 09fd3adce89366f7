"""Meetings, and the ledger row that each of them writes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from busyblocks.models import BusyBlock
from calendars.errors import MeetingEndsBeforeItStarts
from calendars.models import Meeting
from calendars.models.meeting import MeetingStatus
from calendars.services import meetings
from calendars.services.meetings import Facts, Participant
from tenancy.models import Company, CrmUser

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HALF_PAST = NOON + timedelta(minutes=30)
FACTS = Facts(
    start_time=NOON,
    end_time=HALF_PAST,
    title="Consultation",
    location="Room 4",
    time_zone="Europe/Berlin",
    ical_uid="booking@cal.example",
)


@pytest.fixture
def alice() -> CrmUser:
    return CrmUser.objects.create(company=Company.objects.create(url_id="acme"), unique_id="alice")


def scheduled(user: CrmUser, facts: Facts = FACTS, status: MeetingStatus = MeetingStatus.SCHEDULED) -> Meeting:
    return meetings.schedule(
        user.company, source="calcom", facts=facts, user=user, status=status, said_at=NOON, now=NOON
    )


def test_meeting_writes_the_ledger_row_that_makes_its_user_busy(alice: CrmUser) -> None:
    meeting = scheduled(alice)
    row = BusyBlock.objects.get()
    assert (row.meeting_key, row.user, row.source) == (str(meeting.unique_id), alice, "calcom")
    assert (row.title, row.location, row.time_zone) == ("Consultation", "Room 4", "Europe/Berlin")
    assert (row.start_time, row.end_time, row.fbtype, row.status) == (NOON, HALF_PAST, "busy", "confirmed")
    assert row.uid == "booking@cal.example"
    assert CrmUser.objects.get().revision == 1


def test_meeting_without_a_uid_of_its_own_gets_a_stable_one(alice: CrmUser) -> None:
    meeting = scheduled(alice, replace(FACTS, ical_uid=""))
    assert BusyBlock.objects.get().uid == f"{meeting.unique_id}@calendar"


@pytest.mark.parametrize(
    ("status", "event_status", "fbtype"),
    [
        (MeetingStatus.SCHEDULED, "confirmed", "busy"),
        (MeetingStatus.COMPLETED, "confirmed", "busy"),
        (MeetingStatus.PENDING, "tentative", "busy-tentative"),
        (MeetingStatus.CANCELLED, "cancelled", "free"),
    ],
)
def test_status_of_a_meeting_decides_how_its_row_counts(
    alice: CrmUser, status: MeetingStatus, event_status: str, fbtype: str
) -> None:
    scheduled(alice, status=status)
    row = BusyBlock.objects.get()
    assert (row.status, row.fbtype) == (event_status, fbtype)


def test_cancelled_meeting_frees_its_user_and_raises_the_sequence(alice: CrmUser) -> None:
    meeting = scheduled(alice)
    meetings.cancel(meeting, said_at=HALF_PAST, now=HALF_PAST)
    row = BusyBlock.objects.get()
    assert (row.status, row.fbtype, row.sequence) == ("cancelled", "free", 1)
    assert (meeting.status, meeting.sequence) == ("cancelled", 1)


def test_cancelling_twice_changes_nothing(alice: CrmUser) -> None:
    meeting = scheduled(alice)
    for _ in range(2):
        meetings.cancel(meeting, said_at=HALF_PAST, now=HALF_PAST)
    assert (meeting.sequence, CrmUser.objects.get().revision) == (1, 2)


def test_rescheduled_meeting_moves_its_one_row(alice: CrmUser) -> None:
    meeting = scheduled(alice)
    later = replace(FACTS, start_time=HALF_PAST, end_time=HALF_PAST + timedelta(minutes=30))
    meetings.reschedule(meeting, facts=later, said_at=HALF_PAST, now=HALF_PAST)
    row = BusyBlock.objects.get()
    assert (row.start_time, row.sequence) == (HALF_PAST, 1)


def test_saying_the_same_again_raises_neither_sequence_nor_revision(alice: CrmUser) -> None:
    meeting = scheduled(alice)
    meetings.reschedule(meeting, facts=FACTS, said_at=HALF_PAST, now=HALF_PAST)
    assert (meeting.sequence, CrmUser.objects.get().revision) == (0, 1)


def test_meeting_without_a_user_makes_nobody_busy(alice: CrmUser) -> None:
    meetings.schedule(alice.company, source="calcom", facts=FACTS, user=None, said_at=NOON, now=NOON)
    assert not BusyBlock.objects.exists()


def test_assigned_meeting_makes_its_new_user_busy_and_the_old_one_free(alice: CrmUser) -> None:
    bob = CrmUser.objects.create(company=alice.company, unique_id="bob")
    meetings.assign(scheduled(alice), to=bob, now=HALF_PAST)
    assert BusyBlock.objects.get().user == bob
    assert dict(CrmUser.objects.values_list("unique_id", "revision")) == {"alice": 2, "bob": 1}


def test_meeting_that_ends_before_it_starts_is_refused(alice: CrmUser) -> None:
    with pytest.raises(MeetingEndsBeforeItStarts):
        scheduled(alice, replace(FACTS, end_time=NOON - timedelta(minutes=1)))


def test_participants_are_replaced_or_joined(alice: CrmUser) -> None:
    meeting = scheduled(alice)
    carol, dave = Participant(email="carol@example.com", name="Carol"), Participant(email="dave@example.com")
    meetings.invite(meeting, [carol], only=True, now=NOON)
    meetings.invite(meeting, [carol, dave], only=False, now=NOON)
    assert set(meeting.participants.values_list("email", flat=True)) == {carol.email, dave.email}
    meetings.invite(meeting, [replace(dave, name="Dave")], only=True, now=NOON)
    assert list(meeting.participants.values_list("email", "name")) == [(dave.email, "Dave")]


def test_removed_meeting_leaves_no_row(alice: CrmUser) -> None:
    meetings.remove(scheduled(alice), now=HALF_PAST)
    assert not Meeting.objects.exists()
    assert not BusyBlock.objects.exists()
