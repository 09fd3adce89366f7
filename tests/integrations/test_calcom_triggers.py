"""What each trigger of Cal.com means: the whole list, family by family."""

import itertools
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from busyblocks import freebusy
from busyblocks.models import BusyBlock, Origin
from calendars.models import Absence, CalendarAccount, Meeting, MeetingUid
from calendars.services import meetings, people
from integrations.calcom import handlers, payloads
from integrations.models import CalcomSecret, WebhookDelivery
from tenancy.models import CrmUser
from tests.integrations.calcom import acme, compact, delivery, moved, sample, send, user_with_account

pytestmark = pytest.mark.django_db

# https://cal.com/docs/developing/guides/automation/webhooks, and the open code's list.
TRIGGERS = [
    "BOOKING_CREATED",
    "BOOKING_REQUESTED",
    "BOOKING_REJECTED",
    "BOOKING_CANCELLED",
    "BOOKING_RESCHEDULED",
    "BOOKING_PAYMENT_INITIATED",
    "BOOKING_PAID",
    "BOOKING_NO_SHOW_UPDATED",
    "BOOKING_LOCATION_UPDATED",
    "BOOKING_REASSIGNED",
    "MEETING_STARTED",
    "MEETING_ENDED",
    "INSTANT_MEETING",
    "INSTANT_MEETING_ACCEPTED",
    "RECORDING_READY",
    "RECORDING_TRANSCRIPTION_GENERATED",
    "OOO_CREATED",
    "FORM_SUBMITTED",
    "FORM_SUBMITTED_NO_EVENT",
    "ROUTING_FORM_FALLBACK_HIT",
    "AFTER_HOSTS_CAL_VIDEO_NO_SHOW",
    "AFTER_GUESTS_CAL_VIDEO_NO_SHOW",
    "WRONG_ASSIGNMENT_REPORT",
    "CALENDAR_ENTRY_REJECTED",
    "PING",
]
# Known, and of no consequence for anybody's time.
IDLE = {
    "FORM_SUBMITTED",
    "FORM_SUBMITTED_NO_EVENT",
    "ROUTING_FORM_FALLBACK_HIT",
    "WRONG_ASSIGNMENT_REPORT",
    "CALENDAR_ENTRY_REJECTED",
    "PING",
}
CREATED = delivery("BOOKING_CREATED", "a", at="09:00")


@pytest.fixture
def alice() -> CrmUser:
    return user_with_account()


def say(*documents: dict[str, Any]) -> Meeting:
    """Handle these, one after the other; the one meeting that there is then."""
    for document in documents:
        now = timezone.now()
        handlers.handle(acme(), payloads.envelope(compact(document)), received_at=now, now=now)
    return Meeting.objects.get()


def flat(trigger: str, uid: str = "a", **facts: Any) -> dict[str, Any]:
    """A booking's own row, as MEETING_STARTED and MEETING_ENDED send it: no payload, the booking's createdAt."""
    document = delivery(trigger, uid, at="08:59", **facts)
    payload = document.pop("payload")
    organizer = payload.pop("organizer")
    return {**document, **payload, "userPrimaryEmail": organizer["email"], "user": organizer, "status": "ACCEPTED"}


def test_every_trigger_of_the_list_is_told_apart() -> None:
    assert set(TRIGGERS) == set(handlers._TRIGGERS)
    assert {trigger for trigger in TRIGGERS if not handlers.is_known(trigger)} == IDLE


@pytest.mark.parametrize("trigger", [*sorted(IDLE), "DELEGATION_CREDENTIAL_ERROR", "BOOKING_CONFIRMED", "🎉"])
def test_trigger_without_consequences_is_kept_and_makes_nothing(trigger: str, alice: CrmUser) -> None:
    assert send({**CREATED, "triggerEvent": trigger}).status_code == 200
    assert WebhookDelivery.objects.get().trigger == trigger
    assert not Meeting.objects.exists()


