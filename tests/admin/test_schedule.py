"""What the schedule page is told: the right times in every zone, the own company's users alone, at a bounded cost."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from busyblocks.models import BusyBlock, Origin
from calendars.models import Meeting
from tenancy.models import Company, CrmUser
from tests.admin.world import administrator, operator
from tests.busyblocks.rows import days, timed, write

pytestmark = pytest.mark.django_db
PAGE = "/admin/busyblocks/busyblock/schedule/"
ENTRIES = PAGE + "entries"


def entries(
    client: Client, *users: CrmUser, zone: str = "UTC", start: str = "2026-03-23", end: str = "2026-03-30"
) -> Any:
    question: dict[str, Any] = {"user": [user.pk for user in users], "time_zone": zone, "start": start, "end": end}
    response = client.get(ENTRIES, question)
    assert response.status_code == 200, response.content
    return response.json()


def test_entries_stand_at_the_wall_times_of_the_zone_asked_for(acme: Company, alice: CrmUser):
    write(
        alice,
        timed("2026-03-26 14:00", title="Call"),
        timed("2026-03-23 09:00", 30, tz="Europe/Berlin", uid="standup", title="Stand-up", rule="FREQ=DAILY;COUNT=2"),
        days("2026-03-27", title="Away"),
    )
    found = entries(administrator(acme), alice, zone="America/New_York")
    assert [(entry["title"], entry["start"], entry["end"], entry["allDay"]) for entry in found] == [
        ("Stand-up", "2026-03-23T04:00:00", "2026-03-23T04:30:00", False),
        ("Stand-up", "2026-03-24T04:00:00", "2026-03-24T04:30:00", False),
        ("Call", "2026-03-26T10:00:00", "2026-03-26T11:00:00", False),
        ("Away", "2026-03-27T00:00:00", "2026-03-28T00:00:00", True),
    ]


def test_entry_that_ends_in_the_repeated_hour_keeps_its_length(acme: Company, alice: CrmUser):
    # 02:50 to 02:10, twenty minutes later: the clocks go back at 03:00.
    write(alice, timed("2026-10-25 00:50", 20))
    (found,) = entries(administrator(acme), alice, zone="Europe/Berlin", start="2026-10-25", end="2026-10-26")
    assert (found["start"], found["end"]) == ("2026-10-25T02:50:00", "2026-10-25T03:10:00")


def test_meeting_and_its_synced_copy_are_drawn_once_and_what_is_cancelled_is_not(acme: Company, alice: CrmUser):
    work = Origin.objects.create(user=alice, source="google", name="Work")
    meeting = Meeting()
    write(alice, timed("2026-03-26 14:00", uid="m", title="Demo"), source="calcom", meeting_key=str(meeting.unique_id))
    write(alice, timed("2026-03-26 14:00", uid="m", title="Demo, copied"), origin=work)
    write(alice, timed("2026-03-26 16:00", uid="c", title="Off", status="cancelled"), origin=work)
    assert [entry["title"] for entry in entries(administrator(acme), alice)] == ["Demo"]


def test_each_source_has_its_colour_and_each_entry_leads_to_its_row(acme: Company, alice: CrmUser):
    work = Origin.objects.create(user=alice, source="google", name="Work")
    write(alice, timed("2026-03-24 09:00", uid="a", title="Synced"), origin=work)
    write(alice, timed("2026-03-25 09:00", title="By hand", fbtype="busy-tentative"))
    synced, by_hand = entries(administrator(acme), alice)
    assert synced["classNames"] == ["hue-0", "counts-busy"]
    assert by_hand["classNames"] == ["hue-2", "counts-busy-tentative"]
    assert by_hand["extendedProps"]["row"] == BusyBlock.objects.get(title="By hand").pk


def test_several_users_are_shown_by_their_free_busy_and_nothing_else(acme: Company, alice: CrmUser, bob: CrmUser):
    write(alice, timed("2026-03-24 09:00", title="Doctor"), timed("2026-03-24 09:30", title="Therapy"))
    write(bob, timed("2026-03-24 12:00", fbtype="busy-tentative"))
    found = entries(administrator(acme), alice, bob, zone="Europe/Berlin")
    assert [(entry["resourceId"], entry["start"], entry["end"], entry["title"]) for entry in found] == [
        (alice.pk, "2026-03-24T10:00:00", "2026-03-24T11:30:00", "busy"),
        (bob.pk, "2026-03-24T13:00:00", "2026-03-24T14:00:00", "tentative"),
    ]


def test_other_companies_users_do_not_exist(acme: Company, alice: CrmUser, mallory: CrmUser):
    write(alice, timed("2026-03-24 09:00", title="Secret of Acme"))
    theirs = administrator(mallory.company)
    question: dict[str, Any] = {"user": [alice.pk], "start": "2026-03-23", "end": "2026-03-30"}
    assert theirs.get(ENTRIES, question).status_code == 404
    assert theirs.get(ENTRIES, {**question, "user": [mallory.pk, alice.pk]}).status_code == 404
    queries: list[dict[str, Any]] = [{"user": alice.pk}, {"search": "alice"}, {"search": "acme"}]
    for query in queries:
        page = theirs.get(PAGE, query).content.decode()
        assert "alice" not in page.replace('value="alice"', "")
        assert f'value="{alice.pk}" checked' not in page


def test_nobody_sees_it_without_signing_in(client: Client, alice: CrmUser):
    for path in (PAGE, ENTRIES):
        assert client.get(path, {"user": alice.pk}).status_code == 302


def test_search_finds_users_by_what_they_are_called_and_keeps_the_chosen(acme: Company, alice: CrmUser, bob: CrmUser):
    question: dict[str, Any] = {"user": alice.pk, "search": "bob"}
    page = administrator(acme).get(PAGE, question).content.decode()
    assert f'value="{alice.pk}" checked' in page
    assert f'value="{bob.pk}">' in page


@pytest.mark.parametrize(
    ("question", "reason"),
    [
        pytest.param({"time_zone": "Mars/Olympus"}, "There is no such time zone.", id="an unknown zone"),
        pytest.param({"start": "soon"}, "Give an ISO 8601 time", id="no time"),
        pytest.param({"start": ""}, "This parameter is required.", id="no start"),
        pytest.param({"end": "2030-01-01"}, "at most", id="a span too wide"),
    ],
)
def test_question_that_cannot_be_answered_says_why(
    acme: Company, alice: CrmUser, question: dict[str, str], reason: str
):
    asked: dict[str, Any] = {"user": alice.pk, "start": "2026-03-23", "end": "2026-03-30", **question}
    response = administrator(acme).get(ENTRIES, asked)
    assert response.status_code == 400
    assert reason in response.json()["error"]


def test_entries_cost_the_same_queries_for_5_rows_and_for_50(acme: Company, alice: CrmUser):
    client = operator()
    counts = []
    for rows in (5, 45):
        write(alice, *(timed("2026-03-24 09:00", 15, title=f"{rows} {number}") for number in range(rows)))
        with CaptureQueriesContext(connection) as queries:
            entries(client, alice)
        counts.append(len(queries))
    assert counts[0] == counts[1]
