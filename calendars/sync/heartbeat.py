"""Keeps a lease alive while its worker waits for a slow vendor."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from calendars.sync import lease as leases
from calendars.sync.lease import Lease, LeaseLost

log = structlog.get_logger("sync")
_BEATS_A_LEASE = 4


@contextmanager
def heartbeat(lease: Lease, *, clock: Callable[[], datetime]) -> Iterator[Callable[[], None]]:
    """Renew `lease` from a thread of its own while the block runs.

    What it yields raises `LeaseLost` once the lease is somebody else's: call it before every request. So the lease
    can be shorter than a vendor's slowest answer, and a dead worker's account is soon taken over. A short sync never
    sees a beat; the thread opens its connection with the first one. A beat that the database fails is left out.
    """
    lost, over = threading.Event(), threading.Event()

    def beat() -> None:
        try:
            while not over.wait(settings.SYNC_LEASE.total_seconds() / _BEATS_A_LEASE):
                try:
                    leases.renew(lease, now=clock())
                except LeaseLost:
                    lost.set()
                    return
                except DatabaseError as error:
                    log.warning("heartbeat_failed", account=lease.account_pk, error=type(error).__name__)
        finally:
            connection.close()

    def checkpoint() -> None:
        if lost.is_set():
            raise LeaseLost

    thread = threading.Thread(target=beat, name=f"heartbeat-{lease.account_pk}", daemon=True)
    thread.start()
    try:
        yield checkpoint
    finally:
        over.set()
        thread.join()
