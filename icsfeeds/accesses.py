"""How often and when each feed was read, counted without slowing the reads.

Every read adds one to a counter in the cache; at most once a minute per token, a read takes what has gathered there
into the row. So a read costs no query beyond its look-up, and the row is written once a minute however busy the feed.

What a crash costs: a lost cache loses the count of the last minute; a process that dies between writing the row and
taking the sum off the counter counts that minute twice. Statistics, not facts; `last_accessed_at` is never ahead.
"""

from collections.abc import Collection
from datetime import datetime, timedelta

import structlog
from django.core.cache import cache
from django.db import DatabaseError
from django.db.models import F

from icsfeeds.models import ICSToken

WRITTEN_EVERY = timedelta(minutes=1)
_KEPT_SECONDS = int(timedelta(days=30).total_seconds())

log = structlog.get_logger("feed")


def record(token_pk: int, *, last_accessed_at: datetime | None, now: datetime) -> None:
    """Count one read of the token whose row was last written at `last_accessed_at`. Never fails a read."""
    gathered = _gather(token_pk)
    if last_accessed_at is not None and now - last_accessed_at < WRITTEN_EVERY:
        return
    row = ICSToken.objects.filter(pk=token_pk, last_accessed_at=last_accessed_at)
    try:
        # Compare and swap: of the processes that see the minute end, one writes.
        written = row.update(last_accessed_at=now, access_count=F("access_count") + gathered)
    # A standby, or a disk that is full: the feed can still be read.
    except DatabaseError as error:
        log.warning("feed_count_not_written", token=token_pk, error=type(error).__name__)
        return
    if written:
        _take_off(token_pk, gathered)


def pending(token_pks: Collection[int]) -> dict[int, int]:
    """Reads of these tokens that their rows do not show yet, by primary key; one round trip to the cache."""
    try:
        # Whatever ails the cache (each backend has errors of its own), the rows are shown.
        found = cache.get_many([_key(pk) for pk in token_pks])
    except Exception as error:  # noqa: BLE001
        log.warning("feed_counter_unavailable", error=type(error).__name__)
        return {}
    return {pk: max(found.get(_key(pk), 0), 0) for pk in token_pks}


def _gather(token_pk: int) -> int:
    """The reads since the row was written, this one included."""
    key = _key(token_pk)
    try:
        try:
            return max(cache.incr(key), 1)
        except ValueError:
            return 1 if cache.add(key, 1, _KEPT_SECONDS) else max(cache.incr(key), 1)
    # Whatever ails the cache, the feed is read: the row counts this read alone.
    except Exception as error:  # noqa: BLE001
        log.warning("feed_counter_unavailable", error=type(error).__name__)
        return 1


def _take_off(token_pk: int, count: int) -> None:
    try:
        cache.decr(_key(token_pk), count)
    except Exception as error:  # noqa: BLE001
        log.warning("feed_counter_unavailable", error=type(error).__name__)


def _key(token_pk: int) -> str:
    return f"feed-reads:{token_pk}"
