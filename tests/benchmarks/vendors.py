"""Google and Outlook, simulated: first syncs of large calendars, polls of many accounts, and what a few changes cost.

The simulators run here and the syncs in a process of their own, whose peak memory is the worker's. The time in which
answers are waited for is subtracted: the rest, from the received bytes to the committed rows, is our share; a part of
it is spent on this process's own processor, and the rest in PostgreSQL.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from calendars.models import CalendarAccount
from calendars.oauth import Tokens
from calendars.services import accounts
from tenancy.models import Company, CrmUser
from tests.benchmarks.report import say
from tests.integrations.google import where as google_settings
from tests.integrations.outlook import where as outlook_settings
from tests.simulators import samples
from tests.simulators.google import GoogleSimulator, timed
from tests.simulators.google.server import READ_EVENTS, READ_LIST
from tests.simulators.graph import GraphSimulator

EVENTS = 10_000
MANY = 100_000
CHANGED = 100
ACCOUNTS = 1_000
_SYNC = "import sys; from tests.benchmarks.mirror_child import main; main(*map(int, sys.stdin.read().split()))"
_OTHER = "other"
_TEXT = "Agenda:\n1. Numbers\n2. Plans\n3. Questions"


@dataclass(frozen=True, slots=True)
class Vendor:
    """One simulated vendor.

    settings: the environment that leads a service there; where: the same, of this process. put: creates or changes an
    event of the user of this e-mail. tokens: as after consent. told: how its latest push message is posted.
    """

    name: str
    settings: dict[str, str]
    where: dict[str, Any]
    put: Callable[[str, int, datetime], None]
    tokens: Callable[[str], tuple[str, str]]
    add_user: Callable[[str], object]
    told: Callable[[], dict[str, Any]]


def run() -> None:
    for simulated in (google, outlook):
        with simulated() as vendor:
            connected(vendor, _OTHER)
            account = connected(vendor, "large")
            _fill(vendor, account, EVENTS)
            full = _synced(vendor, account)
            _report(vendor, f"first sync, {EVENTS:,} events", full, EVENTS)
            _report(vendor, "nothing changed", _synced(vendor, account), 0)
            for number in range(CHANGED):
                vendor.put(account.email, number, _day(number) + timedelta(hours=3))
            few = _synced(vendor, account)
            _report(vendor, f"{CHANGED} of {EVENTS:,} changed", few, CHANGED)
            say(
                f"{vendor.name}: 1 % against a full read",
                f"{_ours(few) / _ours(full):.1%} of our time, {few['requests'] / full['requests']:.1%} of the requests",
            )
            larger = connected(vendor, "larger")
            _fill(vendor, larger, MANY)
            _report(vendor, f"first sync, {MANY:,} events", _synced(vendor, larger), MANY)
            many = [connected(vendor, f"user-{number}") for number in range(ACCOUNTS)]
            for number, one in enumerate(many):
                vendor.put(one.email, 0, _day(number))
            _synced(vendor, *many)
            _report_accounts(vendor, _synced(vendor, *many))


@contextmanager
def google() -> Iterator[Vendor]:
    with GoogleSimulator() as simulator:

        def put(email: str, number: int, at: datetime) -> None:
            facts: dict[str, Any] = {
                "summary": f"Meeting with customer {number}",
                "location": "Conference Room A",
                "description": _TEXT,
            }
            simulator.put(email, f"event{number}", timed(f"{at:%Y-%m-%dT%H:%M}", zone="Europe/Berlin", **facts))

        def tokens(email: str) -> tuple[str, str]:
            return simulator.grant(email)

        def told() -> dict[str, Any]:
            return {"headers": simulator.push.messages[-1]}

        where = google_settings(simulator)
        yield Vendor("google", simulator.settings(), where, put, tokens, simulator.add_account, told)


@contextmanager
def outlook() -> Iterator[Vendor]:
    with GraphSimulator() as simulator:
        # Nobody listens where it sends its messages: they are fetched.
        simulator.subscriptions.handshakes = False

        def put(email: str, number: int, at: datetime) -> None:
            place = {"displayName": "Conference Room A"}
            facts: dict[str, Any] = {
                "subject": f"Meeting with customer {number}",
                "location": place,
                "bodyPreview": _TEXT,
            }
            with simulator.lock:
                simulator.mailbox(email).put("Calendar", f"event{number}", f"{at:%Y-%m-%dT%H:%M}", **facts)

        def tokens(email: str) -> tuple[str, str]:
            return simulator.sign_in.access_token(email), simulator.sign_in.refresh_token(email)

        def add_user(email: str) -> object:
            return simulator.mailbox(email).add_calendar("Calendar")

        def told() -> dict[str, Any]:
            (message,) = simulator.subscriptions.messages().values()
            return {"data": message, "content_type": "application/json"}

        where = outlook_settings(simulator)
        yield Vendor("outlook", samples.graph_settings(simulator), where, put, tokens, add_user, told)


def connected(vendor: Vendor, name: str) -> CalendarAccount:
    """An account of a user of this name, who has just consented."""
    company, _ = Company.objects.get_or_create(url_id="bench")
    user, _ = CrmUser.objects.get_or_create(company=company, unique_id=name)
    email = f"{name}@bench.example"
    vendor.add_user(email)
    access_token, refresh_token = vendor.tokens(email)
    tokens = Tokens(
        access_token=access_token,
        refresh_token=refresh_token,
        token_type="Bearer",
        scopes=(READ_LIST, READ_EVENTS) if vendor.name == "google" else ("User.Read", "Calendars.Read"),
        expires_at=timezone.now() + timedelta(hours=1),
    )
    return accounts.connect(user, provider=vendor.name, email=email, tokens=tokens, now=timezone.now())


def _fill(vendor: Vendor, account: CalendarAccount, events: int) -> None:
    for number in range(events):
        vendor.put(account.email, number, _day(number))


def _day(number: int) -> datetime:
    return timezone.now().replace(hour=9, minute=0) + timedelta(days=number % 300)


def _synced(vendor: Vendor, *chosen: CalendarAccount) -> dict[str, float]:
    """What the syncs cost a worker that has synced another account of this vendor before."""
    other = CalendarAccount.objects.get(provider=vendor.name, email=f"{_OTHER}@bench.example")
    done = subprocess.run(
        [sys.executable, "-c", _SYNC],
        input=" ".join(str(account.pk) for account in (other, *chosen)),
        env=os.environ | vendor.settings,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _report(vendor: Vendor, name: str, measured: dict[str, float], events: int) -> None:
    ours = _ours(measured)
    rate = f", {events / ours:,.0f} events/s" if events else ""
    say(
        f"{vendor.name}: {name}",
        f"ours {ours:.2f} s ({measured['cpu']:.2f} s processor{rate}), "
        f"{measured['waited']:.2f} s waiting for the simulator; {measured['requests']:.0f} requests; "
        f"{measured['statements']:.0f} statements; peak memory {measured['peak_mb']:.0f} MB",
    )


def _report_accounts(vendor: Vendor, measured: dict[str, float]) -> None:
    say(
        f"{vendor.name}: {ACCOUNTS:,} accounts unchanged",
        f"each {measured['requests'] / ACCOUNTS:.2f} requests, {measured['statements'] / ACCOUNTS:.1f} statements, "
        f"ours {1000 * _ours(measured) / ACCOUNTS:.1f} ms ({1000 * measured['cpu'] / ACCOUNTS:.1f} ms processor), "
        f"{1000 * measured['waited'] / ACCOUNTS:.1f} ms waiting for the simulator",
    )


def _ours(measured: dict[str, float]) -> float:
    return measured["seconds"] - measured["waited"]