@pytest.mark.parametrize("trigger", sorted(set(TRIGGERS) - IDLE))
@pytest.mark.parametrize(
    "payload", [{}, {"uid": "a"}, {"bookingUid": "a", "attendees": [None, 7, {}]}, {"oooEntry": 7}]
)
def test_no_trigger_breaks_on_a_payload_that_says_next_to_nothing(trigger: str, payload: dict[str, Any]) -> None:
    with_time = delivery(trigger, "a")["payload"]
    for said in (payload, {**with_time, **payload}, dict.fromkeys(with_time)):
        envelope = payloads.envelope(compact({"triggerEvent": trigger, "payload": said}))
        # What it cannot be is told by its own error; anything else would be a fault.
        with suppress(payloads.NotABooking):
            handlers.handle(acme(), envelope, received_at=timezone.now(), now=timezone.now())
    assert set(Meeting.objects.values_list("title", flat=True)) <= {"Consultation"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "state", "count", "status"),
    [
        ("booking_created", "handled", 1, "scheduled"),
        ("booking_requested", "handled", 1, "pending"),
        ("booking_rescheduled", "handled", 1, "scheduled"),
        # A tombstone: nothing was known of it.
        ("booking_cancelled", "handled", 0, ""),
        ("booking_no_show_updated", "handled", 0, ""),
        ("meeting_ended", "handled", 1, "completed"),
        ("ooo_created", "handled", 0, ""),
        ("ping", "ignored", 0, ""),
    ],
)
def test_published_sample_lands(name: str, state: str, count: int, status: str) -> None:
    user_with_account("alice", "organizer@example.com")
    CalcomSecret.objects.create(company=acme(), secret="acme-secret")
    assert send(sample(name), secret="acme-secret").status_code == 200
    stored = WebhookDelivery.objects.get()
    assert (stored.state, stored.error, stored.signed) == (state, "", True)
    assert Meeting.objects.count() == count
    for meeting in Meeting.objects.all():
        assert (meeting.status, meeting.user and meeting.user.unique_id) == (status, "alice")
    assert Absence.objects.count() == (name == "ooo_created")


# Payment ----------------------------------------------------------------------------------------------------------


ASKED = delivery("BOOKING_PAYMENT_INITIATED", at="09:00", status="ACCEPTED")
PAID = delivery("BOOKING_PAID", at="09:05", status="ACCEPTED")
PAID_AND_PENDING = delivery("BOOKING_PAID", at="09:05", status="PENDING")


@pytest.mark.parametrize(
    ("story", "status", "payment"),
    [
        pytest.param([ASKED], "pending", "awaited", id="asked for, whatever its status says"),
        pytest.param([ASKED, PAID], "scheduled", "paid", id="paid"),
        pytest.param([PAID, ASKED], "scheduled", "paid", id="in the wrong order"),
        pytest.param([ASKED, PAID_AND_PENDING], "pending", "paid", id="paid, and the host has to confirm"),
        pytest.param([CREATED, PAID], "scheduled", "paid", id="confirmed and paid"),
    ],
)
def test_booking_stands_when_it_is_paid(alice: CrmUser, story: list[dict[str, Any]], status: str, payment: str) -> None:
    meeting = say(*story)
    assert (meeting.status, meeting.payment_status) == (status, payment)


def test_place_of_a_booking_that_waits_for_its_payment_does_not_confirm_it(alice: CrmUser) -> None:
    # Cal.com calls it ACCEPTED all the while.
    moved_room = delivery("BOOKING_LOCATION_UPDATED", at="09:02", location="Room 2", status="ACCEPTED")
    for story in ([ASKED, moved_room], [moved_room, ASKED]):
        Meeting.objects.all().delete()
        assert say(*story).status == "pending"
        assert say(PAID).status == "scheduled"


# What happens at the meeting ----------------------------------------------------------------------------------------


def test_meeting_that_began_and_ended_is_completed(alice: CrmUser) -> None:
    began = say(CREATED, flat("MEETING_STARTED"))
    assert (began.status, began.started_at) == ("scheduled", datetime(2026, 3, 20, 10, tzinfo=UTC))
    ended = say(flat("MEETING_ENDED"))
    assert (ended.status, ended.ended_at) == ("completed", datetime(2026, 3, 20, 10, 30, tzinfo=UTC))
    assert BusyBlock.objects.get().fbtype == "busy", "the time was taken"


def test_row_of_a_booking_that_ended_overrules_nothing_that_was_said_since_its_creation(alice: CrmUser) -> None:
    meeting = say(CREATED, delivery("BOOKING_LOCATION_UPDATED", at="10:00", location="Room 2"), flat("MEETING_ENDED"))
    assert meeting.location == "Room 2"


