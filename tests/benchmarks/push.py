"""From a push message of the simulated Google to the changed busy block, with a real broker and a real worker."""

import os
import statistics
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from celery import current_app
from django.test import Client, override_settings
from django.utils import timezone

from busyblocks.models import BusyBlock
from calendars.models import Calendar, CalendarAccount
from calendars.oauth import Tokens
from calendars.services import accounts, channels, syncs
from tenancy.models import Company, CrmUser
from tests.benchmarks.report import say
from tests.faults.workers import until, worker
from tests.integrations.google import where
from tests.simulators.google import GoogleSimulator, timed
from tests.simulators.google.server import READ_EVENTS, READ_LIST

ROUNDS = 20
EMAIL = "push@bench.example"


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds. answered: until the vendor had its answer; taken: until a worker had the account; synced: until the
    busy block was committed."""

    answered: float
    taken: float
    synced: float


def run() -> None:
    current_app.conf.task_always_eager = False
    with (
        GoogleSimulator() as google,
        tempfile.TemporaryDirectory() as folder,
        override_settings(**where(google), PUSH_URL="https://calendar.example"),
    ):
        os.environ |= google.settings()
        with worker(Path(folder) / "worker.log"):
            account = _connected(google)
            rounds = [_told(google, account, number) for number in range(ROUNDS)]
    answered, taken, synced = (
        1000 * statistics.median(getattr(one, part) for one in rounds) for part in ("answered", "taken", "synced")
    )
    slowest = 1000 * max(one.synced for one in rounds)
    say(
        "push: message to busy block",
        f"{synced:.0f} ms (slowest of {ROUNDS}: {slowest:.0f} ms): received {answered:.0f} ms, a worker at it after "
        f"{taken:.0f} ms, then read and committed in {synced - taken:.0f} ms",
    )


def _connected(google: GoogleSimulator) -> CalendarAccount:
    """An account that was synced once, and whose calendar is watched."""
    company, _ = Company.objects.get_or_create(url_id="bench")
    user, _ = CrmUser.objects.get_or_create(company=company, unique_id="push")
    google.add_account(EMAIL)
    access_token, refresh_token = google.grant(EMAIL)
    tokens = Tokens(
        access_token=access_token,
        refresh_token=refresh_token,
        token_type="Bearer",
        scopes=(READ_LIST, READ_EVENTS),
        expires_at=timezone.now() + timedelta(hours=1),
    )
    account = accounts.connect(user, provider="google", email=EMAIL, tokens=tokens, now=timezone.now())
    run = syncs.wait(syncs.start_for_account(account), seconds=60)
    assert run.status == "completed", run.status
    channels.tend(Calendar.objects.get(account=account).pk, now=timezone.now())
    assert channels.covers(account.pk, now=timezone.now())
    return account


def _told(google: GoogleSimulator, account: CalendarAccount, number: int) -> Times:
    google.put(
        EMAIL, "event0", timed(f"{timezone.now() + timedelta(days=1):%Y-%m-%d}T09:00", summary=f"Round {number}")
    )
    message = google.push.messages[-1]
    began = timezone.now()
    answer = Client().post("/push/google", headers=message)
    answered = timezone.now()
    assert answer.status_code < 300, answer.status_code
    changed = BusyBlock.objects.filter(user=account.user_id, title=f"Round {number}")
    until(changed.exists, what="the changed busy block")
    seen = timezone.now()
    account.refresh_from_db()
    # The lease is given back after the commit: the next round begins with a free account.
    until(lambda: CalendarAccount.objects.filter(pk=account.pk).unleased(timezone.now()).exists(), what="the lease")
    return Times(_seconds(began, answered), _seconds(began, account.last_attempt_at or seen), _seconds(began, seen))


def _seconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()
