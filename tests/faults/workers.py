"""Celery workers of a test: real processes on the test's own database and broker, to be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from config.demo.children import dies_with

ALL_QUEUES = "push,poll,webhooks,bulk"
# A dead worker's lease is soon free.
_ENVIRONMENT = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "OUTBOUND_ALLOWED_HOSTS": "127.0.0.1",
    "OUTBOUND_TIMEOUT_SECONDS": "20",
    "SYNC_LEASE_SECONDS": "5",
    "LOG_LEVEL": "INFO",
}


class Worker:
    """One worker process; what it logs goes to `log`."""

    def __init__(self, log: Path, *, queues: str = ALL_QUEUES) -> None:
        command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-P", "threads", "-c", "2"]
        command += ["-Q", queues, "--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **_ENVIRONMENT, "DATABASE_URL": database_url(), "REDIS_URL": settings.REDIS_URL},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dies_with(os.getpid(), signal.SIGKILL),
            )

    def kill(self) -> None:
        """SIGKILL to it and its children: no handler runs."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def worker(log: Path, *, queues: str = ALL_QUEUES) -> Iterator[Worker]:
    """A worker for the length of the block."""
    started = Worker(log, queues=queues)
    try:
        yield started
    finally:
        started.kill()


def database_url() -> str:
    """The test's own database, as the environment of another process names it."""
    known = connection.settings_dict
    user = quote(known["USER"] or "", safe="")
    password = f":{quote(known['PASSWORD'], safe='')}" if known["PASSWORD"] else ""
    host = quote(known["HOST"] or "", safe="")
    port = f":{known['PORT']}" if known["PORT"] else ""
    return f"postgresql://{user}{password}@{host}{port}/{known['NAME']}"


def until(true: Callable[[], bool], *, what: str, seconds: float = 60) -> None:
    """Return as soon as `true` holds; fails saying `what` was waited for."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)
