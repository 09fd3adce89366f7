"""`/meetings`, `/users/:user_unique_id/meetings`, `/meetings/:id/participants` and `/users/:user_unique_id`"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from busyblocks.models import BusyBlock
from calendars.models import Meeting
from calendars.models.meeting import MeetingStatus
from calendars.services import meetings
from calendars.services.meetings import Facts, Participant
from tenancy.models import Company, CrmUser
from tests.calendars.people import acme_admin, alice, bob, errors, mallory

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


SPAN = "start_time=2026-03-02T00:00:00Z&end_time=2026-03-03T00:00:00Z"
NOON_TO_ONE = {"title": "Lunch", "start_time": "2026-03-02T12:00:00Z", "end_time": "2026-03-02T13:00:00Z"}


def made(caller: Any, path: str = "/meetings", **body: Any) -> dict[str, Any]:
    response = caller.post(path, {"meeting": {**NOON_TO_ONE, **body}})
    assert response.status_code == 201, response.content
    data: dict[str, Any] = response.json()["data"]
    return data


def taken(user: str = "alice") -> list[tuple[str, str]]:
    """What free/busy says of 2 March, as hours."""
    answer = acme_admin().get(f"/users/{user}/free_busy?{SPAN}").json()["data"]["attributes"]["periods"]
    return [(period["start_time"][11:16], period["end_time"][11:16]) for period in answer]


def titles(caller: Any, path: str) -> list[str]:
    return [item["attributes"]["title"] for item in caller.get(path).json()["data"]]


def revision(user: str = "alice") -> int:
    return CrmUser.objects.get(unique_id=user).revision


def test_meeting_made_by_hand_takes_its_users_time_and_stands_in_their_feed() -> None:
    made(alice(), meeting_location="Room 4")
    assert taken() == [("12:00", "13:00")]
    token = alice().post("/users/alice/ics_tokens", {"past_days": None}).json()["data"]["attributes"]["token"]
    feed = alice().get(f"/calendars/acme/ics/{token}", HTTP_ACCEPT="text/calendar").content.decode()
    assert "SUMMARY:Lunch" in feed
    assert "LOCATION:Room 4" in feed


@pytest.mark.parametrize(
    ("body", "start", "end"),
    [
        pytest.param({}, "2026-03-02T12:00:00Z", "2026-03-02T13:00:00Z", id="as given"),
        pytest.param(
            {"start_time": None, "scheduled_at": "2026-03-02T12:00:00Z"},
            "2026-03-02T12:00:00Z",
            "2026-03-02T13:00:00Z",
            id="under the SDK's name",
        ),
        pytest.param(
            {"start_time": "2026-03-02T13:00:00+01:00"},
            "2026-03-02T12:00:00Z",
            "2026-03-02T13:00:00Z",
            id="with offset",
        ),
        pytest.param(
            {"start_time": "2026-07-02T13:00:00", "end_time": "2026-07-02T14:00:00", "timezone": "Europe/Berlin"},
            "2026-07-02T11:00:00Z",
            "2026-07-02T12:00:00Z",
            id="as wall time",
        ),
        pytest.param(
            {"start_time": "2026-03-02", "end_time": "2026-03-04", "all_day": True},
            "2026-03-02T00:00:00Z",
            "2026-03-04T00:00:00Z",
            id="as dates",
        ),
    ],
)
def test_time_of_a_meeting_is_read_as_that_of_a_busy_block(body: dict[str, Any], start: str, end: str) -> None:
    given = {name: value for name, value in {**NOON_TO_ONE, **body}.items() if value is not None}
    shown = alice().post("/meetings", {"meeting": given}).json()["data"]["attributes"]
    assert (shown["start_time"], shown["end_time"]) == (start, end)
    row = BusyBlock.objects.get()
    assert row.all_day == bool(body.get("all_day"))


@pytest.mark.parametrize(
    ("body", "minutes"),
    [
        ({"time_quantity": 45, "time_unit": "minutes"}, 45),
        ({"time_quantity": 2, "time_unit": "hour"}, 120),
        ({"time_quantity": 1, "time_unit": "days"}, 1440),
        # Minutes, when nothing else is said.
        ({"time_quantity": 20}, 20),
    ],
)
def test_meeting_without_an_end_ends_after_its_quantity_of_time(body: dict[str, Any], minutes: int) -> None:
    response = alice().post("/meetings", {"meeting": {"start_time": "2026-03-02T12:00:00Z", **body}})
    shown = response.json()["data"]["attributes"]
    assert (shown["time_unit"], shown["time_quantity"]) == ("minutes", minutes)


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"start_time": "2026-03-02T12:00:00Z"}, "/data/attributes/end_time"),
        ({"end_time": "2026-03-02T12:00:00Z"}, "/data/attributes/start_time"),
        ({**NOON_TO_ONE, "end_time": "2026-03-02T11:00:00Z"}, "/data/attributes/end_time"),
        ({**NOON_TO_ONE, "time_zone": "Nowhere"}, "/data/attributes/time_zone"),
        ({**NOON_TO_ONE, "status": "lost"}, "/data/attributes/status"),
        ({**NOON_TO_ONE, "meeting_url": "javascript:alert(1)"}, "/data/attributes/meeting_url"),
        ({**NOON_TO_ONE, "payload": []}, "/data/attributes/payload"),
        ({**NOON_TO_ONE, "participants": [{"email": "nobody"}]}, "/data/attributes/participants/0/email"),
        ({"start_time": "9999-12-31T23:00:00Z", "time_quantity": 5, "time_unit": "days"}, "/data/attributes/end_time"),
    ],
)
def test_meeting_that_makes_no_sense_is_refused_by_field(body: dict[str, Any], where: str) -> None:
    response = alice().post("/meetings", {"meeting": body})
    assert (response.status_code, errors(response)[0][2]) == (422, where)
    assert not Meeting.objects.exists()


def test_change_names_what_it_changes_and_keeps_the_rest() -> None:
    one = f"/meetings/{made(alice(), description='Soup')['id']}"
    before = revision()
    shown = alice().put(one, {"meeting": {"start_time": "2026-03-02T15:00:00Z"}}).json()["data"]["attributes"]
    assert (shown["start_time"], shown["end_time"]) == ("2026-03-02T15:00:00Z", "2026-03-02T16:00:00Z")
    assert (shown["title"], shown["description"]) == ("Lunch", "Soup")
    assert taken() == [("15:00", "16:00")]
    assert revision() > before


@pytest.mark.parametrize(
    ("word", "status", "periods"),
    [
        ("cancelled", "cancelled", []),
        ("inactive", "cancelled", []),
        ("pending", "pending", [("12:00", "13:00")]),
        ("archived", "completed", [("12:00", "13:00")]),
        ("active", "scheduled", [("12:00", "13:00")]),
    ],
)
def test_status_comes_in_our_words_and_the_sdks(word: str, status: str, periods: list[Any]) -> None:
    one = f"/meetings/{made(alice())['id']}"
    assert alice().put(one, {"meeting": {"status": word}}).json()["data"]["attributes"]["status"] == status
    assert taken() == periods


def test_enabled_is_another_word_for_not_cancelled() -> None:
    one = f"/meetings/{made(alice())['id']}"
    off = alice().put(one, {"meeting": {"enabled": False}}).json()["data"]["attributes"]
    on = alice().put(one, {"meeting": {"enabled": True}}).json()["data"]["attributes"]
    assert [(shown["enabled"], shown["status"]) for shown in (off, on)] == [(False, "cancelled"), (True, "scheduled")]


def test_deleted_meeting_is_in_the_trash_alone_until_it_is_recovered() -> None:
    one = f"/meetings/{made(alice())['id']}"
    assert alice().delete(one).status_code == 204
    assert (alice().get(one).status_code, titles(alice(), "/meetings"), taken()) == (404, [], [])
    assert titles(alice(), "/meetings/trash/show") == ["Lunch"]
    before = revision()
    assert alice().put(f"{one}/recover", {}).json()["data"]["attributes"]["deleted_at"] is None
    assert (titles(alice(), "/meetings"), titles(alice(), "/meetings/trash/show")) == (["Lunch"], [])
    assert (taken(), revision()) == ([("12:00", "13:00")], before + 1)


def test_recovering_what_is_not_deleted_changes_nothing() -> None:
    one = f"/meetings/{made(alice())['id']}"
    before = revision()
    assert alice().put(f"{one}/recover", {}).status_code == 200
    assert revision() == before


def test_company_sees_all_meetings_and_a_user_only_theirs() -> None:
    made(alice(), title="of alice")
    made(bob(), title="of bob")
    made(acme_admin(), title="of nobody")
    assert titles(acme_admin(), "/meetings?sort=title") == ["of alice", "of bob", "of nobody"]
    assert titles(alice(), "/meetings") == ["of alice"]
    assert titles(acme_admin(), "/users/bob/meetings") == ["of bob"]
    assert titles(acme_admin(), "/meetings?user_unique_id=bob") == ["of bob"]
    assert titles(acme_admin(), "/meetings?matched=false") == ["of nobody"]
    assert mallory().get("/meetings").json()["data"] == []


def test_nobody_but_an_administrator_gives_meetings_to_others() -> None:
    response = alice().post("/meetings", {"meeting": {**NOON_TO_ONE, "user_unique_id": "bob"}})
    assert response.status_code == 403
    one = f"/meetings/{made(alice())['id']}"
    assert alice().put(one, {"meeting": {"user_unique_id": "bob"}}).status_code == 403
    assert acme_admin().put(one, {"meeting": {"user_unique_id": "bob"}}).status_code == 200
    assert (taken("alice"), taken("bob")) == ([], [("12:00", "13:00")])


@pytest.mark.parametrize("verb", ["get", "put", "delete"])
def test_meeting_of_alice_is_not_there_for_bob_and_mallory(verb: str) -> None:
    one = f"/meetings/{made(alice())['id']}"
    before = Meeting.objects.values().get()
    for caller in (bob(), mallory()):
        for path in (one, f"{one}/participants", f"{one}/recover"):
            method = "put" if path.endswith("recover") else verb
            if path.endswith("participants") and verb != "get":
                method = "post"
            body = {} if method == "get" else {"title": "Mine"}
            assert getattr(caller, method)(path, body).status_code == 404
    assert Meeting.objects.values().get() == before


@pytest.mark.parametrize("wrong", ["nope", "1", "00000000-0000-4000-8000-000000000000", "%00"])
def test_id_of_no_meeting_is_404_everywhere(wrong: str) -> None:
    for path in (f"/meetings/{wrong}", f"/meetings/{wrong}/participants", f"/users/alice/meetings/{wrong}"):
        assert alice().get(path).status_code == 404


def test_booking_keeps_its_time_and_words_but_can_be_given_to_somebody() -> None:
    booking = booked("Consultation")
    one = f"/meetings/{booking.unique_id}"
    refused = acme_admin().put(one, {"meeting": {"title": "Mine"}})
    assert errors(refused) == [("422", "meeting_is_booked", "/data")]
    answer = acme_admin().put(
        one, {"meeting": {"user_unique_id": "bob", "meeting_score": 4.5, "payload": {"deal": 7}, "code": "C-1"}}
    )
    shown = answer.json()["data"]["attributes"]
    assert (shown["user_unique_id"], shown["meeting_score"], shown["payload"]) == ("bob", 4.5, {"deal": 7})
    assert (shown["code"], shown["read_only"]) == ("C-1", True)
    assert (taken("alice"), taken("bob")) == ([], [("12:00", "12:30")])


def test_participants_are_listed_added_and_taken_out() -> None:
    people = (
        f"/meetings/{made(alice(), participants=[{'email': 'Carol@example.com', 'name': 'Carol'}])['id']}/participants"
    )
    before = revision()
    person = {"participant_email": "dave@example.com", "participant_name": "Dave", "participant_phone": "+1 555"}
    added = alice().post(people, {"participant": {**person, "participant_unique_id": "contact-7"}}).json()["data"]
    assert (added["type"], added["attributes"]["contact_unique_id"]) == ("meeting_participant", "contact-7")
    assert (added["attributes"]["phone"], added["attributes"]["role"]) == ("+1 555", "attendee")
    listed = [item["attributes"]["email"] for item in alice().get(people).json()["data"]]
    assert listed == ["carol@example.com", "dave@example.com"]
    assert revision() == before + 1, "who takes part shows in calendars"
    assert alice().delete(f"{people}/{added['id']}").status_code == 204
    assert alice().get(f"{people}/{added['id']}").status_code == 404
    assert revision() == before + 2


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "/data/attributes/email"),
        ({"email": "nobody"}, "/data/attributes/email"),
        ({"email": "carol@example.com"}, "/data/attributes/email"),
    ],
    ids=["no e-mail", "none that is one", "there already"],
)
def test_participant_that_cannot_be_added_is_refused(body: dict[str, Any], where: str) -> None:
    meeting = made(alice(), participants=[{"email": "carol@example.com"}])
    response = alice().post(f"/meetings/{meeting['id']}/participants", {"participant": body})
    assert errors(response) == [("422", "validation_error", where)]


def test_participants_of_a_booking_are_its_sources_business() -> None:
    people = f"/meetings/{booked('Consultation').unique_id}/participants"
    assert alice().post(people, {"email": "eve@example.com"}).status_code == 422
    one = alice().get(people).json()["data"][0]["id"]
    assert alice().delete(f"{people}/{one}").status_code == 422


def test_colleague_who_takes_part_is_busy_too_when_an_administrator_says_so() -> None:
    acme_admin().put("/users/bob", {"user": {"email": "bob@acme.example"}})
    people = f"/meetings/{made(alice())['id']}/participants"
    bobs = {"participant": {"participant_unique_id": "bob"}}
    assert alice().post(people, bobs).status_code == 422, "alice gives away her own time only"
    assert acme_admin().post(people, bobs).json()["data"]["attributes"]["email"] == "bob@acme.example"
    assert taken("bob") == [("12:00", "13:00")]
    assert titles(bob(), "/meetings") == ["Lunch"]


def test_user_is_made_by_naming_something_of_them_and_not_by_a_slip() -> None:
    assert acme_admin().put("/users/carol/meetngs", {"user": {"name": "Carol"}}).status_code == 404
    assert acme_admin().put("/users/carol", {}).status_code == 422
    assert acme_admin().get("/users/carol").json()["errors"][0]["title"] == "User Not Found"
    facts = {"email": "carol@acme.example", "name": "Carol", "time_zone": "Europe/Berlin"}
    shown = acme_admin().put("/users/carol", {"user": facts}).json()["data"]
    assert (shown["type"], shown["id"]) == ("user", "carol")
    assert {name: shown["attributes"][name] for name in facts} == facts
    kept = acme_admin().put("/users/carol", {"user": {"name": "Caroline"}}).json()["data"]["attributes"]
    assert (kept["name"], kept["email"]) == ("Caroline", "carol@acme.example")
    assert mallory().get("/users/carol").status_code == 404


@pytest.mark.parametrize(
    ("facts", "where"), [({"email": "nobody"}, "email"), ({"time_zone": "Nowhere"}, "time_zone")], ids=["email", "zone"]
)
def test_user_with_a_wrong_email_or_zone_is_refused(facts: dict[str, str], where: str) -> None:
    response = acme_admin().put("/users/carol", {"user": facts})
    assert errors(response) == [("422", "validation_error", f"/data/attributes/{where}")]
    assert not CrmUser.objects.exists()


def test_user_who_takes_up_an_email_gets_the_bookings_that_waited_for_it() -> None:
    booking = booked("Consultation")
    Meeting.objects.filter(pk=booking.pk).update(user=None, organizer_email="carol@acme.example")
    BusyBlock.objects.all().delete()
    acme_admin().put("/users/carol", {"user": {"email": "Carol@acme.example"}})
    assert titles(acme_admin(), "/users/carol/meetings") == ["Consultation"]
    assert taken("carol") == [("12:00", "12:30")]


def test_users_are_listed_for_administrators_and_alone_for_themselves() -> None:
    for name in ("alice", "bob"):
        acme_admin().put(f"/users/{name}", {"user": {"name": name.title()}})
    for caller, names in ((acme_admin(), ["alice", "bob"]), (bob(), ["bob"]), (mallory(), [])):
        assert [item["id"] for item in caller.get("/users").json()["data"]] == names
