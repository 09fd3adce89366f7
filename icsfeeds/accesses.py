"""How often, when and by what program each feed was read, counted without slowing the reads.

Every read is noted in this process's memory; a few seconds after the first, one thread writes all that was noted, of
all feeds, and is gone. So a read costs no query beyond its look-up, and a row is written a few times a minute however
busy its feed.

What a crash costs: a process that dies loses the reads of the last seconds. Statistics, not facts.
"""

import threading
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction
from django.db.models import F

from icsfeeds import hours
from icsfeeds.models import ICSToken
from tenancy.later import later

WRITTEN_AFTER = timedelta(seconds=15)
_AGENT_MOST = 255

log = structlog.get_logger("feed")


@dataclass(slots=True)
class Reads:
    """Of one token, since they were last written."""

    count: int
    last_at: datetime
    agent: str


_noted: dict[int, Reads] = {}
_lock = threading.Lock()
_timer: threading.Timer | None = None


def note(token_pk: int, *, agent: str, now: datetime) -> None:
    """Count one read, by a program that calls itself `agent` (any text of the network's)."""
    global _timer  # noqa: PLW0603
    with _lock:
        reads = _noted.get(token_pk)
        if reads is None:
            _noted[token_pk] = Reads(1, now, agent)
        else:
            reads.count += 1
            reads.last_at, reads.agent = now, agent
        if _timer is None:
            _timer = _started()


def pending(token_pks: Collection[int]) -> dict[int, Reads]:
    """What this process has noted of these tokens and not written yet, by primary key."""
    with _lock:
        return {pk: Reads(known.count, known.last_at, known.agent) for pk in token_pks if (known := _noted.get(pk))}


def write() -> None:
    """Write all that was noted; what cannot be written is dropped. A row's times never go back."""
    global _timer
    with _lock:
        # Replaced, not emptied, by who wrote it: a read in between is noted for the next time.
        written, _timer = dict(_noted), None
        _noted.clear()
    if not written:
        return
    try:
        with transaction.atomic():
            for pk, reads in sorted(written.items()):
                _add(pk, reads)
            hours.count({pk: (reads.count, reads.last_at) for pk, reads in written.items()})
    # A standby, or a disk that is full: the feeds can still be read.
    except DatabaseError as error:
        log.warning("feed_counts_not_written", tokens=len(written), error=type(error).__name__)


def forget() -> None:
    """Drop what was noted."""
    with _lock:
        _noted.clear()


def _add(pk: int, reads: Reads) -> None:
    row = ICSToken.objects.filter(pk=pk)
    row.update(access_count=F("access_count") + reads.count)
    later = row.exclude(last_accessed_at__gte=reads.last_at)
    later.update(last_accessed_at=reads.last_at, last_user_agent=printable(reads.agent))


def printable(agent: str) -> str:
    """`agent` as it can be kept and shown."""
    return "".join(char for char in agent if char.isprintable())[:_AGENT_MOST]


def _started() -> threading.Timer:
    return later(WRITTEN_AFTER, write)
