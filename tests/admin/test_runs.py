"""Runs, watched: how far one is, what each calendar brought, and the buttons that start one."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client
from time_machine import travel

from calendars.models import AccountRun, Calendar, CalendarAccount, CalendarRun, SyncRun, WithheldEvent
from calendars.providers import CalendarGone
from calendars.services import syncs
from calendars.sync import engine
from tenancy.models import CrmUser
from tests.admin.world import act, administrator, company, operator, page_of
from tests.calendars.mirror import MEMORY, MONDAY, mirrored_account
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture
def server(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> MemoryCalendarServer:
    """A calendar of an event that can be read and one that cannot; and messages to workers that go nowhere."""
    settings.CALENDAR_PROVIDERS = MEMORY
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: None)
    server = memory.start()
    server.put("work", "event", memory.entry("2026-03-02T09:00"))
    server.put_unreadable("work", "odd", "Its rule is <b>no rule</b>.")
    return server


def progress_of(client: Client, run: SyncRun) -> dict[str, Any]:
    found: dict[str, Any] = client.get(page_of(run).replace("change/", "progress/")).json()
    return found


def test_run_is_watched_from_the_queue_to_its_end(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    client = administrator(account.company)
    run = syncs.start_for_account(account)
    assert progress_of(client, run)["state"] == "Waits for a worker"
    engine.sync_account(account.pk)
    now = progress_of(client, run)
    assert (now["finished"], now["share"], now["done"], now["accounts"]) == (True, 100, 1, 1)
    assert (now["state"], now["left"]) == ("Finished", "")
    assert now["words"] == "1 of 1 accounts · 1 event changed (+1 ~0 −0) · 1 withheld"


def test_run_of_one_account_is_followed_calendar_by_calendar(server: MemoryCalendarServer) -> None:
    server.put("home", "event", memory.entry("2026-03-02T09:00"))
    account = mirrored_account()
    with travel(MONDAY, tick=False):
        syncs.start_for_account(account)
        engine.sync_account(account.pk)
        run = syncs.start_for_account(account)
    seen = []

    def look(number: int) -> None:
        seen.append(progress_of(client, run))

    client = operator()
    with travel(MONDAY + timedelta(seconds=10), tick=False):
        server.on_request = look
        engine.sync_account(account.pk)
    assert [now["words"].split(" · ")[1] for now in seen[-2:]] == ["0 of 2 calendars", "1 of 2 calendars"]
    assert [(now["share"], now["left"], now["state"]) for now in seen[-2:]] == [
        (0, "Nobody knows yet how long it takes.", "Under way"),
        (50, "About 11 seconds left", "Under way"),
    ]


def test_page_of_a_run_is_whole_without_a_script(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    client = administrator(account.company)
    run = syncs.start_for_account(account)
    html = client.get(page_of(run)).content.decode()
    assert "Waits for a worker" in html
    assert "data-progress-url" in html
    engine.sync_account(account.pk)
    html = client.get(page_of(run)).content.decode()
    assert "1 of 1 accounts" in html
    assert "data-progress-url" not in html, "what is finished is not asked about any more"


def test_page_of_a_run_says_what_each_calendar_brought_and_what_was_withheld_and_why(
    server: MemoryCalendarServer,
) -> None:
    server.put("home", "event", memory.entry("2026-03-02T09:00"))
    server.fail_next(CalendarGone("It is gone."), calendar="home")
    account = mirrored_account()
    run = syncs.start_for_account(account)
    engine.sync_account(account.pk)
    client = administrator(account.company)
    for page in (page_of(run), page_of(AccountRun.objects.get())):
        response = client.get(page)
        rows = {row.name: row for row in response.context["calendar_rows"]}
        work, home = rows["work"], rows["home"]
        assert (work.row.events_created, work.row.events_withheld) == (1, 1)
        assert work.withheld == [("odd", "Its rule is <b>no rule</b>.")]
        assert home.row.error == "It is gone."
        assert "Its rule is &lt;b&gt;no rule&lt;/b&gt;." in response.content.decode()


def test_calendar_without_news_is_told_too(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    for _ in range(2):
        syncs.start_for_account(account)
        engine.sync_account(account.pk)
    first, second = CalendarRun.objects.order_by("pk")
    assert (first.events_created, second.events_created, second.error) == (1, 0, "")


def test_run_that_a_second_worker_finishes_counts_on(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    run = syncs.start_for_account(account)
    engine.sync_account(account.pk)
    # As after a crash between a calendar's commit and the closing of the run.
    AccountRun.objects.update(status="in_progress", finished_at=None)
    SyncRun.objects.update(status="in_progress", finished_at=None)
    server.put("work", "another", memory.entry("2026-03-03T09:00"))
    engine.sync_account(account.pk)
    row = CalendarRun.objects.get(part__run=run)
    assert (row.events_created, row.events_withheld) == (2, 1)


def test_what_a_calendar_brought_outlives_it(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    run = syncs.start_for_account(account)
    engine.sync_account(account.pk)
    Calendar.objects.get().origin.delete()
    CalendarAccount.objects.all().delete()
    (row,) = operator().get(page_of(run)).context["calendar_rows"]
    assert (row.name, row.url, row.account) == ("work", "", "a disconnected account")


def test_polls_that_nobody_asked_for_leave_no_rows(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    engine.sync_account(account.pk, due_at=MONDAY + timedelta(days=10_000))
    assert WithheldEvent.objects.count() == 1
    assert not CalendarRun.objects.exists()


def test_run_of_another_company_is_not_told_of(server: MemoryCalendarServer) -> None:
    run = syncs.start_for_account(mirrored_account())
    mallory = administrator(company("globex"))
    assert mallory.get(page_of(run).replace("change/", "progress/")).status_code == 404
    assert Client().get(page_of(run).replace("change/", "progress/")).status_code == 302


def test_buttons_of_account_user_and_company_lead_to_the_run(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    mirrored_account(user="bob", email="bob@acme.example")
    client = administrator(account.company)
    for row, action, accounts in (
        (account, "sync_now", 1),
        (account, "sync_with_full_reread", 1),
        (account.user, "sync_users", 1),
        (account.company, "sync_companies", 2),
    ):
        page = client.get(page_of(row))
        assert action in [button["name"] for button in page.context["buttons"]]
        page = act(client, action, row, from_row="1")
        run = SyncRun.objects.order_by("-pk")[0]
        assert page.redirect_chain == [(page_of(run), 302)]
        assert (run.accounts_count, run.force_refresh) == (accounts, action == "sync_with_full_reread")


def test_user_without_accounts_has_nothing_to_sync(server: MemoryCalendarServer) -> None:
    user = CrmUser.objects.create(company=company("acme"), unique_id="carol")
    page = act(administrator(user.company), "sync_users", user, from_row="1")
    assert page.redirect_chain == [(page_of(user), 302)]
    assert "1 has nothing to sync" in page.content.decode()
