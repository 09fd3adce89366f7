"""The list of 100 calendar accounts over HTTP, beside a bare Django view that sends the same bytes."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from calendars.models import CalendarAccount
from tenancy import tokens
from tenancy.callers import Scope
from tenancy.models import ApiKey, Company, CrmUser
from tests.benchmarks.load import Load, requests_per_second
from tests.benchmarks.report import say
from tests.services import free_port

ROWS = 100
ROUNDS = 5


def run() -> None:
    company, _ = Company.objects.get_or_create(url_id="bench")
    user, _ = CrmUser.objects.get_or_create(company=company, unique_id="list")
    CalendarAccount.objects.bulk_create(
        [
            CalendarAccount(
                company=company, user=user, provider="google", email=f"user{n}@bench.example", identity=str(n)
            )
            for n in range(ROWS)
        ],
        ignore_conflicts=True,
    )
    bearer = tokens.issue(
        company, user_unique_id=None, scopes=[Scope.ADMIN], lifetime=timedelta(hours=1), now=timezone.now()
    )
    headers = {"Authorization": f"Bearer {bearer}", "AppId": ApiKey.issue(company), "Accept": "application/json"}
    with served() as (port, constant):
        listed = Load(port, f"/users/list/calendar_accounts?records={ROWS}", headers)
        constant.write_bytes(body := listed.body())
        assert len(json.loads(body)["data"]) == ROWS
        bare = Load(port, "/bare", {})
        assert bare.body() == body
        # In turns, so that whatever else the machine does meets both.
        pairs = [(requests_per_second(listed), requests_per_second(bare)) for _ in range(ROUNDS)]
    ours = statistics.median(pair[0] for pair in pairs)
    yardstick = statistics.median(pair[1] for pair in pairs)
    say(
        f"account list, {ROWS} rows",
        f"{ours:,.0f} requests/s; a bare view of the same {len(body):,} bytes {yardstick:,.0f}; "
        f"ratio {ours / yardstick:.2f}",
    )


@contextmanager
def served() -> Iterator[tuple[int, Path]]:
    """Granian with two workers serving the API and the bare view; its port, and the file of the bare view's bytes."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        constant = Path(folder) / "constant"
        constant.write_bytes(b"{}")
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "2", "--port", str(port)]
        command += ["--blocking-threads", "4", "--no-ws", "--log-level", "warning", "tests.benchmarks.wsgi:application"]
        server = subprocess.Popen(command, env={**os.environ, "BENCH_CONSTANT": str(constant)})
        try:
            Load(port, "/health/live", {}).wait()
            yield port, constant
        finally:
            server.terminate()
            server.wait(20)
