"""Cal.com deliveries that are accepted: signed, stored on the disk, answered; beside a view that inserts one row.
Then a burst of them, with a worker beside that handles them meanwhile.

PostgreSQL is one of its own here, which has each commit on the disk before it answers: what is thanked for is kept.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from integrations.calcom.signature import HEADER, signature_of
from tests import services
from tests.benchmarks.burst import Burst
from tests.benchmarks.load import Delivery, Load, latencies
from tests.benchmarks.report import say
from tests.benchmarks.urls import BARE_TABLE
from tests.services import free_port

CLIENTS = 8
EACH = 100
ROUNDS = 5
BURST = 20_000
BURST_SECONDS = 10
HANDLED_SECONDS = 20
SECRET = "bench-secret"
SAMPLE = Path(__file__).parent.parent / "calcom" / "booking_created.json"


def run() -> None:
    with services.postgres(durable=True) as database, _served(database) as port:
        _against_the_yardstick(port)
        with _worker(database):
            _burst(port, database)


def _against_the_yardstick(port: int) -> None:
    body = SAMPLE.read_bytes()
    headers = {"Content-Type": "application/json", HEADER: signature_of(body, SECRET)}
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


def _burst(port: int, database: str) -> None:
    """Different bookings, offered evenly over the seconds, whatever the service makes of it."""
    document: dict[str, Any] = json.loads(SAMPLE.read_text())

    def request(number: int) -> bytes:
        booking = {**document["payload"], "uid": f"burst-{number}", "iCalUID": f"burst-{number}@cal.com"}
        body = json.dumps({**document, "payload": booking}, separators=(",", ":")).encode()
        head = (
            f"POST /calcom/bench/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"{HEADER}: {signature_of(body, SECRET)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    sent = Burst([request(number) for number in range(BURST)], seconds=BURST_SECONDS).at(port)
    with psycopg.connect(database, autocommit=True) as rows:

        def count(state: str) -> int:
            found = rows.execute(
                "SELECT count(*) FROM integrations_webhookdelivery WHERE trigger = 'BOOKING_CREATED' AND state = %s",
                [state],
            ).fetchone()
            assert found is not None
            return int(found[0])

        before, started = count("handled"), time.perf_counter()
        time.sleep(HANDLED_SECONDS)
        handled = (count("handled") - before) / (time.perf_counter() - started)
        failed = count("failed")
    assert failed == 0, f"{failed} deliveries failed"
    say(
        f"{BURST:,} in {BURST_SECONDS} s",
        f"p50 {sent.quantile(0.5) * 1000:,.0f} ms, p99 {sent.quantile(0.99) * 1000:,.0f} ms after it was due; "
        f"answered in {sent.answered_in:.1f} s, {sent.refused} not with 200; then {handled:,.0f}/s handled by a worker",
    )


@contextmanager
def _served(database: str) -> Iterator[int]:
    """Granian with two workers on that database; its port."""
    environment = _environment(database)
    _manage(environment, "migrate", "--verbosity", "0")
    _manage(environment, "create_company", "bench", "--calcom-secret", SECRET)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(BARE_TABLE)
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "2", "--port", str(port)]
    command += ["--blocking-threads", "4", "--no-ws", "--log-level", "warning", "tests.benchmarks.wsgi:application"]
    with _running(command, environment):
        Load(port, "/health/live", {}).wait()
        yield port


@contextmanager
def _worker(database: str) -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-P", "threads", "-c", "2"]
    command += ["-Q", "webhooks", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
    with _running(command, {**_environment(database), "LOG_LEVEL": "ERROR"}):
        yield


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    server = subprocess.Popen(command, env=environment)
    try:
        yield
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            # In the middle of its queue: what it has not handled is thrown away with the database.
            server.kill()
            server.wait()


def _environment(database: str) -> dict[str, str]:
    # The tests' settings would work a delivery off before it is answered.
    return {**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "config.settings"}


def _manage(environment: dict[str, str], *arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
