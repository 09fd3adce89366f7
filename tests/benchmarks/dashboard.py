"""The admin's first page with 10,000 accounts, a busy day behind them, and much that needs a person."""

import statistics
import time
from datetime import timedelta
from itertools import islice

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from busyblocks.models import Origin
from calendars.models import AccountRun, Calendar, CalendarAccount, RunState, SyncHour, SyncRun
from calendars.models.account import ProviderName
from icsfeeds.models import ReadHour
from integrations.models import DeliveryState, WebhookDelivery
from tenancy.models import Company, CrmUser, Staff
from tests.benchmarks.report import say

ACCOUNTS = 10_000
COMPANIES = 50
DELIVERIES = 50_000
RUNS = 200
ROUNDS = 15
_BATCH = 2_000


def run() -> None:
    _fill()
    staff, _ = Staff.objects.get_or_create(username="bench-operator", is_staff=True, is_superuser=True)
    client = Client(headers={"host": "localhost"})
    client.force_login(staff)
    client.get("/admin/")
    with CaptureQueriesContext(connection) as asked:
        response = client.get("/admin/")
    assert response.status_code == 200
    assert "Show all 500" in response.text, "one of twenty is to be connected again"
    statements = len(asked)
    slowest = max(float(query["time"]) for query in asked.captured_queries)
    wall, cpu = [], []
    for _ in range(ROUNDS):
        began, worked = time.perf_counter(), time.process_time()
        client.get("/admin/")
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - worked)
    middle, worst, own = (1000 * number for number in (statistics.median(wall), max(wall), statistics.median(cpu)))
    say(
        f"first page, {ACCOUNTS:,} accounts",
        f"{middle:,.0f} ms, the slowest of {ROUNDS} {worst:,.0f} ms, {own:,.0f} ms of CPU outside of the database; "
        f"{statements} statements, the slowest {1000 * slowest:,.0f} ms",
    )


def _fill() -> None:
    """Of each ten accounts one fails, of each twenty one is to be connected again, of each hundred one is braked."""
    now = timezone.now()
    companies = [Company.objects.get_or_create(url_id=f"board{number}")[0] for number in range(COMPANIES)]
    users = CrmUser.objects.bulk_create(
        CrmUser(company=companies[n % COMPANIES], unique_id=f"board{n}") for n in range(ACCOUNTS)
    )
    providers = ProviderName.values
    accounts = CalendarAccount.objects.bulk_create(
        (
            CalendarAccount(
                company_id=user.company_id,
                user=user,
                provider=providers[n % len(providers)],
                email=f"user{n}@board.example",
                identity=f"board{n}",
                connected=n % 20 != 7,
                last_synced_at=now - timedelta(seconds=n % 300),
                next_attempt_at=now + timedelta(seconds=n % 300 - 20),
                last_error_code={3: "unreachable", 7: "reconnect_needed"}.get(n % 20, ""),
                last_error="The server does not answer." if n % 20 in {3, 7} else "",
            )
            for n, user in enumerate(users)
        ),
        batch_size=_BATCH,
    )
    origins = Origin.objects.bulk_create((Origin(user=user, source="caldav") for user in users), batch_size=_BATCH)
    Calendar.objects.bulk_create(
        (
            Calendar(account=account, origin=origin, external_id="main", held_count=30 if n % 100 == 0 else 0)
            for n, (account, origin) in enumerate(zip(accounts, origins, strict=True))
        ),
        batch_size=_BATCH,
    )
    hours = [now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=back) for back in range(24 * 35)]
    SyncHour.objects.bulk_create(
        (
            SyncHour(company=company, hour=hour, syncs=2400, failures=3, events_changed=40, milliseconds=900_000)
            for company in companies
            for hour in hours
        ),
        batch_size=_BATCH,
    )
    ReadHour.objects.bulk_create(
        (ReadHour(company=company, hour=hour, reads=500) for company in companies for hour in hours), batch_size=_BATCH
    )
    WebhookDelivery.objects.bulk_create(
        (
            WebhookDelivery(
                company=companies[n % COMPANIES],
                body=b"{}",
                signed=True,
                trigger="BOOKING_CREATED",
                state=DeliveryState.FAILED if n % 1000 == 0 else DeliveryState.HANDLED,
            )
            for n in range(DELIVERIES)
        ),
        batch_size=_BATCH,
    )
    for number in range(RUNS):
        company = companies[number % COMPANIES]
        done = SyncRun.objects.create(
            company=company, started_at=now, finished_at=now, status=RunState.COMPLETED, accounts_count=200
        )
        AccountRun.objects.bulk_create(
            AccountRun(run=done, account=account, status=RunState.COMPLETED, finished_at=now)
            for account in islice((one for one in accounts if one.company_id == company.pk), 200)
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
