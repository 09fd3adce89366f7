"""Row 14: a clock that was days ahead for a while, or goes back by an hour, keeps no account waiting afterwards."""

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone
from time_machine import travel

from calendars.models import AccountRun, CalendarAccount
from calendars.providers import Throttled, Unreachable
from calendars.services import clocks, push, syncs
from calendars.sync import engine, pace
from calendars.sync import lease as leases
from tests.calendars.mirror import MEMORY, MONDAY, ledger, mirrored_account, synced
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> MemoryCalendarServer:
    """With a worker that hears every ring."""
    settings.CALENDAR_PROVIDERS = MEMORY

    def ring(task: str, account_pk: int, due_at: str | None = None, *, queue: str) -> None:
        engine.sync_account(account_pk, due_at=timezone.now() if due_at else None)

    monkeypatch.setattr(syncs, "ring", ring)
    server = memory.start()
    server.put("work", "before", memory.entry("2026-03-02T09:00"))
    return server


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(None, id="a sync went well meanwhile"),
        pytest.param(Unreachable("Cut off."), id="a sync failed meanwhile"),
        pytest.param(Throttled("Later.", retry_after=timedelta(hours=6)), id="the vendor asked for silence meanwhile"),
    ],
)
@pytest.mark.parametrize("days", [3, 400])
def test_account_that_was_synced_in_the_future_is_polled_as_soon_as_the_clock_is_right(
    server: MemoryCalendarServer, error: Exception | None, days: int
) -> None:
    account = mirrored_account()
    with travel(MONDAY + timedelta(days=days), tick=False):
        if error:
            server.fail_next(error)
        synced(account)
    server.put("work", "after", memory.entry("2026-03-03T09:00"))
    with travel(MONDAY, tick=False) as clock:
        assert syncs.poll_due(timezone.now()) == 0
        assert clocks.mend(timezone.now()) == 1
        clock.shift(1)
        syncs.poll_due(timezone.now())
    assert ledger(account) == server.ids("work")


def test_worker_that_died_in_the_future_keeps_its_account_and_run_from_nobody(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    with travel(MONDAY + timedelta(days=3), tick=False), pytest.MonkeyPatch.context() as patch:
        patch.setattr(syncs, "ring", lambda *arguments, queue: None)
        syncs.start_for_account(account)
        lease = leases.acquire(account.pk, now=timezone.now())
        push.tell([account.pk], now=timezone.now())
    with travel(MONDAY, tick=False) as clock:
        assert syncs.sweep(timezone.now()) == 0
        clocks.mend(timezone.now())
        clock.shift(timedelta(seconds=61))
        assert syncs.sweep(timezone.now()) == 1
    assert lease is not None
    assert not AccountRun.objects.filter(finished_at=None).exists()
    assert ledger(account) == server.ids("work")


def test_clock_that_goes_back_an_hour_leaves_nobody_waiting_longer_than_that(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    with travel(MONDAY, tick=False):
        synced(account)
    with travel(MONDAY - timedelta(hours=1), tick=False) as clock:
        clocks.mend(timezone.now())
        clock.shift(timedelta(hours=1) + pace.LONGEST_RETRY)
        assert syncs.poll_due(timezone.now()) == 1


def test_what_waits_for_good_reason_is_left_alone(server: MemoryCalendarServer, settings: LazySettings) -> None:
    account = mirrored_account()
    with travel(MONDAY, tick=False):
        server.fail_next(Throttled("Come back tomorrow.", retry_after=timedelta(days=2)))
        synced(account)
        leases.acquire(account.pk, now=timezone.now())
        before = CalendarAccount.objects.values().get(pk=account.pk)
        assert clocks.mend(timezone.now()) == 0
        assert CalendarAccount.objects.values().get(pk=account.pk) == before
