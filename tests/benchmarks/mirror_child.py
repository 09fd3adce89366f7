"""Syncs in a process of its own: their seconds, the seconds waited for the server, the requests, the peak memory."""

import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def main(*account_pks: int) -> None:
    import django

    django.setup()
    from calendars.models import CalendarAccount
    from calendars.services import syncs
    from calendars.sync import engine
    from integrations.http import Session

    waited, requests = 0.0, 0
    send = Session._send

    def timed(self: Session, *args: Any) -> Any:
        nonlocal waited, requests
        started = time.perf_counter()
        try:
            return send(self, *args)
        finally:
            waited += time.perf_counter() - started
            requests += 1

    Session._send = timed  # type: ignore[assignment,method-assign]
    syncs.ring = lambda *args, queue: None
    for account in CalendarAccount.objects.filter(pk__in=account_pks):
        syncs.start_for_account(account)
    started = time.perf_counter()
    for account_pk in account_pks:
        verdict = engine.sync_account(account_pk)
        assert verdict is not None, "the account could not be synced"
        assert verdict.succeeded, (verdict.failure, verdict.complaints)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "waited": waited, "requests": requests, "peak_mb": peak_mb()}))


def peak_mb() -> float:
    """The most memory that this process had. (getrusage's ru_maxrss begins with what the parent had.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024
