"""Free/busy and availability over HTTP: from prepared occurrences, merged by PostgreSQL.

Medians of single requests, one after the other, so that nothing but the answer is measured.
"""

import random
import statistics
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial

from django.db import connection, transaction
from django.utils import timezone

from busyblocks import prepared
from busyblocks.entries import Entry
from busyblocks.models import BusyBlock
from busyblocks.moments import compact
from busyblocks.recurrence import recurs_until
from busyblocks.zones import to_utc, zone
from tenancy import tokens
from tenancy.callers import Scope
from tenancy.models import ApiKey, Company, CrmUser, bump_revision
from tests.benchmarks.account_list import served
from tests.benchmarks.load import Load, Post
from tests.benchmarks.report import say

REQUESTS = 60
DAYS = 90
TEAM = 50
_RULES = ("FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO,WE", "FREQ=WEEKLY;INTERVAL=2", "FREQ=MONTHLY", "FREQ=DAILY")
_ZONES = ("Europe/Berlin", "America/New_York", "UTC", "Asia/Kolkata")


def run() -> None:
    company, _ = Company.objects.get_or_create(url_id="bench")
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    bearer = tokens.issue(
        company, user_unique_id=None, scopes=[Scope.ADMIN], lifetime=timedelta(hours=1), now=timezone.now()
    )
    headers = {"Authorization": f"Bearer {bearer}", "AppId": ApiKey.issue(company), "Accept": "application/json"}
    # The same year for all three, and beside it, for the last, ten years that nobody asks for.
    for name, near, far in (("events-1000", 1_000, 0), ("events-10000", 10_000, 0), ("events-100000", 1_000, 99_000)):
        _fill(company, name, [*_events(near, now, years=1), *_events(far, now - timedelta(days=4000), years=10)], now)
    for number in range(TEAM):
        _fill(company, f"team-{number}", _events(1_000, now, years=1, seed=number), now)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    with served() as (port, _):
        span = f"start_time={compact(now)}&end_time={compact(now + timedelta(days=DAYS))}"
        medians = {}
        for name in ("events-1000", "events-10000", "events-100000"):
            load = Load(port, f"/users/{name}/free_busy?{span}", headers)
            medians[name] = _median(load)
            changed = _median(load, before=partial(_change, company, name), requests=15)
            say(
                f"free/busy: {name}",
                f"{medians[name]:.1f} ms for {DAYS} days, {len(load.body()):,} bytes; after a change {changed:.1f} ms",
            )
        growth = medians["events-100000"] / medians["events-1000"]
        say("free/busy: growth", f"{growth:.2f} times from 1,000 to 100,000 stored events")
        end = now + timedelta(days=30)
        question = {
            "user_unique_ids": [f"team-{number}" for number in range(TEAM)],
            "start_time": now.isoformat(),
            "end_time": end.isoformat(),
            "time_zone": "Europe/Berlin",
        }
        everybody = Post(port, "/free_busy", headers, {"free_busy": question})
        say(f"free/busy: {TEAM} users", f"{_median(everybody):.1f} ms for 30 days, {len(everybody.body()):,} bytes")
        hours = [
            {"days": ["mo", "tu", "we", "th", "fr"], "start": "09:00", "end": "17:00", "time_zone": "Europe/Berlin"}
        ]
        for quorum in ("all", "any"):
            asked = {**question, "duration_minutes": 30, "quorum": quorum, "working_hours": hours}
            slots = Post(port, "/availability", headers, {"availability": asked})
            say(f"availability: {quorum} of {TEAM}", f"{_median(slots):.1f} ms, {len(slots.body()):,} bytes")


def _change(company: Company, name: str) -> None:
    """The user's ledger is another one now, so nothing that was kept may be taken."""
    with transaction.atomic():
        prepared.revised(CrmUser.objects.get(company=company, unique_id=name).pk, at=timezone.now())


def _median(load: Load, *, before: Callable[[], None] | None = None, requests: int = REQUESTS) -> float:
    """Milliseconds of one request, connection kept alive; `before` runs before each, outside of the measure."""
    times = []
    with load.connected() as ask:
        for _ in range(requests):
            if before is not None:
                before()
            started = time.perf_counter()
            ask()
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def _events(count: int, around: datetime, *, years: int, seed: int = 0) -> Iterable[Entry]:
    """Ordinary events of so many years around a time, each tenth a series; the series of past years have ended."""
    dice = random.Random(seed)
    for number in range(count):
        tz = zone(dice.choice(_ZONES))
        day = around + timedelta(days=dice.randint(-183 * years, 182 * years))
        wall = datetime(day.year, day.month, day.day, dice.randint(8, 18), dice.choice([0, 15, 30, 45]))
        start = to_utc(wall, tz)
        rule = ""
        if number % 10 == 0:
            rule = dice.choice(_RULES)
            if years > 1:
                rule += f";UNTIL={compact(min(start + timedelta(days=200), around + timedelta(days=1950)))}"
        yield Entry(
            uid=f"event-{number}-{years}@bench.example",
            title=f"Meeting {number}",
            start_time=start,
            end_time=start + timedelta(minutes=dice.choice([15, 30, 45, 60])),
            time_zone=tz.key,
            local_start="" if tz.key == "UTC" else compact(wall),
            recurrence_rule=rule,
        )


def _fill(company: Company, name: str, entries: Iterable[Entry], now: datetime) -> None:
    user, made = CrmUser.objects.get_or_create(company=company, unique_id=name)
    if not made:
        return
    rows = (
        BusyBlock(
            company=company,
            user=user,
            recurs_until=recurs_until(entry) if entry.recurring else None,
            **entry.columns(),
        )
        for entry in entries
    )
    BusyBlock.objects.bulk_create(rows, batch_size=1000)
    bump_revision(user.pk, at=datetime.now(UTC))
    prepared.prepare(user.pk, now=now)
