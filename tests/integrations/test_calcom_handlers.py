"""What deliveries make of meetings: in order, out of order, twice, and at once."""

import itertools
from functools import partial
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount, Meeting, MeetingUid
from integrations import deliveries
from integrations.calcom import handlers, payloads
from integrations.models import WebhookDelivery
from tenancy.models import CrmUser
from tests.integrations.calcom import acme, compact, delivery, moved, user_with_account
from tests.together import at_once

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> CrmUser:
    return user_with_account()


def say(*documents: dict[str, Any]) -> Meeting | None:
    """Handle these, one after the other; what the last led to."""
    meeting = None
    for document in documents:
        now = timezone.now()
        meeting = handlers.handle(acme(), payloads.envelope(compact(document)), received_at=now, now=now)
    return meeting


def state() -> dict[str, Any]:
    """All that can be seen of the one meeting, and of its ledger row."""
    meeting = Meeting.objects.get()
    row = BusyBlock.objects.get()
    return {
        "status": meeting.status,
        "start": meeting.start_time.isoformat(),
        "people": sorted(meeting.participants.values_list("email", flat=True)),
        "row": (row.start_time == meeting.start_time, row.fbtype),
        "superseded": dict(MeetingUid.objects.order_by("uid").values_list("uid", "superseded")),
        "uids": set(MeetingUid.objects.values_list("meeting", flat=True)) == {meeting.pk},
    }


CREATED = delivery("BOOKING_CREATED", "a", at="09:00")
REQUESTED = delivery("BOOKING_REQUESTED", "a", at="08:00")
REJECTED = delivery("BOOKING_REJECTED", "a", at="09:00")
CANCELLED = delivery("BOOKING_CANCELLED", "a", at="12:00")
TO_B = moved("b", "a", at="10:00", hour=11)
TO_C = moved("c", "b", at="11:00", hour=14)
C_CANCELLED = delivery("BOOKING_CANCELLED", "c", at="12:00", start="2026-03-21T14:00:00Z", end="2026-03-21T14:30:00Z")
TO_B_ASKED = moved("b", "a", at="10:00", hour=11, trigger="BOOKING_REQUESTED")
B_CONFIRMED = delivery("BOOKING_CREATED", "b", at="10:30", start="2026-03-21T11:00:00Z", end="2026-03-21T11:30:00Z")
A_ASKED_TO_MOVE = delivery("BOOKING_CANCELLED", "a", at="09:30", requestReschedule=True)


def test_created_booking_is_a_meeting_of_its_organizers_user(alice: CrmUser) -> None:
    meeting = say(CREATED)
    assert meeting is not None
    assert (meeting.user, meeting.status, meeting.source) == (alice, "scheduled", "calcom")
    assert (meeting.title, meeting.time_zone) == ("Consultation", "Europe/Berlin")
    assert list(meeting.participants.values_list("email", "role")) == [
        ("alice@acme.example", "host"),
        ("client@example.com", "attendee"),
    ]
    row = BusyBlock.objects.get()
    assert (row.user, row.source, row.fbtype) == (alice, "calcom", "busy")


@pytest.mark.parametrize(
    ("story", "status", "start"),
    [
        pytest.param([REQUESTED], "pending", "2026-03-20T10", id="asked for"),
        pytest.param([REQUESTED, CREATED], "scheduled", "2026-03-20T10", id="asked for and confirmed"),
        pytest.param([REQUESTED, REJECTED], "cancelled", "2026-03-20T10", id="asked for and rejected"),
        pytest.param([CREATED, CANCELLED], "cancelled", "2026-03-20T10", id="booked and cancelled"),
        pytest.param([CREATED, TO_B], "scheduled", "2026-03-21T11", id="moved"),
        pytest.param([CREATED, TO_B, TO_C], "scheduled", "2026-03-21T14", id="moved twice"),
        pytest.param([CREATED, TO_B, TO_C, C_CANCELLED], "cancelled", "2026-03-21T14", id="moved twice, cancelled"),
        pytest.param([CREATED, TO_B, CANCELLED], "scheduled", "2026-03-21T11", id="the old slot is cancelled too"),
        pytest.param([CREATED, TO_B_ASKED], "pending", "2026-03-21T11", id="moved to a slot that waits"),
        pytest.param([CREATED, TO_B_ASKED, B_CONFIRMED], "scheduled", "2026-03-21T11", id="moved and confirmed"),
        pytest.param([CREATED, A_ASKED_TO_MOVE, TO_B], "scheduled", "2026-03-21T11", id="the host asked to move it"),
    ],
)
def test_story_ends_the_same_in_every_order_and_told_twice(
    alice: CrmUser, story: list[dict[str, Any]], status: str, start: str
) -> None:
    say(*story)
    told = state()
    assert told["status"] == status
    assert told["start"].startswith(start)
    assert told["uids"]
    for order in itertools.permutations(story):
        Meeting.objects.all().delete()
        MeetingUid.objects.all().delete()
        BusyBlock.objects.all().delete()
        say(*order)
        assert state() == told, [document["triggerEvent"] for document in order]
        say(*order)
        assert state() == told, "told twice"


