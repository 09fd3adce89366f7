"""The mirror: 10,000 events from a real Radicale into PostgreSQL, and what of the time is ours.

The sync runs in a process of its own, whose peak memory is the worker's. The time in which the vendor's answers are
waited for is subtracted: the rest is parsing, planning and writing.
"""

import json
import subprocess
import sys
from datetime import timedelta

from django.utils import timezone

from calendars.services import accounts
from tenancy.models import Company, CrmUser
from tests.benchmarks.report import say
from tests.servers import radicale

EVENTS = 10_000
CHANGED = 100
_SYNC = "from tests.benchmarks.mirror_child import main; main(0, {account})"


def run() -> None:
    company, _ = Company.objects.get_or_create(url_id="bench")
    user, _ = CrmUser.objects.get_or_create(company=company, unique_id="mirror")
    with radicale() as server:
        server.write_events("work", {f"event-{number}": event(number) for number in range(EVENTS)})
        account = accounts.connect(
            user,
            provider="caldav",
            email="mirror@bench.example",
            provider_data={"server_url": server.url, "username": server.username, "password": server.password},
            now=timezone.now(),
        )
        _report(f"first sync, {EVENTS:,} events", _sync(account.pk), EVENTS)
        _report("nothing changed", _sync(account.pk), 0)
        server.put_events("work", {f"event-{number}": event(number, hour=15) for number in range(CHANGED)})
        _report(f"{CHANGED} changed", _sync(account.pk), CHANGED)
        account.refresh_from_db()
        accounts.disconnect(account, now=timezone.now())


def event(number: int, *, hour: int = 9) -> str:
    """An ordinary event, as a calendar program writes it."""
    day = (timezone.now() + timedelta(days=number % 365)).strftime("%Y%m%d")
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Example//Calendar//EN",
        "BEGIN:VEVENT",
        f"UID:event-{number}@bench.example",
        "DTSTAMP:20260101T000000Z",
        f"DTSTART;TZID=Europe/Berlin:{day}T{hour:02}0000",
        f"DTEND;TZID=Europe/Berlin:{day}T{hour:02}4500",
        f"SUMMARY:Meeting with customer {number}",
        "LOCATION:Conference Room A\\, second floor",
        "DESCRIPTION:Agenda:\\n1. Numbers\\n2. Plans\\n3. Questions",
        "STATUS:CONFIRMED",
        "SEQUENCE:1",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines)


def _sync(account_pk: int) -> dict[str, float]:
    command = [sys.executable, "-c", _SYNC.format(account=account_pk)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _report(name: str, measured: dict[str, float], events: int) -> None:
    ours = measured["seconds"] - measured["waited"]
    rate = f", ours {events / ours:,.0f} events/s" if events else ""
    say(
        f"mirror: {name}",
        f"{measured['seconds']:.2f} s, of which {measured['waited']:.2f} s waiting for the server{rate}; "
        f"{measured['requests']:.0f} requests; peak memory {measured['peak_mb']:.0f} MB",
    )
