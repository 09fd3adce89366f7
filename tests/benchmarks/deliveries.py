"""Cal.com deliveries that are accepted: signed, stored on the disk, answered; beside a view that inserts one row.
Then a burst of them; and how fast a worker handles what the burst left.

PostgreSQL is one of its own here, which has each commit on the disk before it answers: what is thanked for is kept.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from integrations.calcom.signature import HEADER, signature_of
from tests import services
from tests.benchmarks.burst import Burst, Sent
from tests.benchmarks.load import Load
from tests.benchmarks.report import say
from tests.benchmarks.urls import BARE_TABLE
from tests.benchmarks.wire import cpu_seconds
from tests.services import free_port

# As many as the server has threads: nobody waits in a queue.
CLIENTS = 8
EACH = 1500
ROUNDS = 3
BURST = 20_000
BURST_SECONDS = 10
HANDLED_SECONDS = 20
SECRET = "bench-secret"
SAMPLE = Path(__file__).parent.parent / "calcom" / "booking_created.json"
_NUMBER = "00000000"


def run() -> None:
    with services.postgres(durable=True) as database, _served(database) as (port, server):
        _against_the_yardstick(port, server)
        _burst(port, database, server)
        with _worker(database) as worker:
            _handled(database, worker)


def _against_the_yardstick(port: int, server: psutil.Process) -> None:
    body = SAMPLE.read_bytes()
    ours = [_request("/calcom/bench/webhook", body)] * EACH
    bare = [_request("/bare/insert", body)] * EACH
    # In turns, so that whatever else the machine does meets both.
    rounds: list[list[tuple[Sent, float]]] = []
    for _ in range(ROUNDS):
        rounds.append([])
        for requests in (ours, bare):
            before = cpu_seconds(_with_children(server))
            sent = Burst(requests, seconds=0, connections=CLIENTS).at(port)
            assert not sent.refused, f"{sent.refused} were not answered with 200"
            rounds[-1].append((sent, (cpu_seconds(_with_children(server)) - before) / EACH * 1e6))
    accepted, yardstick = (statistics.median(EACH / pair[which][0].answered_in for pair in rounds) for which in (0, 1))
    cpu, bare_cpu = (statistics.median(pair[which][1] for pair in rounds) for which in (0, 1))
    slowest = statistics.median(pair[0][0].quantile(0.99) for pair in rounds)
    say(
        f"deliveries, {len(body):,} bytes",
        f"{accepted:,.0f} accepted/s, durable, p99 {slowest * 1000:.0f} ms; a bare view that inserts one row "
        f"{yardstick:,.0f}; ratio {accepted / yardstick:.2f}; CPU of the server {cpu:,.0f} µs each, bare {bare_cpu:,.0f}",
    )


def _burst(port: int, database: str, server: psutil.Process) -> None:
    """Different bookings, offered evenly over the seconds, whatever the service makes of it."""
    document: dict[str, Any] = json.loads(SAMPLE.read_text())
    booking = {**document["payload"], "uid": f"burst-{_NUMBER}", "iCalUID": f"burst-{_NUMBER}@cal.com"}
    body = json.dumps({**document, "payload": booking}, separators=(",", ":"))
    requests = [
        _request("/calcom/bench/webhook", body.replace(_NUMBER, f"{number:08}").encode()) for number in range(BURST)
    ]
    postgres = _processes_of(database)
    stored = _count(database)
    each = {"server": _with_children(server), "PostgreSQL": postgres, "client": [psutil.Process()]}
    before = {name: cpu_seconds(processes) for name, processes in each.items()}
    busy = psutil.cpu_times()
    sent = Burst(requests, seconds=BURST_SECONDS).at(port)
    busy_for = sum(psutil.cpu_times()[:3]) - sum(busy[:3])
    cost = {name: (cpu_seconds(processes) - before[name]) / BURST * 1e6 for name, processes in each.items()}
    stored = _count(database) - stored
    assert stored == BURST - sent.refused, f"{stored} rows for {BURST - sent.refused} answers"
    say(
        f"{BURST:,} in {BURST_SECONDS} s",
        f"{BURST / sent.answered_in:,.0f} accepted/s; acknowledged p50 {sent.quantile(0.5) * 1000:,.0f} ms, p99 "
        f"{sent.quantile(0.99) * 1000:,.0f} ms after it was due, the last after {sent.answered_in:.1f} s; {sent.refused} "
        f"not with 200, {stored:,} rows",
    )
    say(
        "  CPU of each",
        ", ".join(f"{name} {micros:,.0f} µs" for name, micros in cost.items())
        + f"; that is {sum(cost.values()) * BURST / 1e6:.1f} s of {busy_for:.1f} s that the machine computed, "
        f"load {os.getloadavg()[0]:.1f}",
    )


def _handled(database: str, worker: psutil.Process) -> None:
    """The sweep is what rings here: what the burst rang for, nobody heard."""
    with psycopg.connect(database, autocommit=True) as rows:
        # As if their minute had passed.
        rows.execute("UPDATE integrations_webhookdelivery SET next_attempt_at = now() WHERE state = 'received'")
    _manage(_environment(database), "shell", "-c", _RING)
    while not _count(database, "handled"):
        time.sleep(0.05)
    before, started, spent = _count(database, "handled"), time.perf_counter(), cpu_seconds(_with_children(worker))
    time.sleep(HANDLED_SECONDS)
    handled = _count(database, "handled") - before
    took, spent = time.perf_counter() - started, cpu_seconds(_with_children(worker)) - spent
    assert not (failed := _count(database, "failed")), f"{failed} deliveries failed"
    say("  handled", f"{handled / took:,.0f}/s by a worker, {spent / max(handled, 1) * 1e3:.1f} ms of its CPU each")


_RING = """
from django.utils import timezone
from integrations import deliveries
while deliveries.sweep(now=timezone.now()): pass
"""


def _request(path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"{HEADER}: {signature_of(body, SECRET)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _count(database: str, state: str = "") -> int:
    with psycopg.connect(database, autocommit=True) as rows:
        found = rows.execute(
            "SELECT count(*) FROM integrations_webhookdelivery WHERE trigger = 'BOOKING_CREATED' AND state LIKE %s",
            [state or "%"],
        ).fetchone()
    assert found is not None
    return int(found[0])


def _with_children(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _processes_of(database: str) -> list[psutil.Process]:
    """The server behind the connection that this URL makes, and all of its sessions."""
    with psycopg.connect(database) as connection:
        return _with_children(psutil.Process(connection.info.backend_pid).parent() or psutil.Process())


@contextmanager
def _served(database: str) -> Iterator[tuple[int, psutil.Process]]:
    """Granian with two workers on that database; its port, and its process."""
    environment = _environment(database)
    _manage(environment, "migrate", "--verbosity", "0")
    _manage(environment, "create_company", "bench", "--calcom-secret", SECRET)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(BARE_TABLE)
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--workers", "2", "--port", str(port)]
    command += ["--blocking-threads", "4", "--no-ws", "--log-level", "warning", "tests.benchmarks.wsgi:application"]
    with _running(command, environment) as server:
        Load(port, "/health/live", {}).wait()
        yield port, server


@contextmanager
def _worker(database: str) -> Iterator[psutil.Process]:
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-P", "threads", "-c", "2"]
    command += ["-Q", "webhooks", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
    with _running(command, {**_environment(database), "LOG_LEVEL": "ERROR"}) as worker:
        yield worker


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str]) -> Iterator[psutil.Process]:
    server = subprocess.Popen(command, env=environment)
    try:
        yield psutil.Process(server.pid)
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
