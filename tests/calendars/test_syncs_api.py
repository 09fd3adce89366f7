"""Asking for a sync, and looking at the runs."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from pytest_django import DjangoAssertNumQueries

from calendars.models import AccountRun, RunState, SyncRun
from calendars.providers import Unreachable
from calendars.services import syncs
from calendars.viewsets.syncs import seconds_to_wait
from tenancy.models import Company, CrmUser
from tests.calendars.mirror import MEMORY, MONDAY, mirrored_account
from tests.calendars.people import acme_admin, alice, bob, errors, mallory
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def server(settings: LazySettings) -> MemoryCalendarServer:
    settings.CALENDAR_PROVIDERS = MEMORY
    server = memory.start()
    server.put("work", "one", memory.entry("2026-03-02T09:00"))
    server.put("work", "two", memory.entry("2026-03-02T11:00"))
    return server


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers the bell."""
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: None)


def finished_run(user: str | None = "alice", **facts: Any) -> SyncRun:
    company, _ = Company.objects.get_or_create(url_id="acme")
    owner = CrmUser.objects.get_or_create(company=company, unique_id=user)[0] if user else None
    given = {"status": RunState.COMPLETED, "started_at": MONDAY, "finished_at": MONDAY + timedelta(seconds=9), **facts}
    return SyncRun.objects.create(company=company, user=owner, **given)


def test_sync_of_a_user_gets_the_documented_answer_at_once(no_worker: None) -> None:
    mirrored_account()
    response = alice().post("/users/alice/calendar/sync")
    run = SyncRun.objects.get()
    assert response.status_code == 200
    document = response.json()
    assert document["message"] == "Calendar sync initiated"
    assert document["data"]["sync_id"] == str(run.unique_id)
    assert document["data"]["status"] == "in_progress"
    assert document["data"]["started_at"].endswith("Z")
    assert "Preference-Applied" not in response


def test_sync_of_the_company_gets_the_documented_answer(no_worker: None) -> None:
    for user in ("alice", "bob"):
        mirrored_account(user=user, email=f"{user}@acme.example")
    mirrored_account(url_id="globex", user="mallory", email="mallory@globex.example")
    document = acme_admin().post("/calendar/sync", {}).json()
    assert document["message"] == "Global calendar sync initiated"
    assert (document["data"]["accounts_count"], document["data"]["status"]) == (2, "in_progress")


def test_waiting_for_the_sync_answers_with_what_came_of_it(server: MemoryCalendarServer) -> None:
    mirrored_account()
    response = alice().post("/users/alice/calendar/sync", {}, headers={"Prefer": "wait=5"})
    document = response.json()
    assert response["Preference-Applied"] == "wait=5"
    assert document["data"]["status"] == "completed"
    assert (document["data"]["eventsCreated"], document["data"]["eventsUpdated"]) == (2, 0)
    assert document["data"]["eventsDeleted"] == 0
    assert document["data"]["lastSyncAt"] is not None
    assert (document["success"], document["synced_events"], document["errors"]) == (True, 2, [])
    assert document["synced_at"] is not None


def test_failed_sync_says_which_account_failed_and_why(server: MemoryCalendarServer) -> None:
    mirrored_account()
    server.fail_next(Unreachable("The server cut the answer off."))
    document = alice().post("/users/alice/calendar/sync", {}, headers={"Prefer": "wait=5"}).json()
    assert (document["success"], document["data"]["status"]) == (False, "failed")
    [sentence] = document["errors"]
    assert sentence.startswith("alice@acme.example (caldav): The server cut the answer off.")


def test_sync_of_a_user_without_accounts_completes() -> None:
    document = alice().post("/users/alice/calendar/sync").json()
    assert (document["data"]["status"], document["success"], document["synced_events"]) == ("completed", True, 0)


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10),
        ("WAIT = 10", 10),
        ("respond-async, wait=3", 3),
        ('wait="7"; foo=bar', 7),
        # More than 30 is clamped.
        ("wait=600", 30),
        ("wait=0", 0),
        ("", None),
        ("wait", None),
        ("wait=soon", None),
        ("wait=-1", None),
        ("await=5", None),
    ],
)
def test_preference_to_wait_is_read_as_rfc_7240_says(prefer: str, seconds: int | None) -> None:
    assert seconds_to_wait(prefer) == seconds


