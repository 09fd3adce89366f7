"""Polls in a process of its own: their seconds, those waited for the server, those on the processor, the requests, the
statements, the peak memory."""

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def main(first: int, *account_pks: int) -> None:
    """Poll these accounts. `first` is polled before the clock starts: a worker has been at work before; 0 for none."""
    import django

    django.setup()
    from django.db import connection
    from django.utils import timezone

    from calendars.sync import engine
    from integrations.http import Session

    waited, requests, statements = 0.0, 0, 0
    send = Session._send

    def timed(self: Session, *args: Any) -> Any:
        nonlocal waited, requests
        started, worked = time.perf_counter(), time.thread_time()
        try:
            return send(self, *args)
        finally:
            # What the HTTP client itself works is ours.
            waited += time.perf_counter() - started - (time.thread_time() - worked)
            requests += 1

    def counted(execute: Any, *args: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*args)

    Session._send = timed  # type: ignore[assignment,method-assign]
    if first:
        engine.sync_account(first, due_at=timezone.now())
        waited, requests = 0.0, 0
    connection.ensure_connection()
    started, worked = time.perf_counter(), time.process_time()
    with connection.execute_wrapper(counted):
        for account_pk in account_pks:
            verdict = engine.sync_account(account_pk, due_at=timezone.now())
            assert verdict is not None, "the account could not be synced"
            assert verdict.succeeded, (verdict.failure, verdict.complaints)
    measured = {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - worked,
        "waited": waited,
        "requests": requests,
        "statements": statements,
        "peak_mb": peak_mb(),
    }
    print(json.dumps(measured))


def peak_mb() -> float:
    """The most memory that this process had. (getrusage's ru_maxrss begins with what the parent had.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