def test_cancellation_of_a_booking_that_nobody_heard_of_leaves_a_tombstone(alice: CrmUser) -> None:
    assert say(CANCELLED) is None
    assert not Meeting.objects.exists()
    assert MeetingUid.objects.get().cancelled_at is not None


def test_saying_the_same_twice_bumps_no_revision(alice: CrmUser) -> None:
    say(CREATED)
    before = CrmUser.objects.get().revision
    say(CREATED)
    assert CrmUser.objects.get().revision == before


def test_moved_booking_keeps_the_meetings_public_id(alice: CrmUser) -> None:
    first, second = say(CREATED), say(TO_B)
    assert first is not None
    assert second is not None
    assert first.unique_id == second.unique_id


def test_older_word_about_a_booking_changes_nothing(alice: CrmUser) -> None:
    newer = delivery("BOOKING_CREATED", "a", at="10:00", title="New")
    say(newer, delivery("BOOKING_CREATED", "a", at="09:00", title="Old"))
    assert Meeting.objects.get().title == "New"


def test_clock_of_the_sender_that_runs_ahead_does_not_shut_out_what_comes_later(alice: CrmUser) -> None:
    ahead = {**CREATED, "createdAt": "2999-01-01T00:00:00Z"}
    unsaid = {**delivery("BOOKING_CREATED", "a", title="Later"), "createdAt": None}
    say(ahead, unsaid)
    assert Meeting.objects.get().title == "Later"


@pytest.mark.parametrize("email", ["alice@acme.example", "Alice@ACME.Example"])
def test_host_is_matched_by_the_email_of_a_calendar_account_in_any_case(alice: CrmUser, email: str) -> None:
    say(delivery("BOOKING_CREATED", host=email))
    assert Meeting.objects.get().user == alice


def test_connected_account_beats_one_that_only_claims_the_email() -> None:
    user_with_account("bob")
    alice = user_with_account("alice")
    CalendarAccount.objects.filter(user=alice).update(connected=True)
    say(CREATED)
    assert Meeting.objects.get().user == alice


def test_users_own_email_beats_an_account_that_only_claims_it_and_no_connected_one() -> None:
    bob = user_with_account("bob")
    alice = CrmUser.objects.create(company=acme(), unique_id="alice", email="Alice@acme.example")
    say(CREATED)
    assert Meeting.objects.get().user == alice
    CalendarAccount.objects.filter(user=bob).update(connected=True)
    say(delivery("BOOKING_CREATED", "z"))
    assert Meeting.objects.get(uids__uid="z").user == bob