def test_end_of_a_booking_that_nobody_told_of_makes_it_known(alice: CrmUser) -> None:
    meeting = say(flat("MEETING_ENDED"))
    assert (meeting.status, meeting.user, meeting.title) == ("completed", alice, "Consultation")


@pytest.mark.parametrize("status", ["CANCELLED", "REJECTED"])
def test_row_of_a_booking_that_is_off_tells_of_it(alice: CrmUser, status: str) -> None:
    assert say(CREATED, {**flat("MEETING_ENDED"), "status": status}).status == "cancelled"


def test_row_of_a_booking_tells_who_was_absent_and_is_older_than_who_was_marked_since(alice: CrmUser) -> None:
    row = flat("MEETING_ENDED")
    row["attendees"][0]["noShow"] = True
    say(row)
    assert absent() == ["client@example.com"]
    unmarked = {"bookingUid": "a", "attendees": [{"email": "client@example.com", "noShow": False}]}
    said = {"triggerEvent": "BOOKING_NO_SHOW_UPDATED", "createdAt": "2026-03-20T11:00:00Z", "payload": unmarked}
    for story in ([said], [row]):
        say(*story)
        assert absent() == []


def test_recording_that_arrives_first_fixes_nothing_that_was_told_before_it(alice: CrmUser) -> None:
    recording = delivery("RECORDING_READY", at="11:00", title="Stale", downloadLink="https://video.example/rec")
    retold = delivery("BOOKING_LOCATION_UPDATED", at="10:00", location="Room 2")
    for story in itertools.permutations([recording, CREATED, retold]):
        Meeting.objects.all().delete()
        meeting = say(*story)
        assert (meeting.title, meeting.location, bool(meeting.recording_url)) == ("Consultation", "Room 2", True)


def test_recording_and_transcript_stand_on_the_meeting(alice: CrmUser) -> None:
    meeting = say(
        CREATED,
        delivery("RECORDING_READY", at="11:00", downloadLink="https://video.example/rec"),
        delivery(
            "RECORDING_TRANSCRIPTION_GENERATED",
            at="11:05",
            downloadLinks={"transcription": [{"format": "txt", "link": "https://video.example/txt"}]},
        ),
    )
    assert (meeting.recording_url, meeting.transcript_url) == ("https://video.example/rec", "https://video.example/txt")


@pytest.mark.parametrize("link", ["javascript:alert(1)", 7, "", None, "https://video.example/\r\nx"])
def test_what_is_no_web_address_is_no_recording(alice: CrmUser, link: Any) -> None:
    assert say(CREATED, delivery("RECORDING_READY", at="11:00", downloadLink=link)).recording_url == ""


def absent() -> list[str]:
    return sorted(Meeting.objects.get().participants.filter(no_show=True).values_list("email", flat=True))


def test_whoever_did_not_come_is_marked_and_can_be_unmarked(alice: CrmUser) -> None:
    def said(at: str, was: bool) -> dict[str, Any]:
        payload = {"bookingUid": "a", "attendees": [{"email": "CLIENT@example.com", "noShow": was}]}
        return {"triggerEvent": "BOOKING_NO_SHOW_UPDATED", "createdAt": f"2026-03-20T{at}:00Z", "payload": payload}

    say(CREATED, said("11:00", True))
    assert absent() == ["client@example.com"]
    say(said("11:05", False), said("11:00", True))
    assert absent() == []


@pytest.mark.parametrize(
    ("trigger", "facts", "who"),
    [
        ("AFTER_HOSTS_CAL_VIDEO_NO_SHOW", {}, ["alice@acme.example"]),
        (
            "AFTER_HOSTS_CAL_VIDEO_NO_SHOW",
            {"hostsThatDidntJoinTheCall": [{"email": "bob@acme.example"}]},
            ["bob@acme.example"],
        ),
        ("AFTER_GUESTS_CAL_VIDEO_NO_SHOW", {}, ["client@example.com"]),
    ],
    ids=["the host", "one of the hosts", "the guests"],
)
def test_video_call_that_somebody_missed_marks_them(
    alice: CrmUser, trigger: str, facts: dict[str, Any], who: list[str]
) -> None:
    team: dict[str, Any] = {"team": {"members": [{"email": "bob@acme.example", "name": "Bob"}]}}
    missed = delivery(trigger, "a", at="11:00", **facts)
    missed["payload"]["bookingUid"] = missed["payload"].pop("uid")
    say(delivery("BOOKING_CREATED", "a", **team), missed)
    assert absent() == who


