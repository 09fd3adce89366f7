"""When an account is tried next."""

import random
from datetime import datetime, timedelta

from django.conf import settings

FIRST_RETRY = timedelta(seconds=30)
SHORTEST_SILENCE = timedelta(seconds=2)
LONGEST_RETRY = timedelta(hours=1)
LONGEST_VENDOR_WAIT = timedelta(hours=24)


def after_success(now: datetime, *, with_push: bool = False) -> datetime:
    """One SYNC_INTERVAL on, or where the vendor tells of changes one SYNC_INTERVAL_WITH_PUSH; give or take a tenth, so
    that accounts do not march in step."""
    interval: timedelta = settings.SYNC_INTERVAL_WITH_PUSH if with_push else settings.SYNC_INTERVAL
    return now + interval * random.uniform(0.9, 1.1)  # noqa: S311 (spread, not secrecy)


def after_failure(now: datetime, *, failures: int) -> datetime:
    """30 s, doubled with each failure in a row up to an hour, and up to half as much again."""
    wait = min(FIRST_RETRY * int(2 ** min(failures - 1, 10)), LONGEST_RETRY)
    return now + wait * random.uniform(1.0, 1.5)  # noqa: S311


def after_throttling(now: datetime, *, failures: int) -> datetime:
    """At the earliest: 2 s, doubled with each failure in a row up to an hour, however soon the vendor asks us back."""
    return now + min(SHORTEST_SILENCE * int(2 ** min(failures, 12)), LONGEST_RETRY)


def vendor_wait(now: datetime, retry_after: timedelta) -> datetime:
    """Until when the vendor wants silence, at most a day."""
    return now + min(max(retry_after, timedelta(0)), LONGEST_VENDOR_WAIT)
