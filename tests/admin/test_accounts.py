"""What an operator does about accounts and calendars."""

import pytest
from django.conf import LazySettings
from django.test import Client

from busyblocks.models import BusyBlock
from calendars.admin import health
from calendars.admin import syncs as syncs_admin
from calendars.models import Calendar, CalendarAccount, SyncRun
from calendars.providers import ReconnectNeeded
from tenancy.models import CrmUser
from tests.admin.world import act, list_of, messages_of, operator, page_of
from tests.calendars.mirror import MEMORY, ledger, mirrored_account, synced
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: LazySettings) -> MemoryCalendarServer:
    settings.CALENDAR_PROVIDERS = MEMORY
    server = memory.start()
    for number in range(3):
        server.put("work", f"event-{number}", memory.entry("2026-03-02T09:00", title=f"Event {number}"))
    return server


@pytest.fixture
def account(server: MemoryCalendarServer) -> CalendarAccount:
    return mirrored_account()


@pytest.fixture
def client(db: None) -> Client:
    return operator()


@pytest.mark.django_db(transaction=True)
def test_sync_now_starts_a_run_for_each_account_and_links_to_it(client: Client, account: CalendarAccount) -> None:
    other = mirrored_account(user="bob", email="bob@acme.example")
    response = act(client, "sync_now", account, other)
    runs = list(SyncRun.objects.order_by("pk"))
    assert [run.accounts_count for run in runs] == [1, 1]
    assert len(ledger(account)) == 3, "without a broker the run is done at once"
    (message,) = messages_of(response)
    assert message.startswith("Syncs started: 2.")
    assert all(page_of(run) in message for run in runs)


def test_full_reread_asks_for_everything(client: Client, account: CalendarAccount) -> None:
    synced(account)
    act(client, "sync_with_full_reread", account)
    assert SyncRun.objects.latest("pk").force_refresh


def test_sync_of_a_paused_account_says_that_nothing_started(client: Client, account: CalendarAccount) -> None:
    CalendarAccount.objects.update(sync_enabled=False)
    response = act(client, "sync_now", account)
    assert messages_of(response) == ["1 has nothing to sync: paused, or never connected."]
    assert ledger(account) == {}


def test_too_many_accounts_at_once_are_refused(
    client: Client, account: CalendarAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncs_admin, "MOST_AT_ONCE", 0)
    for action in ("sync_now", "sync_with_full_reread", "pause", "clear_the_brake"):
        response = act(client, action, account)
        assert messages_of(response) == ["1 rows are too many at once: choose at most 0."]
    assert not SyncRun.objects.exists()


def test_a_rows_button_leads_back_to_the_row(client: Client, account: CalendarAccount) -> None:
    response = act(client, "pause", account, from_row="1")
    assert response.redirect_chain == [(page_of(account), 302)]


def test_paused_account_is_not_due_and_a_resumed_one_is_at_once(client: Client, account: CalendarAccount) -> None:
    act(client, "pause", account)
    account.refresh_from_db()
    assert (account.sync_enabled, account.status, account.next_attempt_at) == (False, "inactive", None)
    act(client, "resume", account)
    account.refresh_from_db()
    assert (account.sync_enabled, account.status) == (True, "active")
    assert account.next_attempt_at is not None


def test_switch_on_the_page_pauses_as_the_action_does(client: Client, account: CalendarAccount) -> None:
    response = client.post(page_of(account), {"name": "Work"})
    assert response.status_code == 302
    account.refresh_from_db()
    assert (account.name, account.sync_enabled, account.next_attempt_at) == ("Work", False, None)
    assert account.credentials == {"username": "alice@acme.example", "password": "secret"}


@pytest.mark.parametrize("how", ["page", "list"])
def test_deleting_an_account_disconnects_it(client: Client, account: CalendarAccount, how: str) -> None:
    synced(account)
    before = account.user.revision
    if how == "page":
        client.post(page_of(account, "delete"), {"post": "yes"})
    else:
        act(client, "delete_selected", account, post="yes")
    assert not CalendarAccount.objects.exists()
    assert not BusyBlock.objects.exists(), "what was mirrored went with it"
    assert CrmUser.objects.get().revision > before


def test_disconnecting_first_says_how_many_rows_go(client: Client, account: CalendarAccount) -> None:
    synced(account)
    calendar = Calendar.objects.get()
    html = client.get(page_of(account, "delete")).content.decode()
    assert f"Busy blocks of alice@acme.example, {calendar} ({calendar.pk}): 3" in html
    assert CalendarAccount.objects.exists()


def test_accounts_are_not_made_here(client: Client) -> None:
    assert client.get(list_of(CalendarAccount) + "add/").status_code == 403


def test_calendars_are_neither_made_nor_changed_nor_deleted_here(client: Client, account: CalendarAccount) -> None:
    synced(account)
    calendar = Calendar.objects.get()
    assert client.get(list_of(Calendar) + "add/").status_code == 403
    assert client.post(page_of(calendar, "delete"), {"post": "yes"}).status_code == 403
    client.post(page_of(calendar), {"name": "Mine", "sync_enabled": ""})
    calendar.refresh_from_db()
    assert (calendar.name, calendar.sync_enabled) == ("work", True)


def test_calendar_left_out_loses_its_rows_and_taken_in_reads_them_again(
    client: Client, account: CalendarAccount
) -> None:
    synced(account)
    calendar = Calendar.objects.get()
    response = act(client, "leave_out", calendar)
    assert messages_of(response) == ["Calendars left out: 1. Busy blocks deleted: 3."]
    assert ledger(account) == {}
    act(client, "take_in", calendar)
    calendar.refresh_from_db()
    assert (calendar.sync_enabled, calendar.cursor) == (True, "")
    synced(account)
    assert len(ledger(account)) == 3


@pytest.mark.parametrize(
    ("values", "held", "word"),
    [
        ({}, 0, health.FINE),
        ({}, 1, health.HELD),
        ({"sync_enabled": False, "last_error_code": "unreachable"}, 0, health.PAUSED),
        ({"connected": False, "last_error_code": ReconnectNeeded.code}, 0, health.RECONNECT),
        ({"last_error_code": "unreachable"}, 0, health.FAILING),
        ({"last_error_code": "unreachable"}, 1, health.FAILING),
        ({"connected": False}, 0, health.WAITING),
    ],
)
def test_word_for_an_accounts_health_is_the_filter_that_finds_it(
    client: Client, account: CalendarAccount, values: dict[str, object], held: int, word: str
) -> None:
    synced(account)
    CalendarAccount.objects.update(**values)
    Calendar.objects.update(held_count=held)
    (shown,) = health.with_held_count(CalendarAccount.objects.all())
    assert health.health_of(shown) == word
    found = client.get(list_of(CalendarAccount), {"health": word}).context["cl"].result_list
    assert list(found) == [account]
    if word != health.FINE:
        assert not client.get(list_of(CalendarAccount), {"health": health.FINE}).context["cl"].result_list
