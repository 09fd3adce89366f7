"""From a push message of a simulated vendor to the changed busy block, with a real broker and a real worker."""

import os
import statistics
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from celery import current_app
from django.test import Client, override_settings
from django.utils import timezone

from busyblocks.models import BusyBlock
from calendars.models import Calendar, CalendarAccount
from calendars.services import channels, syncs
from tests.benchmarks.report import say
from tests.benchmarks.vendors import Vendor, connected, google, outlook
from tests.faults.workers import until, worker

ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds since the message was sent. answered: until the vendor had its answer; taken: until a worker had the
    account; synced: until the busy block was committed."""

    answered: float
    taken: float
    synced: float


def run() -> None:
    current_app.conf.task_always_eager = False
    for simulated in (google, outlook):
        _measure(simulated)


def _measure(simulated: Callable[[], AbstractContextManager[Vendor]]) -> None:
    with (
        simulated() as vendor,
        tempfile.TemporaryDirectory() as folder,
        override_settings(**vendor.where, PUSH_URL="https://calendar.example"),
    ):
        os.environ |= vendor.settings
        with worker(Path(folder) / "worker.log"):
            account = _watched(vendor)
            rounds = [_told(vendor, account, number) for number in range(1, ROUNDS + 1)]
    answered, taken, synced = (
        1000 * statistics.median(getattr(one, part) for one in rounds) for part in ("answered", "taken", "synced")
    )
    slowest = 1000 * max(one.synced for one in rounds)
    say(
        f"{vendor.name}: push message to busy block",
        f"{synced:.0f} ms (slowest of {ROUNDS}: {slowest:.0f} ms): received {answered:.0f} ms, a worker at it after "
        f"{taken:.0f} ms, then read and committed in {synced - taken:.0f} ms",
    )


def _watched(vendor: Vendor) -> CalendarAccount:
    """An account that was synced once, and whose calendar is watched."""
    account = connected(vendor, "push")
    run = syncs.wait(syncs.start_for_account(account), seconds=60)
    assert run.status == "completed", run.status
    channels.tend(Calendar.objects.get(account=account).pk, now=timezone.now())
    assert channels.covers(account.pk, now=timezone.now())
    return account


def _told(vendor: Vendor, account: CalendarAccount, number: int) -> Times:
    vendor.put(account.email, number, timezone.now() + timedelta(days=1))
    message = vendor.told()
    began = timezone.now()
    answer = Client().post(f"/push/{vendor.name}", **message)
    answered = timezone.now()
    assert answer.status_code < 300, answer.status_code
    changed = BusyBlock.objects.filter(user=account.user_id, title=f"Meeting with customer {number}")
    until(changed.exists, what="the changed busy block")
    seen = timezone.now()
    account.refresh_from_db()
    # The lease is given back after the commit: the next round begins with a free account.
    until(lambda: CalendarAccount.objects.filter(pk=account.pk).unleased(timezone.now()).exists(), what="the lease")
    return Times(_seconds(began, answered), _seconds(began, account.last_attempt_at or seen), _seconds(began, seen))


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