@pytest.mark.parametrize(
    ("before", "document", "count"),
    [
        # The names twice and made, whose they are, the meeting, its people, its row, the revision, and a savepoint.
        pytest.param([], CREATED, 13, id="booked"),
        pytest.param([CREATED], CREATED, 8, id="told again"),
        pytest.param([CREATED], TO_B, 17, id="moved"),
        pytest.param([CREATED, TO_B], delivery("BOOKING_CANCELLED", "b", at="12:00"), 14, id="cancelled"),
    ],
)
def test_delivery_costs_few_queries(
    alice: CrmUser,
    before: list[dict[str, Any]],
    document: dict[str, Any],
    count: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    CalendarAccount.objects.update(connected=True)
    say(*before)
    company, now, envelope = acme(), timezone.now(), payloads.envelope(compact(document))
    with django_assert_num_queries(count):
        handlers.handle(company, envelope, received_at=now, now=now)


def test_host_without_an_account_is_matched_by_their_own_email() -> None:
    alice = CrmUser.objects.create(company=acme(), unique_id="alice", email="ALICE@acme.example")
    say(CREATED)
    assert Meeting.objects.get().user == alice


@pytest.mark.parametrize("host", ["nobody@acme.example", None])
def test_booking_of_an_unknown_host_is_kept_and_makes_nobody_busy(alice: CrmUser, host: str | None) -> None:
    say(delivery("BOOKING_CREATED", host=host))
    assert Meeting.objects.get().user is None
    assert not BusyBlock.objects.exists()


def test_booking_given_to_another_host_makes_only_them_busy(alice: CrmUser) -> None:
    bob = user_with_account("bob", "bob@acme.example")
    say(CREATED, delivery("BOOKING_CREATED", "a", at="10:00", host="bob@acme.example"))
    assert (Meeting.objects.get().user, BusyBlock.objects.get().user) == (bob, bob)


def test_booking_without_a_uid_is_one_meeting_however_often_it_is_told(alice: CrmUser) -> None:
    document = delivery("BOOKING_CREATED")
    del document["payload"]["uid"]
    say(document, document)
    say({**document, "triggerEvent": "BOOKING_CANCELLED"})
    assert Meeting.objects.get().status == "cancelled"


def test_seats_join_the_booking_and_leave_it_one_by_one(alice: CrmUser) -> None:
    seat: dict[str, Any] = {"seatsPerTimeSlot": 5}
    say(
        delivery("BOOKING_CREATED", at="09:00", people=("one@example.com",), **seat),
        delivery("BOOKING_CREATED", at="09:05", people=("two@example.com",), **seat),
    )
    assert state()["people"] == ["alice@acme.example", "one@example.com", "two@example.com"]
    say(delivery("BOOKING_CANCELLED", at="09:10", people=("one@example.com",), attendeeSeatId="s1", **seat))
    assert (state()["people"], state()["status"]) == (["alice@acme.example", "two@example.com"], "scheduled")
    say(delivery("BOOKING_CANCELLED", at="09:15", people=("two@example.com",), attendeeSeatId="s2", **seat))
    assert state()["status"] == "cancelled"


def test_seat_that_moves_leaves_the_others_where_they_are(alice: CrmUser) -> None:
    seat: dict[str, Any] = {"seatsPerTimeSlot": 5}
    say(
        delivery("BOOKING_CREATED", at="09:00", people=("one@example.com",), **seat),
        delivery("BOOKING_CREATED", at="09:05", people=("two@example.com",), **seat),
        moved("b", "a", at="09:10", hour=11, people=("one@example.com",), **seat),
    )
    attendees = {
        meeting.start_time.day: set(meeting.participants.exclude(role="host").values_list("email", flat=True))
        for meeting in Meeting.objects.all()
    }
    assert attendees == {20: {"two@example.com"}, 21: {"one@example.com"}}


def test_ical_uid_of_the_booking_is_the_rows_so_that_its_synced_copy_can_be_told(alice: CrmUser) -> None:
    say(delivery("BOOKING_CREATED", iCalUID="abc@cal.com"))
    assert BusyBlock.objects.get().uid == "abc@cal.com"


def work_off_at_once(pks: list[int]) -> None:
    at_once([partial(deliveries.work_off, pk, now=timezone.now()) for pk in pks])


def received(document: dict[str, Any]) -> int:
    stored = WebhookDelivery.objects.create(
        company=acme(), body=compact(document), signed=True, trigger=document["triggerEvent"]
    )
    return stored.pk


@pytest.mark.django_db(transaction=True)
def test_one_delivery_told_twelve_times_at_once_is_one_meeting(alice: CrmUser) -> None:
    work_off_at_once([received(CREATED) for _ in range(12)])
    settle()
    assert (Meeting.objects.count(), BusyBlock.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("story", "status", "start"),
    [
        ([CREATED, CANCELLED], "cancelled", "2026-03-20T10"),
        ([CREATED, TO_B, TO_C], "scheduled", "2026-03-21T14"),
        ([REQUESTED, CREATED, TO_B, TO_C, C_CANCELLED], "cancelled", "2026-03-21T14"),
    ],
    ids=["cancelled", "moved twice", "everything"],
)
def test_story_told_all_at_once_ends_as_told_in_order(
    alice: CrmUser, story: list[dict[str, Any]], status: str, start: str
) -> None:
    work_off_at_once([received(document) for document in story for _ in range(2)])
    settle()
    told = state()
    assert (told["status"], told["start"][:13]) == (status, start)


def settle() -> None:
    """What lost a race is tried again, as the sweep does."""
    for pk in WebhookDelivery.objects.filter(state="received").values_list("pk", flat=True):
        deliveries.work_off(pk, now=timezone.now())
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {"handled"}
