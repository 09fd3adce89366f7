"""Runs: asked for, rung for, swept, and closed."""

from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks
from time_machine import travel

from calendars.models import AccountRun, Calendar, CalendarAccount, SyncRun
from calendars.services import doorbell, runs, syncs
from calendars.sync import engine
from calendars.sync import lease as leases
from tests.calendars.mirror import MEMORY, MONDAY, mirrored_account, synced
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: LazySettings) -> MemoryCalendarServer:
    settings.CALENDAR_PROVIDERS = MEMORY
    server = memory.start()
    server.put("work", "event", memory.entry("2026-03-02T09:00"))
    return server


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was sent to the broker, instead of sending it."""
    sent: list[tuple[Any, ...]] = []
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: sent.append((*args, queue)))
    return sent


def test_run_without_accounts_is_completed_at_once(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    account.delete()
    run = syncs.start_for_user(account.user)
    assert (run.status, run.accounts_count, run.finished_at is not None) == ("completed", 0, True)


def test_accounts_that_were_never_connected_are_no_part_of_a_run(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    CalendarAccount.objects.update(connected=False)
    assert syncs.start_for_user(account.user).accounts_count == 0


def test_account_that_lost_its_connection_is_part_of_a_run_and_says_so(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    server.password = "changed"
    engine.sync_account(account.pk, due_at=timezone.now())
    run = syncs.start_for_user(account.user)
    engine.sync_account(account.pk)
    run.refresh_from_db()
    assert run.status == "failed"
    assert "refused the user name or password" in run.account_runs.get().error


def test_whoever_asks_has_refused_credentials_tried_again(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    server.password = "changed"
    engine.sync_account(account.pk, due_at=timezone.now())
    server.password = "secret"
    syncs.start_for_user(account.user)
    engine.sync_account(account.pk)
    account.refresh_from_db()
    assert (account.connected, account.status, account.last_error) == (True, "active", "")


def test_company_s_run_covers_its_accounts_and_nobody_else_s(
    server: MemoryCalendarServer,
    rung: list[tuple[Any, ...]],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    alice, bob = mirrored_account(), mirrored_account(user="bob", email="bob@acme.example")
    mirrored_account(url_id="globex", user="mallory", email="mallory@globex.example")
    with django_capture_on_commit_callbacks(execute=True):
        run = syncs.start_for_company(alice.company)
    assert rung == [(syncs.FAN_OUT, run.pk, "bulk")]
    syncs.fan_out(run.pk)
    assert rung[1:] == [(syncs.SYNC_ACCOUNT, alice.pk, "bulk"), (syncs.SYNC_ACCOUNT, bob.pk, "bulk")]
    assert syncs.fan_out(run.pk) == 0


def test_run_is_finished_by_the_last_of_its_accounts(server: MemoryCalendarServer) -> None:
    alice, bob = mirrored_account(), mirrored_account(user="bob", email="bob@acme.example")
    run = syncs.start_for_company(alice.company)
    engine.sync_account(alice.pk)
    run.refresh_from_db()
    assert run.status == "in_progress"
    engine.sync_account(bob.pk)
    totals = syncs.with_totals(SyncRun.objects.filter(pk=run.pk)).get()
    assert (totals.status, totals.accounts_done, totals.events_created) == ("completed", 2, 2)


def test_lost_broker_is_logged_and_the_run_waits_for_the_sweep(
    server: MemoryCalendarServer,
    settings: LazySettings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kombu.exceptions import OperationalError

    from calendars import tasks

    def refuse(**_: Any) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(tasks.sync_account, "apply_async", refuse)
    monkeypatch.setitem(doorbell._quiet, "until", 0.0)
    account = mirrored_account()
    with travel(MONDAY, tick=False), django_capture_on_commit_callbacks(execute=True):
        run = syncs.start_for_user(account.user)
    monkeypatch.undo()
    settings.CALENDAR_PROVIDERS = MEMORY
    assert syncs.sweep(MONDAY + timedelta(seconds=61)) == 1
    run.refresh_from_db()
    assert run.status == "completed"


def test_run_of_a_dead_worker_is_taken_over_when_its_lease_expires(
    server: MemoryCalendarServer, rung: list[tuple[Any, ...]], settings: LazySettings
) -> None:
    account = mirrored_account()
    with travel(MONDAY, tick=False) as clock:
        run = syncs.start_for_user(account.user)
        lease = leases.acquire(account.pk, now=MONDAY)
        assert lease is not None
        runs.take_up(lease)
        clock.shift(settings.SYNC_LEASE - timedelta(seconds=1))
        assert syncs.sweep(timezone.now()) == 0
        clock.shift(timedelta(seconds=2))
        assert syncs.sweep(timezone.now()) == 1
        assert syncs.sweep(timezone.now()) == 0
        engine.sync_account(account.pk)
    run.refresh_from_db()
    assert run.status == "completed"


def test_run_of_a_disconnected_account_is_closed_by_the_sweep(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    run = syncs.start_for_user(account.user)
    account.delete()
    syncs.sweep(timezone.now())
    run.refresh_from_db()
    assert run.status == "completed"


def test_due_account_is_sent_once_by_two_beats(server: MemoryCalendarServer, rung: list[tuple[Any, ...]]) -> None:
    account = mirrored_account()
    now = timezone.now()
    CalendarAccount.objects.filter(pk=account.pk).update(last_synced_at=now)
    assert (syncs.poll_due(now), syncs.poll_due(now)) == (1, 0)
    assert rung == [(syncs.SYNC_ACCOUNT, account.pk, now.isoformat(), "poll")]


def test_due_account_whose_cursor_is_gone_is_sent_where_that_keeps_nobody_waiting(
    server: MemoryCalendarServer, rung: list[tuple[Any, ...]]
) -> None:
    account = mirrored_account()
    synced(account)
    Calendar.objects.update(cursor="")
    CalendarAccount.objects.update(next_attempt_at=timezone.now())
    rung.clear()
    syncs.poll_due(timezone.now())
    assert [queue for *_, queue in rung] == ["bulk"]


def test_account_whose_message_was_lost_is_due_again(server: MemoryCalendarServer, rung: list[tuple[Any, ...]]) -> None:
    mirrored_account()
    now = timezone.now()
    syncs.poll_due(now)
    assert syncs.poll_due(now + timedelta(seconds=61)) == 1


def test_doorbell_finds_every_task_by_name(server: MemoryCalendarServer) -> None:
    account = mirrored_account()
    run = syncs.start_for_user(account.user)
    doorbell.ring(syncs.SYNC_ACCOUNT, account.pk, queue="push")
    run.refresh_from_db()
    assert run.status == "completed"


def test_waiting_for_a_run_that_nobody_works_on_ends_in_time(server: MemoryCalendarServer) -> None:
    run = syncs.start_for_user(mirrored_account().user)
    assert syncs.wait(run, seconds=0.05).status == "queued"


def test_second_lease_is_refused_until_the_first_expires(settings: LazySettings) -> None:
    account = mirrored_account()
    first = leases.acquire(account.pk, now=MONDAY)
    assert first is not None
    assert leases.acquire(account.pk, now=MONDAY + settings.SYNC_LEASE - timedelta(seconds=1)) is None
    second = leases.acquire(account.pk, now=MONDAY + settings.SYNC_LEASE + timedelta(seconds=1))
    assert second is not None
    with pytest.raises(leases.LeaseLost):
        leases.renew(first, now=MONDAY + timedelta(seconds=62))
    assert AccountRun.objects.count() == 0