def test_body_of_the_sdk_is_understood(no_worker: None) -> None:
    mirrored_account()
    body = {"sync": {"force_refresh": True, "sync_from": "2026-01-01T00:00:00Z", "sync_to": "2026-12-31T00:00:00Z"}}
    assert alice().post("/users/alice/calendar/sync", body).status_code == 200
    assert SyncRun.objects.get().force_refresh


@pytest.mark.parametrize(
    "body",
    [{"force_refresh": "perhaps"}, {"sync_from": "yesterday"}, {"sync_to": 20260101}],
    ids=lambda body: next(iter(body)),
)
def test_sync_body_that_cannot_be_read_names_its_field_and_starts_nothing(body: dict[str, Any]) -> None:
    response = alice().post("/users/alice/calendar/sync", {"sync": body})
    assert errors(response) == [("422", "validation_error", f"/data/attributes/{next(iter(body))}")]
    assert not SyncRun.objects.exists()


def test_sync_of_the_company_takes_an_administrator() -> None:
    assert alice().post("/calendar/sync").status_code == 403
    assert not SyncRun.objects.exists()


def test_bob_may_not_sync_alice_and_mallory_syncs_nobody_of_acme(no_worker: None) -> None:
    account = mirrored_account()
    assert bob().post("/users/alice/calendar/sync").status_code == 403
    document = mallory().post("/users/alice/calendar/sync").json()
    assert document["data"]["accounts_count"] == 0
    assert not account.account_runs.exists()
    assert mallory().post("/calendar/sync").json()["data"]["accounts_count"] == 0


def test_run_shows_its_sums_over_accounts() -> None:
    run = finished_run(accounts_count=2, status=RunState.COMPLETED_WITH_ERRORS)
    AccountRun.objects.create(
        run=run, account=mirrored_account(), events_created=3, events_updated=1, finished_at=MONDAY
    )
    AccountRun.objects.create(
        run=run,
        account=mirrored_account(email="team@acme.example"),
        events_created=4,
        events_deleted=2,
        events_withheld=5,
        error="Two events were not understood.",
    )
    data = alice().get(f"/calendar/syncs/{run.unique_id}").json()["data"]
    assert (data["type"], data["id"]) == ("sync_run", str(run.unique_id))
    shown = data["attributes"]
    assert {name: value for name, value in shown.items() if name.startswith(("accounts_", "events_"))} == {
        "accounts_count": 2,
        "accounts_done": 1,
        "events_created": 7,
        "events_updated": 1,
        "events_deleted": 2,
        "events_withheld": 5,
    }
    assert (shown["status"], shown["user_unique_id"], shown["force_refresh"]) == (
        "completed_with_errors",
        "alice",
        False,
    )
    assert shown["errors"] == ["team@acme.example (caldav): Two events were not understood."]
    assert (shown["started_at"], shown["finished_at"]) == ("2026-03-02T08:00:00Z", "2026-03-02T08:00:09Z")


def test_list_shows_a_user_their_own_runs_and_an_administrator_all(no_worker: None) -> None:
    mine = finished_run("alice")
    theirs = finished_run("bob", status=RunState.FAILED)
    whole = finished_run(None, started_at=MONDAY + timedelta(hours=1))
    ids = {run: str(run.unique_id) for run in (mine, theirs, whole)}
    listed = [item["id"] for item in alice().get("/calendar/syncs").json()["data"]]
    assert listed == [ids[mine]]
    assert alice().get(f"/calendar/syncs/{whole.unique_id}").status_code == 404
    admin = acme_admin()
    assert admin.get("/calendar/syncs").json()["data"][0]["id"] == ids[whole]
    assert [item["id"] for item in admin.get("/calendar/syncs?status=failed").json()["data"]] == [ids[theirs]]
    found = admin.get("/calendar/syncs?user_unique_id=alice").json()["data"]
    assert [item["id"] for item in found] == [ids[mine]]


def test_mallory_sees_no_run_of_acme() -> None:
    run = finished_run()
    caller = mallory()
    assert caller.get("/calendar/syncs").json()["data"] == []
    assert caller.get(f"/calendar/syncs/{run.unique_id}").json()["errors"][0]["title"] == "Sync Run Not Found"


def test_list_costs_the_same_queries_for_any_number_of_runs(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    account = mirrored_account()
    for _ in range(10):
        AccountRun.objects.create(run=finished_run(), account=account, error="No.")
    caller = acme_admin()
    # The key, the count, the page with its sums, the failures.
    with django_assert_num_queries(4):
        response = caller.get("/calendar/syncs")
    assert len(response.json()["data"]) == 10