def test_absence_that_is_told_before_the_booking_is_remembered(alice: CrmUser) -> None:
    say(CREATED)
    missed = {"bookingUid": "z", "attendees": [{"email": "client@example.com", "noShow": True}]}
    now = timezone.now()
    envelope = payloads.envelope(compact({"triggerEvent": "BOOKING_NO_SHOW_UPDATED", "payload": missed}))
    assert handlers.handle(acme(), envelope, received_at=now, now=now) is None
    Meeting.objects.all().delete()
    say(delivery("BOOKING_CREATED", "z"))
    assert absent() == ["client@example.com"]


# Instant meetings, places, hosts -----------------------------------------------------------------------------------


def test_instant_meeting_waits_until_somebody_takes_it(alice: CrmUser) -> None:
    assert say(delivery("INSTANT_MEETING", "i")).status == "pending"
    taken = {"triggerEvent": "INSTANT_MEETING_ACCEPTED", "createdAt": "2026-03-01T10:00:00Z"}
    assert say({**taken, "payload": {"bookingUid": "i"}}).status == "scheduled"


def test_location_alone_moves_the_meeting_to_another_place(alice: CrmUser) -> None:
    only_place = {"uid": "a", "location": "https://video.example/2"}
    meeting = say(
        CREATED,
        {"triggerEvent": "BOOKING_LOCATION_UPDATED", "createdAt": "2026-03-01T10:00:00Z", "payload": only_place},
    )
    assert (meeting.meeting_url, meeting.title) == ("https://video.example/2", "Consultation")


def test_reassigned_booking_is_its_new_hosts_and_no_longer_the_old_ones(alice: CrmUser) -> None:
    bob = user_with_account("bob", "bob@acme.example")
    meeting = say(CREATED, delivery("BOOKING_REASSIGNED", at="10:00", host="bob@acme.example"))
    assert (meeting.user, BusyBlock.objects.get().user) == (bob, bob)
    roles = dict(meeting.participants.values_list("email", "role"))
    assert roles == {"bob@acme.example": "host", "client@example.com": "attendee"}


def test_booking_reassigned_to_somebody_unknown_waits_for_them(alice: CrmUser) -> None:
    meeting = say(CREATED, delivery("BOOKING_REASSIGNED", at="10:00", host="carol@acme.example"))
    assert meeting.user is None
    assert not BusyBlock.objects.exists()


def test_every_known_host_of_a_team_is_busy(alice: CrmUser) -> None:
    bob = user_with_account("bob", "bob@acme.example")
    team = [{"email": "bob@acme.example", "name": "Bob"}, {"email": "dave@acme.example", "name": "Dave"}]
    meeting = say(delivery("BOOKING_CREATED", "a", team={"name": "Sales", "members": team}))
    assert meeting.user == alice
    assert set(BusyBlock.objects.values_list("user", flat=True)) == {alice.pk, bob.pk}
    dave = user_with_account("dave", "dave@acme.example")
    people.adopt(dave, email="dave@acme.example", now=timezone.now())
    assert BusyBlock.objects.filter(user=dave).count() == 1
    say(delivery("BOOKING_CANCELLED", "a", at="11:00"))
    assert set(BusyBlock.objects.values_list("fbtype", flat=True)) == {"free"}


def test_template_that_leaves_much_out_changes_only_what_it_tells(alice: CrmUser) -> None:
    say(delivery("BOOKING_CREATED", "a", location="Room 1", iCalUID="a@cal.com"))
    short = {"uid": "a", "startTime": "2026-03-22T10:00:00Z", "endTime": "2026-03-22T11:00:00Z", "title": "Later"}
    meeting = say({"triggerEvent": "BOOKING_RESCHEDULED", "createdAt": "2026-03-01T12:00:00Z", **short})
    assert (meeting.title, meeting.start_time.day, meeting.location) == ("Later", 22, "Room 1")
    assert (meeting.user, meeting.participants.count(), meeting.ical_uid) == (alice, 2, "a@cal.com")


