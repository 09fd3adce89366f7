"""Work that may wait some seconds: in a thread that does it once and is gone."""

import threading
from collections.abc import Callable
from datetime import timedelta

from django.db import connection


def later(after: timedelta, work: Callable[[], None]) -> threading.Timer:
    """Call `work` when `after` has passed, and close the database connection that its thread opened.

    A process that ends before does not wait for it: what must not be lost has no place here.
    """
    timer = threading.Timer(after.total_seconds(), _done, [work])
    timer.daemon = True
    timer.start()
    return timer


def _done(work: Callable[[], None]) -> None:
    try:
        work()
    finally:
        connection.close()
