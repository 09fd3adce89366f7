"""POST /free_busy, POST /availability, working hours, and free/busy as iCalendar."""

import uuid
from typing import Any

import icalendar
import pytest
import time_machine
from rest_framework.test import APIClient

from busyblocks import prepared
from busyblocks.models import Origin, Source, WorkingHours
from tenancy.callers import Scope
from tenancy.models import Company, CrmUser
from tests.busyblocks.rows import at, days, timed, write
from tests.cast import client_for

WEEK = {"start_time": "2026-03-02T00:00:00Z", "end_time": "2026-03-09T00:00:00Z"}
BOTH = {**WEEK, "user_unique_ids": ["alice", "bob"]}
MORNING = {"start_time": "2026-03-02T08:00:00Z", "end_time": "2026-03-02T11:00:00Z"}
HOURS = {"time_zone": "Europe/Berlin", "windows": [{"days": ["MO", "tu"], "start": "09:00", "end": "24:00"}]}


NIGHT = [{"days": ["mo"], "start": "00:00", "end": "00:00"}]


@pytest.fixture
def api(acme: Company) -> APIClient:
    return client_for(acme)


@pytest.fixture(autouse=True)
def _march() -> Any:
    with time_machine.travel(at("2026-03-01 00:00"), tick=False):
        yield


