"""Wakes workers. The broker is a doorbell, not a store: what has to be done is a row, and beat finds rows."""

import time
from typing import Any

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger("doorbell")

# A broker that hangs costs whoever rings some seconds; for so long after that nobody of this process tries again.
_QUIET_SECONDS = 10.0
_quiet = {"until": 0.0}


def ring(task_name: str, *args: Any, queue: str) -> None:
    """Send a task by its name; call it on commit. A broker that cannot be reached is logged, never raised."""
    if time.monotonic() < _quiet["until"]:
        return
    try:
        current_app.tasks[task_name].apply_async(args=args, queue=queue)
    except (OperationalError, OSError) as error:
        _quiet["until"] = time.monotonic() + _QUIET_SECONDS
        log.warning("broker_unreachable", task=task_name, error=type(error).__name__)