def test_higher_sequence_is_later_whatever_the_clocks_say(alice: CrmUser) -> None:
    meeting = say(
        delivery("BOOKING_RESCHEDULED", "a", at="10:00", title="New", iCalSequence=2),
        delivery("BOOKING_CREATED", "a", at="10:05", title="Old", iCalSequence=1),
    )
    assert meeting.title == "New"


def test_reason_of_a_cancellation_stands_on_the_meeting(alice: CrmUser) -> None:
    meeting = say(CREATED, delivery("BOOKING_CANCELLED", at="10:00", cancellationReason="Ill"))
    assert (meeting.status, meeting.cancellation_reason) == ("cancelled", "Ill")


@pytest.mark.parametrize(
    ("off", "status", "left"),
    [
        (("one@example.com",), "scheduled", {"two@example.com"}),
        (("one@example.com", "two@example.com"), "cancelled", set()),
        ((), "cancelled", {"one@example.com", "two@example.com"}),
    ],
    ids=["one seat", "every seat", "nobody named"],
)
def test_cancellation_with_seats_and_without_a_seats_id_is_of_those_whom_it_names(
    alice: CrmUser, off: tuple[str, ...], status: str, left: set[str]
) -> None:
    story = [
        delivery("BOOKING_CREATED", at="09:00", people=("one@example.com",), seatsPerTimeSlot=5),
        delivery("BOOKING_CREATED", at="09:05", people=("two@example.com",), seatsPerTimeSlot=5),
        delivery("BOOKING_CANCELLED", at="09:10", people=off, seatsPerTimeSlot=5, iCalSequence=1),
    ]
    for order in itertools.permutations(story):
        Meeting.objects.all().delete()
        MeetingUid.objects.all().delete()
        for document in order:
            tell(document)
        meeting = Meeting.objects.get()
        assert meeting.status == status
        assert set(meeting.participants.exclude(role="host").values_list("email", flat=True)) == left


def test_seat_that_was_moved_to_another_booking_takes_nobody_elses_along(alice: CrmUser) -> None:
    seat: dict[str, Any] = {"seatsPerTimeSlot": 5, "attendeeSeatId": "s1"}
    stories = [
        delivery("BOOKING_CREATED", at="09:00", people=("one@example.com",), seatsPerTimeSlot=5),
        delivery("BOOKING_CREATED", at="09:05", people=("two@example.com",), seatsPerTimeSlot=5),
        moved("b", "a", at="09:10", hour=11, people=("one@example.com",), **seat),
    ]
    for order in (stories, stories[::-1]):
        Meeting.objects.all().delete()
        for document in order:
            now = timezone.now()
            handlers.handle(acme(), payloads.envelope(compact(document)), received_at=now, now=now)
        found = {
            meeting.start_time.day: set(meeting.participants.exclude(role="host").values_list("email", flat=True))
            for meeting in Meeting.objects.all()
        }
        assert found == {20: {"two@example.com"}, 21: {"one@example.com"}}


# Series -------------------------------------------------------------------------------------------------------------


def occurrence(trigger: str, week: int, *, at: str, **facts: Any) -> dict[str, Any]:
    day = datetime(2026, 3, 4, 10, tzinfo=UTC) + timedelta(weeks=week)
    repeats: dict[str, Any] = {"recurringEvent": {"freq": 2, "count": 4, "interval": 1}, "eventTypeId": 7}
    times: dict[str, Any] = {"start": day.isoformat(), "end": (day + timedelta(minutes=30)).isoformat()}
    return delivery(trigger, f"w{week}", at=at, **times, **{**repeats, **facts})


def statuses() -> dict[str, str]:
    return dict(MeetingUid.objects.exclude(meeting=None).values_list("uid", "meeting__status"))


WEEKS = [occurrence("BOOKING_CREATED", week, at=f"09:0{week}") for week in range(4)]
THE_REST_IS_OFF = occurrence("BOOKING_CANCELLED", 1, at="12:00")


