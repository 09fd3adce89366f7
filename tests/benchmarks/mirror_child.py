"""One sync in a process of its own: its seconds, the seconds waited for the server, its peak memory."""

import json
import os
import resource
import time
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")


def main(account_pk: int) -> None:
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
    syncs.start_for_account(CalendarAccount.objects.get(pk=account_pk))
    started = time.perf_counter()
    verdict = engine.sync_account(account_pk)
    seconds = time.perf_counter() - started
    assert verdict is not None, "the account could not be synced"
    assert verdict.succeeded, (verdict.failure, verdict.complaints)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "waited": waited, "requests": requests, "peak_mb": peak_mb}))
