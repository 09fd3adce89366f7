"""The span of time that is mirrored where a vendor can only be read in spans: it moves on with the clock, in steps."""

import hashlib
from datetime import UTC, datetime, timedelta

from django.conf import settings

_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)


def window_at(now: datetime, *, key: str, step: timedelta) -> tuple[datetime, datetime]:
    """[start, end), UTC, whole seconds: at least SYNC_WINDOW_PAST_DAYS back and SYNC_WINDOW_FUTURE_DAYS on from `now`.

    It moves once in every `step`; `key` decides at which moment, so that not every calendar is read again at once.
    """
    offset = timedelta(seconds=int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) % int(step.total_seconds()))
    moved = now - (now - _BEGINNING - offset) % step
    start = moved - timedelta(days=settings.SYNC_WINDOW_PAST_DAYS)
    return start, moved + step + timedelta(days=settings.SYNC_WINDOW_FUTURE_DAYS)