def test_cancelling_all_that_remain_of_a_series_frees_them_at_once_in_every_order(alice: CrmUser) -> None:
    ends = {"w0": "scheduled", "w1": "cancelled", "w2": "cancelled", "w3": "cancelled"}
    for order in itertools.permutations([*WEEKS[1:], THE_REST_IS_OFF]):
        Meeting.objects.all().delete()
        MeetingUid.objects.all().delete()
        BusyBlock.objects.all().delete()
        for document in (WEEKS[0], *order, order[0]):
            tell(document)
        assert statuses() == ends
        assert sorted(BusyBlock.objects.values_list("fbtype", flat=True)) == ["busy", "free", "free", "free"]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(occurrence("BOOKING_CREATED", 3, at="11:00"), id="booked another time"),
        pytest.param(occurrence("BOOKING_CREATED", 3, at="09:03", eventTypeId=8), id="of another type"),
        pytest.param(occurrence("BOOKING_CREATED", 3, at="09:03", people=("x@example.com",)), id="of somebody else"),
        pytest.param(occurrence("BOOKING_CREATED", 3, at="09:03", recurringEvent=None), id="that does not recur"),
    ],
)
def test_booking_that_is_not_of_the_series_stays(alice: CrmUser, other: dict[str, Any]) -> None:
    for document in (WEEKS[1], other, THE_REST_IS_OFF):
        tell(document)
    assert statuses() == {"w1": "cancelled", "w3": "scheduled"}


def test_one_occurrence_that_is_cancelled_alone_takes_no_other_with_it(alice: CrmUser) -> None:
    for document in (*WEEKS, occurrence("BOOKING_CANCELLED", 1, at="12:00", recurringEvent=None)):
        tell(document)
    assert [status for _, status in sorted(statuses().items())] == ["scheduled", "cancelled", "scheduled", "scheduled"]


def test_later_word_that_an_occurrence_stands_undoes_the_conclusion(alice: CrmUser) -> None:
    for document in (*WEEKS, THE_REST_IS_OFF, occurrence("BOOKING_RESCHEDULED", 3, at="13:00")):
        tell(document)
    assert (statuses()["w2"], statuses()["w3"]) == ("cancelled", "scheduled")


def test_series_of_another_company_is_nobodys_business(alice: CrmUser) -> None:
    mallory = user_with_account("mallory", "alice@acme.example", url_id="globex")
    now = timezone.now()
    handlers.handle(mallory.company, payloads.envelope(compact(WEEKS[2])), received_at=now, now=now)
    for document in (WEEKS[1], THE_REST_IS_OFF):
        tell(document)
    assert statuses() == {"w1": "cancelled", "w2": "scheduled"}


# Out of office -----------------------------------------------------------------------------------------------------


def away(start: str = "2026-03-05T00:00:00+00:00", end: str = "2026-03-07T23:59:59+00:00", **facts: Any) -> Any:
    entry = {"uuid": "ooo-1", "start": start, "end": end, "user": {"email": "Alice@acme.example"}, **facts}
    return {"triggerEvent": "OOO_CREATED", "createdAt": "2026-03-01T08:00:00Z", "payload": {"oooEntry": entry}}