def starts(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [slot["start_time"][8:16] for slot in response.json()["data"]["attributes"]["slots"]]


def ask(api: APIClient, users: list[str], **facts: Any) -> Any:
    body = {"user_unique_ids": users, **MORNING, "duration_minutes": 60, "step_minutes": 60, **facts}
    return api.post("/availability", {"availability": body}, format="json")


def test_each_user_has_a_result_in_the_order_of_the_question(api: APIClient, alice: CrmUser, bob: CrmUser) -> None:
    write(alice, timed("2026-03-02 09:00"))
    write(bob, timed("2026-03-03 09:00", 30, fbtype="busy-unavailable"))
    answer = api.post("/free_busy", {"free_busy": {**BOTH, "user_unique_ids": ["bob", "nobody", "alice", "bob"]}})
    found = answer.json()["data"]
    assert [one["id"] for one in found] == ["bob", "nobody", "alice"]
    assert [len(one["attributes"]["periods"]) for one in found] == [1, 0, 1]
    assert found[0]["attributes"]["periods"][0]["fbtype"] == "BUSY-UNAVAILABLE"
    assert all(one["attributes"]["errors"] == [] for one in found)


def test_times_come_in_the_zone_of_the_answer_too(api: APIClient, alice: CrmUser) -> None:
    write(alice, days("2026-03-02"))
    answer = api.post("/free_busy", {"free_busy": {**BOTH, "time_zone": "Asia/Tokyo"}}, format="json")
    period = answer.json()["data"][0]["attributes"]["periods"][0]
    assert (period["start_time"], period["local_start"]) == ("2026-03-02T00:00:00Z", "2026-03-02T09:00:00+09:00")
    assert period["local_end"] == "2026-03-03T00:00:00+09:00"


def test_user_whom_the_token_does_not_reach_is_an_error_of_theirs(acme: Company, alice: CrmUser, bob: CrmUser) -> None:
    write(alice, timed("2026-03-02 09:00"))
    write(bob, timed("2026-03-02 09:00"))
    api = client_for(acme, "bob", [Scope.READ])
    theirs, own = api.post("/free_busy", {"free_busy": BOTH}, format="json").json()["data"]
    assert theirs["attributes"]["periods"] == []
    assert theirs["attributes"]["errors"][0]["code"] == "forbidden"
    assert len(own["attributes"]["periods"]) == 1
    together = ask(api, ["alice", "bob"]).json()["data"]["attributes"]
    assert together["slots"] == [], "who is not known is not known to be free"
    assert [error["user_unique_id"] for error in together["errors"]] == ["alice"]


def test_mallory_learns_nothing_of_acme(globex: Company, alice: CrmUser) -> None:
    write(alice, timed("2026-03-02 08:00"))
    WorkingHours.objects.create(user=alice, time_zone="UTC", windows=[])
    api = client_for(globex)
    assert api.post("/free_busy", {"free_busy": BOTH}, format="json").json()["data"][0]["attributes"]["periods"] == []
    assert len(starts(ask(api, ["alice"]))) == 3
    assert api.get("/users/alice/working_hours").status_code == 404
    assert api.delete("/users/alice/working_hours").status_code == 404
    api.put("/users/alice/working_hours", HOURS, format="json")
    assert WorkingHours.objects.get(user=alice).windows == []
    assert client_for(globex, "mallory").get("/users/alice/working_hours").status_code == 403


def test_question_takes_the_scope_to_read(acme: Company, client: APIClient) -> None:
    api = client_for(acme, "alice", [Scope.WRITE])
    assert api.post("/free_busy", {"free_busy": BOTH}, format="json").status_code == 403
    assert client.post("/availability", {}).status_code == 401


WRONG = [
    ({"user_unique_ids": []}, "user_unique_ids"),
    ({"user_unique_ids": [f"u{n}" for n in range(101)]}, "user_unique_ids"),
    ({"user_unique_ids": "alice"}, "user_unique_ids"),
    ({"end_time": "2026-03-01T00:00:00Z"}, "end_time"),
    ({"end_time": "2028-03-01T00:00:00Z"}, "end_time"),
    ({"start_time": "soon"}, "start_time"),
    ({"time_zone": "Mars/Olympus"}, "time_zone"),
]  # fmt: skip


@pytest.mark.parametrize(("changed", "field"), WRONG)
def test_question_that_cannot_be_answered_names_the_field(api: APIClient, changed: Any, field: str) -> None:
    for path, name, more in (
        ("/free_busy", "free_busy", {}),
        ("/availability", "availability", {"duration_minutes": 5}),
    ):
        answer = api.post(path, {name: {**BOTH, **more, **changed}}, format="json")
        assert answer.status_code == 422
        assert f"/{field}" in answer.json()["errors"][0]["source"]["pointer"]


def test_slots_are_where_all_are_free(api: APIClient, alice: CrmUser, bob: CrmUser) -> None:
    write(alice, timed("2026-03-02 08:00"))
    write(bob, timed("2026-03-02 10:00", status="tentative"))
    assert starts(ask(api, ["alice", "bob"])) == ["02T09:00"]
    assert starts(ask(api, ["alice", "bob"], quorum="any")) == ["02T08:00", "02T09:00", "02T10:00"]
    assert starts(ask(api, ["alice", "bob"], tentative_is_free=True)) == ["02T09:00", "02T10:00"]
    assert starts(ask(api, ["alice"], buffer_before_minutes=10, step_minutes=30)) == ["02T09:30", "02T10:00"]
    assert starts(ask(api, ["alice"], minimum_notice_minutes=34 * 60)) == ["02T10:00"]


def test_slot_tells_its_local_time_and_who_is_free(api: APIClient, alice: CrmUser) -> None:
    answer = ask(api, ["alice"], time_zone="America/New_York").json()["data"]["attributes"]
    assert answer["slots"][0] == {
        "start_time": "2026-03-02T08:00:00Z",
        "end_time": "2026-03-02T09:00:00Z",
        "local_start": "2026-03-02T03:00:00-05:00",
        "local_end": "2026-03-02T04:00:00-05:00",
        "user_unique_ids": ["alice"],
    }
    assert not answer["truncated"]


def test_stored_hours_count_unless_the_question_names_others(api: APIClient, alice: CrmUser) -> None:
    put = api.put("/users/alice/working_hours", {"working_hours": HOURS}, format="json")
    assert put.json()["data"]["attributes"]["windows"] == [{"days": ["mo", "tu"], "start": "09:00", "end": "00:00"}]
    assert starts(ask(api, ["alice"], start_time="2026-03-02T06:00:00Z")) == ["02T08:00", "02T09:00", "02T10:00"]
    late = [{"days": ["mo"], "start": "10:00", "end": "12:00"}]
    assert starts(ask(api, ["alice"], working_hours=late, time_zone="Europe/Berlin")) == ["02T09:00", "02T10:00"]
    assert len(starts(ask(api, ["alice"], start_time="2026-03-02T06:00:00Z", working_hours=[]))) == 5
    assert api.delete("/users/alice/working_hours").status_code == 204
    assert len(starts(ask(api, ["alice"], start_time="2026-03-02T06:00:00Z"))) == 5


def test_user_without_stored_hours_has_none_to_show(api: APIClient, alice: CrmUser) -> None:
    assert api.get("/users/alice/working_hours").status_code == 404


BAD_HOURS = [
    {"time_zone": "Nowhere", "windows": []},
    {"time_zone": "UTC", "windows": [{"days": [], "start": "09:00", "end": "10:00"}]},
    {"time_zone": "UTC", "windows": [{"days": ["xx"], "start": "09:00", "end": "10:00"}]},
    {"time_zone": "UTC", "windows": [{"days": ["mo"], "start": "9:00", "end": "10:00"}]},
    {"time_zone": "UTC", "windows": [{"days": ["mo"], "start": "24:01", "end": "10:00"}]},
    {"time_zone": "UTC", "windows": [{"days": ["mo"], "start": "09:00", "end": "10:00"}] * 51},
    {"windows": []},
]


@pytest.mark.parametrize("hours", BAD_HOURS)
def test_working_hours_that_mean_nothing_are_refused(api: APIClient, hours: Any) -> None:
    assert api.put("/users/alice/working_hours", hours, format="json").status_code == 422
    assert not WorkingHours.objects.exists()


def test_many_slots_are_cut_and_say_so(api: APIClient, alice: CrmUser) -> None:
    answer = ask(api, ["alice"], end_time="2026-04-02T00:00:00Z", step_minutes=5).json()["data"]["attributes"]
    assert (len(answer["slots"]), answer["truncated"]) == (2000, True)


def test_question_costs_the_same_queries_for_2_users_and_for_20(
    api: APIClient, acme: Company, django_assert_max_num_queries: Any
) -> None:
    costs = []
    for count in (2, 20):
        names = [f"u{number}" for number in range(count)]
        for name in names:
            user, _ = CrmUser.objects.get_or_create(company=acme, unique_id=name)
            write(user, timed("2026-03-01 09:00", rule="FREQ=DAILY", uid=str(uuid.uuid4())))
            prepared.prepare(user.pk, now=at("2026-03-01 00:00"))
            WorkingHours.objects.get_or_create(user=user, defaults={"time_zone": "UTC", "windows": NIGHT})
        with django_assert_max_num_queries(9) as queries:
            assert starts(ask(api, names))
        costs.append(len(queries))
    assert costs[0] == costs[1]


ANSWERS = [("/users/alice/free_busy", {"HTTP_ACCEPT": "text/calendar"}), ("/users/alice/free_busy.ifb", {})]


@pytest.mark.parametrize(("path", "headers"), ANSWERS)
def test_free_busy_is_told_as_icalendar(api: APIClient, alice: CrmUser, path: str, headers: dict[str, str]) -> None:
    write(alice, timed("2026-03-02 09:00"), timed("2026-03-03 09:00", fbtype="busy-tentative"))
    api.credentials(**{**api._credentials, **headers})
    answer = api.get(f"{path}?start_time=2026-03-02T00:00:00Z&end_time=2026-03-09T00:00:00Z")
    assert answer["Content-Type"].startswith("text/calendar")
    assert max(len(line) for line in answer.content.split(b"\r\n")) <= 75
    (calendar,) = icalendar.Calendar.from_ical(answer.content, multiple=True)
    (told,) = calendar.walk("VFREEBUSY")
    assert {"UID", "DTSTAMP", "DTSTART", "DTEND"} <= told.keys()
    periods = [(period.params["FBTYPE"], period.to_ical().decode()) for period in told["FREEBUSY"]]
    assert periods == [
        ("BUSY", "20260302T090000Z/20260302T100000Z"),
        ("BUSY-TENTATIVE", "20260303T090000Z/20260303T100000Z"),
    ]


def test_refusal_to_a_calendar_program_is_a_document(api: APIClient, alice: CrmUser) -> None:
    answer = api.get("/users/alice/free_busy.ifb")
    assert answer.status_code == 422
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["errors"]


ONE_OF_THREE = ["meeting", "copy", "manual"]


@pytest.mark.parametrize("gone", [None, *ONE_OF_THREE])
@pytest.mark.parametrize("prepare", [False, True])
def test_meeting_its_copy_and_a_block_are_one_period_and_each_is_enough(
    api: APIClient, alice: CrmUser, gone: str | None, prepare: bool
) -> None:
    origin = Origin.objects.create(user=alice, source=Source.GOOGLE)
    rows = {
        "meeting": write(alice, timed("2026-03-02 09:00", uid="m@cal.com"), meeting_key=str(uuid.uuid4()))[0],
        "copy": write(alice, timed("2026-03-02 09:00", uid="m@cal.com"), origin=origin)[0],
        "manual": write(alice, timed("2026-03-02 09:00", uid="own@here"))[0],
    }
    if gone:
        rows[gone].delete()
    if prepare:
        prepared.prepare(alice.pk, now=at("2026-03-01 00:00"))
    answer = api.get(f"/users/alice/free_busy?start_time={WEEK['start_time']}&end_time={WEEK['end_time']}")
    (period,) = answer.json()["data"]["attributes"]["periods"]
    assert (period["start_time"], period["end_time"]) == ("2026-03-02T09:00:00Z", "2026-03-02T10:00:00Z")
