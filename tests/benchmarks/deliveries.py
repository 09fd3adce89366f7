"""Cal.com deliveries that are accepted: signed, stored on the disk, answered; beside a view that inserts one row.

PostgreSQL is one of its own here, which has each commit on the disk before it answers: what is thanked for is kept.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from integrations.calcom.signature import HEADER, signature_of
from tests import services
from tests.benchmarks.load import Delivery, Load, latencies
from tests.benchmarks.report import say
from tests.services import free_port

CLIENTS = 8
EACH = 100
ROUNDS = 5
SECRET = "bench-secret"
SAMPLE = Path(__file__).parent.parent / "calcom" / "booking_created.json"


def run() -> None:
    body = SAMPLE.read_bytes()
    headers = {"Content-Type": "application/json", HEADER: signature_of(body, SECRET)}
    with services.postgres(durable=True) as database, _served(database) as port:
        ours = Delivery(port, "/calcom/bench/webhook", headers, body)
        bare = Delivery(port, "/bare/insert", {"Content-Type": "application/json"}, body)
        # In turns, so that whatever else the machine does meets both.
        pairs = [tuple(latencies(load, clients=CLIENTS, each=EACH) for load in (ours, bare)) for _ in range(ROUNDS)]
    rates = [[rate for rate, _ in which] for which in zip(*pairs, strict=True)]
    accepted, yardstick = (statistics.median(each) for each in rates)
    slowest = statistics.median(seconds[len(seconds) * 99 // 100] for (_, seconds), _ in pairs)
    say(
        f"deliveries, {len(body):,} bytes",
        f"{accepted:,.0f} accepted/s, durable, p99 {slowest * 1000:.0f} ms; a bare view that inserts one row "
        f"{yardstick:,.0f}; ratio {accepted / yardstick:.2f}",
    )


@contextmanager
def _served(database: str) -> Iterator[int]:
    """Granian with two workers on that database; its port."""
    # The tests' settings would work a delivery off before it is answered.
    environment = {**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "config.settings"}
    _manage(environment, "migrate", "--verbosity", "0")
    _manage(environment, "create_company", "bench", "--calcom-secret", SECRET)
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "2", "--port", str(port)]
    command += ["--blocking-threads", "4", "--no-ws", "--log-level", "warning", "tests.benchmarks.wsgi:application"]
    # The first company of an empty database.
    server = subprocess.Popen(command, env={**environment, "BENCH_COMPANY": "1"})
    try:
        Load(port, "/health/live", {}).wait()
        yield port
    finally:
        server.terminate()
        server.wait(20)


def _manage(environment: dict[str, str], *arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
