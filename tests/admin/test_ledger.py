"""Busy blocks and meetings: written by hand they change here, mirrored or booked they do not."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client

from busyblocks.models import BusyBlock
from calendars.models import Meeting
from calendars.models.meeting import MeetingStatus
from tenancy.models import CrmUser
from tests.admin.world import act, company, fill, list_of, messages_of, operator, page_of

pytestmark = pytest.mark.django_db

TIMES = {
    "start_time_0": "2026-03-02",
    "start_time_1": "09:00:00",
    "end_time_0": "2026-03-02",
    "end_time_1": "10:00:00",
    "time_zone": "Europe/Berlin",
}
BLOCK = {**TIMES, "title": "Dentist", "transparency": "opaque", "status": "confirmed"}
MEETING = {**TIMES, "title": "Kick-off", "status": "scheduled", "organizer_email": "alice@acme.example"}
NOBODY = {"participants-TOTAL_FORMS": "0", "participants-INITIAL_FORMS": "0"}
NO_NAMES = {"uids-TOTAL_FORMS": "0", "uids-INITIAL_FORMS": "0"}


@pytest.fixture
def client(db: None) -> Client:
    return operator()


@pytest.fixture
def alice(db: None) -> CrmUser:
    return fill(company("acme"), 1)


def made(client: Client, user: CrmUser, **values: str) -> Any:
    return client.post(list_of(BusyBlock) + "add/", {**BLOCK, "user": str(user.pk), **values})


def revision(user: CrmUser) -> int:
    return CrmUser.objects.values_list("revision", flat=True).get(pk=user.pk)


def test_block_made_here_is_as_one_made_by_the_api(client: Client, alice: CrmUser) -> None:
    before = revision(alice)
    assert made(client, alice).status_code == 302
    block = BusyBlock.objects.get(title="Dentist")
    assert (block.company_id, block.user_id, block.source, block.fbtype) == (
        alice.company_id,
        alice.pk,
        "manual",
        "busy",
    )
    assert block.start_time == datetime(2026, 3, 2, 9, tzinfo=UTC)
    assert block.local_start == "20260302T100000", "nine o'clock UTC is ten in Berlin"
    assert block.uid.startswith(str(block.unique_id))
    assert revision(alice) == before + 1


def test_all_day_block_keeps_the_dates_that_were_typed(client: Client, alice: CrmUser) -> None:
    midnights = {"start_time_1": "00:00:00", "end_time_0": "2026-03-04", "end_time_1": "00:00:00"}
    made(client, alice, all_day="on", time_zone="America/New_York", **midnights)
    block = BusyBlock.objects.get(title="Dentist")
    assert (block.start_time, block.end_time) == (
        datetime(2026, 3, 2, tzinfo=UTC),
        datetime(2026, 3, 4, tzinfo=UTC),
    )


def test_changed_block_moves_and_its_users_revision_grows(client: Client, alice: CrmUser) -> None:
    made(client, alice)
    block, before = BusyBlock.objects.get(title="Dentist"), revision(alice)
    response = client.post(page_of(block), {**BLOCK, "title": "Doctor", "transparency": "transparent"})
    assert response.status_code == 302
    block.refresh_from_db()
    assert (block.title, block.fbtype, block.sequence) == ("Doctor", "free", 1)
    assert revision(alice) == before + 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"end_time_0": "2026-03-01"}, "end_time"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"recurrence_rule": "FREQ=SOMETIMES"}, "recurrence_rule"),
        ({"recurrence_rule": "RSCALE=CHINESE;FREQ=YEARLY"}, "recurrence_rule"),
    ],
)
def test_what_the_api_refuses_is_refused_at_its_field(
    client: Client, alice: CrmUser, values: dict[str, str], field: str
) -> None:
    response = made(client, alice, **values)
    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    assert not BusyBlock.objects.filter(title="Dentist").exists()


def test_deleted_block_is_gone_and_its_users_revision_grows(client: Client, alice: CrmUser) -> None:
    made(client, alice)
    block, before = BusyBlock.objects.get(title="Dentist"), revision(alice)
    client.post(page_of(block, "delete"), {"post": "yes"})
    assert not BusyBlock.objects.filter(pk=block.pk).exists()
    assert revision(alice) == before + 1


def test_mirrored_block_is_read_only(client: Client, alice: CrmUser) -> None:
    block = BusyBlock.objects.get(title="acme mirrored")
    assert client.get(page_of(block)).status_code == 200
    assert client.post(page_of(block), BLOCK).status_code == 403
    assert client.post(page_of(block, "delete"), {"post": "yes"}).status_code == 403
    act(client, "delete_selected", block, post="yes")
    block.refresh_from_db()
    assert block.title == "acme mirrored"


def test_chosen_blocks_are_deleted_together_or_not_at_all(client: Client, alice: CrmUser) -> None:
    by_hand, mirrored = BusyBlock.objects.get(title="acme by hand"), BusyBlock.objects.get(title="acme mirrored")
    act(client, "delete_selected", by_hand, mirrored, post="yes")
    assert BusyBlock.objects.filter(pk__in=[by_hand.pk, mirrored.pk]).count() == 2
    act(client, "delete_selected", by_hand, post="yes")
    assert not BusyBlock.objects.filter(pk=by_hand.pk).exists()


def test_meetings_own_row_of_the_ledger_is_read_only(client: Client, alice: CrmUser) -> None:
    client.post(list_of(Meeting) + "add/", {**MEETING, **NOBODY, "user": str(alice.pk)})
    row = BusyBlock.objects.get(title="Kick-off")
    assert client.post(page_of(row), BLOCK).status_code == 403


def test_meeting_made_here_makes_its_user_busy(client: Client, alice: CrmUser) -> None:
    before = revision(alice)
    response = client.post(list_of(Meeting) + "add/", {**MEETING, **NOBODY, "user": str(alice.pk)})
    assert response.status_code == 302
    meeting = Meeting.objects.get(title="Kick-off")
    assert (meeting.company_id, meeting.source) == (alice.company_id, "manual")
    row = BusyBlock.objects.get(meeting_key=str(meeting.unique_id))
    assert (row.user_id, row.fbtype) == (alice.pk, "busy")
    assert revision(alice) > before


def test_meeting_moves_with_its_row_and_its_people(client: Client, alice: CrmUser) -> None:
    client.post(list_of(Meeting) + "add/", {**MEETING, **NOBODY, "user": str(alice.pk)})
    meeting = Meeting.objects.get(title="Kick-off")
    bob = fill(company("acme"), 1)
    people = {
        "participants-TOTAL_FORMS": "1",
        "participants-INITIAL_FORMS": "0",
        "participants-0-email": "Guest@Example.org",
        "participants-0-name": "Guest",
        "participants-0-role": "attendee",
    }
    moved = {**MEETING, "user": str(bob.pk), "start_time_1": "09:30:00"}
    before = revision(alice)
    assert client.post(page_of(meeting), {**moved, **people}).status_code == 302
    row = BusyBlock.objects.get(meeting_key=str(meeting.unique_id))
    assert (row.user_id, row.start_time) == (bob.pk, datetime(2026, 3, 2, 9, 30, tzinfo=UTC))
    assert list(meeting.participants.values_list("email", flat=True)) == ["guest@example.org"]
    assert revision(alice) > before, "alice is free again"


def test_meeting_that_ends_before_it_starts_is_refused_at_its_field(client: Client, alice: CrmUser) -> None:
    values = {**MEETING, **NOBODY, "user": str(alice.pk), "end_time_0": "2026-03-01"}
    response = client.post(list_of(Meeting) + "add/", values)
    assert "end_time" in response.context["adminform"].form.errors


def test_cancelled_meeting_frees_its_user(client: Client, alice: CrmUser) -> None:
    client.post(list_of(Meeting) + "add/", {**MEETING, **NOBODY, "user": str(alice.pk)})
    meeting = Meeting.objects.get(title="Kick-off")
    booked = Meeting.objects.get(source="calcom")
    response = act(client, "cancel", meeting, booked)
    assert messages_of(response)[-2:] == ["Meetings cancelled: 1.", "Left to the source that booked them: 1."]
    assert BusyBlock.objects.get(meeting_key=str(meeting.unique_id)).fbtype == "free"
    booked.refresh_from_db()
    assert booked.status == MeetingStatus.SCHEDULED


def test_deleted_meeting_takes_its_row_along(client: Client, alice: CrmUser) -> None:
    client.post(list_of(Meeting) + "add/", {**MEETING, **NOBODY, "user": str(alice.pk)})
    meeting = Meeting.objects.get(title="Kick-off")
    client.post(page_of(meeting, "delete"), {"post": "yes"})
    assert not BusyBlock.objects.filter(title="Kick-off").exists()


def test_of_a_booking_only_its_host_is_decided_here(client: Client, alice: CrmUser) -> None:
    booked = Meeting.objects.get(source="calcom")
    Meeting.objects.filter(pk=booked.pk).update(user=None)
    client.post(page_of(booked), {**MEETING, **NOBODY, **NO_NAMES, "user": str(alice.pk)})
    before, booked = booked, Meeting.objects.get(pk=booked.pk)
    assert booked.user == alice
    assert BusyBlock.objects.get(meeting_key=str(booked.unique_id)).user == alice
    assert (booked.title, booked.start_time, booked.status) == (before.title, before.start_time, before.status)
    assert client.post(page_of(booked, "delete"), {"post": "yes"}).status_code == 403
