"""A worker that dies between any two steps: the next one finishes, nothing is lost, nothing counts twice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone
from time_machine import travel

from busyblocks.models import BusyBlock
from calendars.models import SyncRun
from calendars.services import syncs
from calendars.sync import engine, mirror
from tests.calendars.crashes import STEPS, WAYS, Killed, dies_before
from tests.calendars.mirror import MEMORY, MONDAY, ledger, mirrored_account
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> MemoryCalendarServer:
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: None)
    settings.CALENDAR_PROVIDERS = MEMORY
    server = memory.start(page_size=10)
    for number in range(50):
        server.put("work", f"event-{number}", memory.entry("2026-03-02T09:00"))
    for number in range(20):
        server.put("private", f"event-{number}", memory.entry("2026-03-02T12:00"))
    return server


@pytest.mark.parametrize("when", WAYS)
@pytest.mark.parametrize(("where", "step"), STEPS)
def test_next_worker_finishes_what_a_killed_one_began(
    server: MemoryCalendarServer,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    step: str,
    when: Callable[[Callable[..., Any]], Callable[..., Any]],
) -> None:
    account = mirrored_account()
    with travel(MONDAY, tick=False) as clock:
        run = syncs.start_for_account(account)
        with monkeypatch.context() as patch:
            patch.setattr(where, step, when(getattr(where, step)))
            with pytest.raises(Killed):
                engine.sync_account(account.pk)
        clock.shift(timedelta(seconds=61))
        syncs.sweep(timezone.now())
        engine.sync_account(account.pk)
        syncs.sweep(timezone.now())
    totals = syncs.with_totals(SyncRun.objects.filter(pk=run.pk)).get()
    assert (totals.status, totals.accounts_done, totals.events_created) == ("completed", 1, 70)
    assert ledger(account) == server.ids("work") | server.ids("private")
    assert BusyBlock.objects.count() == 70


def test_killed_worker_s_lease_keeps_others_away_until_it_expires(
    server: MemoryCalendarServer, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    account = mirrored_account()
    with travel(MONDAY, tick=False) as clock:
        syncs.start_for_account(account)
        with monkeypatch.context() as patch:
            patch.setattr(mirror, "apply", dies_before(mirror.apply))
            with pytest.raises(Killed):
                engine.sync_account(account.pk)
        clock.shift(settings.SYNC_LEASE - timedelta(seconds=1))
        assert engine.sync_account(account.pk) is None
        clock.shift(timedelta(seconds=2))
        assert engine.sync_account(account.pk) is not None
