"""Wakes workers. The broker is a doorbell, not a store: what has to be done is a row, and beat finds rows."""

from typing import Any

import structlog
from celery import current_app
from kombu.exceptions import OperationalError

log = structlog.get_logger("doorbell")


def ring(task_name: str, *args: Any, queue: str) -> None:
    """Send a task by its name; call it on commit. A broker that cannot be reached is logged, never raised."""
    try:
        current_app.tasks[task_name].apply_async(args=args, queue=queue)
    except (OperationalError, OSError) as error:
        log.warning("broker_unreachable", task=task_name, error=type(error).__name__)
