"""`/users/:user_unique_id/meetings`"""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from calendars.models import Meeting
from calendars.models.meeting import MeetingStatus
from calendars.services import meetings
from calendars.services.meetings import Facts, Participant
from tenancy.models import Company, CrmUser
from tests.calendars.people import alice, bob, errors, mallory

pytestmark = pytest.mark.django_db

PATH = "/users/alice/meetings"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def booked(
    title: str, *, hour: int = 12, minutes: int = 30, status: MeetingStatus = MeetingStatus.SCHEDULED
) -> Meeting:
    company, _ = Company.objects.get_or_create(url_id="acme")
    user, _ = CrmUser.objects.get_or_create(company=company, unique_id="alice")
    start = NOON.replace(hour=hour)
    facts = Facts(
        start_time=start,
        end_time=start + timedelta(minutes=minutes),
        title=title,
        meeting_url="https://video.example/1",
        meeting_type="consultation",
    )
    people = [
        Participant(email="alice@acme.example", role="host"),
        Participant(email="carol@example.com", name="Carol"),
    ]
    return meetings.schedule(
        company, source="calcom", facts=facts, user=user, participants=people, status=status, said_at=NOON, now=NOON
    )


def test_meeting_shows_when_where_and_who() -> None:
    meeting = booked("Consultation")
    data = alice().get(f"{PATH}/{meeting.unique_id}").json()["data"]
    assert (data["type"], data["id"]) == ("meeting", str(meeting.unique_id))
    shown = data["attributes"]
    assert (shown["title"], shown["status"], shown["source"]) == ("Consultation", "scheduled", "calcom")
    assert (shown["start_time"], shown["end_time"]) == ("2026-03-02T12:00:00Z", "2026-03-02T12:30:00Z")
    assert (shown["meeting_url"], shown["meeting_type"]) == ("https://video.example/1", "consultation")
    assert shown["participants"] == [
        {"name": "", "email": "alice@acme.example", "role": "host", "rsvp_status": "accepted"},
        {"name": "Carol", "email": "carol@example.com", "role": "attendee", "rsvp_status": "accepted"},
    ]


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("", ["early", "late", "point"]),
        # It ends when the span starts: outside.
        ("start_time=2026-03-02T08:30:00Z", ["late", "point"]),
        # It starts when the span ends: outside.
        ("end_time=2026-03-02T12:00:00Z", ["early"]),
        # It reaches into the span.
        ("start_time=2026-03-02T08:29:00Z&end_time=2026-03-02T08:40:00Z", ["early"]),
        # A meeting without length shows where its instant lies in the span.
        ("start_time=2026-03-02T15:00:00Z&end_time=2026-03-02T15:01:00Z", ["point"]),
        ("start_time=2026-03-02T14:00:00Z&end_time=2026-03-02T15:00:00Z", []),
        ("status=cancelled", ["late"]),
        ("search=EARLY", ["early"]),
        ("sort=-start_time", ["point", "late", "early"]),
    ],
)
def test_list_is_narrowed_by_span_status_and_words(query: str, titles: list[str]) -> None:
    booked("early", hour=8)
    booked("late", hour=12, status=MeetingStatus.CANCELLED)
    booked("point", hour=15, minutes=0)
    found = alice().get(f"{PATH}?{query}").json()["data"]
    assert [item["attributes"]["title"] for item in found] == titles


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("start_time=noon", "start_time"),
        ("end_time=2026-13-01", "end_time"),
        ("start_time=2026-03-02T12:00:00Z&end_time=2026-03-02T12:00:00Z", "end_time"),
        ("status=lost", "status"),
    ],
)
def test_parameter_that_cannot_be_read_is_named(query: str, where: str) -> None:
    assert errors(alice().get(f"{PATH}?{query}")) == [("422", "validation_error", where)]


def test_list_costs_four_queries_for_any_number_of_meetings(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for number in range(12):
        booked(f"m{number}")
    caller = alice()
    # The key, the count, the page, its participants.
    with django_assert_num_queries(4):
        response = caller.get(PATH)
    assert len(response.json()["data"]) == 12


def test_meetings_of_alice_are_not_bobs_and_not_there_for_mallory() -> None:
    one = f"{PATH}/{booked('Consultation').unique_id}"
    assert (bob().get(PATH).status_code, bob().get(one).status_code) == (403, 403)
    assert bob().get(f"/users/bob/meetings/{one.rpartition('/')[2]}").status_code == 404
    assert mallory().get(PATH).json()["data"] == []
    assert mallory().get(one).json()["errors"][0]["title"] == "Meeting Not Found"


def test_meetings_cannot_be_written_here() -> None:
    path = f"{PATH}/{booked('Consultation').unique_id}"
    assert alice().post(PATH, {"title": "x"}).status_code == 405
    assert (alice().put(path, {"title": "x"}).status_code, alice().delete(path).status_code) == (405, 405)