def unavailable(user: CrmUser) -> list[tuple[str, str, str]]:
    found = freebusy.periods(user, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    return [(f"{one.start:%d %H:%M}", f"{one.end:%d %H:%M}", str(one.fbtype)) for one in found]


def tell(document: Any) -> None:
    now = timezone.now()
    handlers.handle(acme(), payloads.envelope(compact(document)), received_at=now, now=now)


@pytest.mark.parametrize(
    ("document", "period"),
    [
        (away(), ("05 00:00", "08 00:00")),
        (away("2026-03-05T00:00:00Z", "2026-03-05T23:59:59.999Z"), ("05 00:00", "06 00:00")),
        (away("2026-03-05T09:00:00Z", "2026-03-05T12:00:00Z"), ("05 09:00", "05 12:00")),
    ],
    ids=["days", "one day", "hours"],
)
def test_host_who_is_out_of_office_is_unavailable(alice: CrmUser, document: Any, period: tuple[str, str]) -> None:
    tell(document)
    tell(document)
    assert unavailable(alice) == [(*period, "busy-unavailable")]
    assert not Meeting.objects.exists()


def test_absence_of_somebody_unknown_finds_them_later() -> None:
    tell(away())
    assert not BusyBlock.objects.exists()
    alice = CrmUser.objects.create(company=acme(), unique_id="alice")
    people.change(alice, email="alice@acme.example", now=timezone.now())
    assert unavailable(alice) == [("05 00:00", "08 00:00", "busy-unavailable")]


@pytest.mark.parametrize("facts", [{"user": None}, {"start": "soon"}, {"end": None}], ids=["whose", "start", "end"])
def test_absence_that_does_not_say_whose_or_when_is_a_failure(facts: dict[str, Any]) -> None:
    with pytest.raises(payloads.NotABooking):
        tell(away(**facts))


# Matching, later ---------------------------------------------------------------------------------------------------


def test_booking_made_in_the_moment_in_which_its_host_connects_is_found_by_the_sweep(alice: CrmUser) -> None:
    # Neither has seen the other: the account is there, and the booking waits.
    say(delivery("BOOKING_CREATED", host="carol@acme.example"))
    carol = CrmUser.objects.create(company=acme(), unique_id="carol")
    CalendarAccount.objects.create(
        company=acme(), user=carol, provider="google", email="Carol@acme.example", identity="carol"
    )
    assert people.match_waiting(now=timezone.now()) == 1
    assert (Meeting.objects.get().user, BusyBlock.objects.get().user) == (carol, carol)
    assert people.match_waiting(now=timezone.now()) == 0


def test_sweep_leaves_other_companies_bookings_alone(alice: CrmUser) -> None:
    say(delivery("BOOKING_CREATED", host="carol@acme.example"))
    user_with_account("mallory", "carol@acme.example", url_id="globex")
    assert people.match_waiting(now=timezone.now()) == 0


def test_meeting_that_somebody_was_given_stays_theirs_until_another_host_is_named(alice: CrmUser) -> None:
    bob = user_with_account("bob", "bob@acme.example")
    meetings.assign(say(CREATED), to=bob, now=timezone.now())
    assert say(delivery("BOOKING_RESCHEDULED", "a", at="11:00", title="Later")).user == bob
    assert set(BusyBlock.objects.values_list("user", flat=True)) == {bob.pk}
    assert say(delivery("BOOKING_REASSIGNED", "a", at="12:00", host="nobody@acme.example")).user is None


# One time, not two -------------------------------------------------------------------------------------------------


def copy_of(user: CrmUser, uid: str, hour: int = 10) -> BusyBlock:
    """What Cal.com wrote into the host's own calendar, mirrored."""
    origin = Origin.objects.create(user=user, source="google", name="Work")
    start = datetime(2026, 3, 20, hour, tzinfo=UTC)
    return BusyBlock.objects.create(
        company=user.company,
        user=user,
        origin=origin,
        source="google",
        uid=uid,
        external_event_id="e1",
        title="Consultation between Alice and Client",
        start_time=start,
        end_time=start.replace(minute=30),
    )


@pytest.mark.parametrize("first", ["booking", "copy"])
def test_copy_in_the_hosts_calendar_and_the_meeting_are_one_time(alice: CrmUser, first: str) -> None:
    booking = delivery("BOOKING_CREATED", iCalUID="abc@cal.com")
    if first == "booking":
        say(booking)
    copy_of(alice, "abc@cal.com")
    say(booking)
    assert list(BusyBlock.objects.of(alice).without_copies().values_list("source", flat=True)) == ["calcom"]
    found = freebusy.periods(alice, datetime(2026, 3, 20, tzinfo=UTC), datetime(2026, 3, 21, tzinfo=UTC))
    assert [(one.start.hour, one.fbtype) for one in found] == [(10, "busy")]


def test_copy_that_lags_behind_a_moved_meeting_takes_no_time_of_its_own(alice: CrmUser) -> None:
    say(delivery("BOOKING_CREATED", iCalUID="abc@cal.com"), moved("b", "a", at="10:00", hour=14, iCalUID="abc@cal.com"))
    copy_of(alice, "abc@cal.com")
    found = freebusy.periods(alice, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    assert [(one.start.day, one.start.hour) for one in found] == [(21, 14)]


def test_other_events_and_other_peoples_copies_keep_their_time(alice: CrmUser) -> None:
    bob = user_with_account("bob", "bob@acme.example")
    say(delivery("BOOKING_CREATED", iCalUID="abc@cal.com"))
    copy_of(alice, "another@cal.com", hour=14)
    copy_of(bob, "abc@cal.com")
    assert BusyBlock.objects.of(alice).without_copies().count() == 2
    assert BusyBlock.objects.of(bob).without_copies().count() == 1
