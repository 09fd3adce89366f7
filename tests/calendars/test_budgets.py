"""Budgets: requests counted for all workers, and what is over waits as the account's next attempt."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from time_machine import travel

from calendars.models import CalendarAccount
from calendars.providers import Throttled
from calendars.services import budgets
from calendars.services.connections import open_provider
from calendars.services.credentials import TokenKeeper
from calendars.sync import engine
from tests.calendars.mirror import MEMORY, mirrored_account, synced
from tests.contracts import memory
from tests.together import at_once

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, 0, 15, tzinfo=UTC)


def nothing() -> None:
    pass


def spent(account: CalendarAccount, times: int, *, at: datetime = NOON) -> int:
    """How many of so many requests were let through."""
    spend = budgets.checkpoint(account, nothing, clock=lambda: at)
    passed = 0
    for _ in range(times):
        try:
            spend()
        except Throttled:
            continue
        passed += 1
    return passed


@pytest.fixture
def account(settings: LazySettings) -> CalendarAccount:
    settings.CALENDAR_PROVIDERS = MEMORY
    settings.CALENDAR_BUDGETS = {"caldav": ((5, 60, True), (8, 60, False))}
    memory.start().add_calendar("work")
    return mirrored_account()


def test_user_gets_no_more_than_their_budget_in_a_window(account: CalendarAccount) -> None:
    assert spent(account, 20) == 5


def test_next_window_is_a_new_budget(account: CalendarAccount) -> None:
    assert spent(account, 20) == 5
    assert spent(account, 1, at=NOON + timedelta(seconds=44)) == 0
    assert spent(account, 1, at=NOON + timedelta(seconds=45)) == 1


def test_users_share_what_the_service_as_a_whole_may_ask(account: CalendarAccount) -> None:
    other = mirrored_account(user="bob", email="bob@acme.example")
    assert spent(account, 5) == 5
    assert spent(other, 5) == 3


def test_mailbox_that_is_connected_twice_is_one_user(account: CalendarAccount) -> None:
    again = mirrored_account(url_id="globex", user="mallory", email="ALICE@acme.example")
    assert spent(account, 5) + spent(again, 5) == 5


def test_who_is_over_is_told_how_long_the_window_lasts(account: CalendarAccount) -> None:
    spent(account, 5)
    with pytest.raises(Throttled) as caught:
        budgets.checkpoint(account, nothing, clock=lambda: NOON)()
    assert caught.value.retry_after == timedelta(seconds=45)


def test_vendor_without_a_budget_is_asked_freely(account: CalendarAccount, settings: LazySettings) -> None:
    settings.CALENDAR_BUDGETS = {}
    assert budgets.checkpoint(account, nothing) is nothing


def test_lost_lease_costs_nothing(account: CalendarAccount) -> None:
    class LeaseLost(Exception):
        pass

    def stop() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        budgets.checkpoint(account, stop, clock=lambda: NOON)()
    assert spent(account, 5) == 5


def test_cache_that_cannot_be_reached_stops_nobody(account: CalendarAccount, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise ConnectionError("no cache")

    monkeypatch.setattr(budgets.cache, "incr", fail)
    assert spent(account, 20) == 20


def test_workers_at_once_take_each_request_once(account: CalendarAccount) -> None:
    assert sum(at_once([lambda: spent(account, 5)] * 4)) == 5


def test_sync_over_its_budget_waits_as_the_next_attempt_and_asks_nothing(
    account: CalendarAccount, settings: LazySettings
) -> None:
    server = memory.start()
    for number in range(10):
        server.put("work", f"event-{number}", memory.entry("2026-03-02T09:00"))
    server.page_size = 1
    with travel(NOON, tick=False):
        verdict = synced(account)
        assert isinstance(verdict.failure, Throttled)
        assert server.requests == 5
        found = CalendarAccount.objects.get()
        assert found.vendor_retry_at == NOON + timedelta(seconds=45)
        assert found.next_attempt_at is not None
        assert found.next_attempt_at >= found.vendor_retry_at
        assert (found.connected, found.last_error_code) == (True, "throttled")
        assert engine.sync_account(account.pk) is None
        assert server.requests == 5


def test_every_way_to_a_vendor_spends(account: CalendarAccount) -> None:
    provider: Any = open_provider(account, TokenKeeper(account.pk))
    with travel(NOON, tick=False):
        for _ in range(5):
            provider.connection.checkpoint()
        with pytest.raises(Throttled):
            provider.connection.checkpoint()
