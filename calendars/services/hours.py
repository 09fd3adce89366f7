"""Syncs counted by the hour, for the dashboard, without a statement more for any of them.

Every sync is noted in this process's memory; some seconds after the first, one thread writes all that was noted and is
gone. A worker that dies loses the last seconds: statistics, not facts.
"""

import threading
from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction
from django.db.models import F

from calendars.models import SyncHour
from tenancy.later import later

WRITTEN_AFTER = timedelta(seconds=15)
KEPT = timedelta(days=35)
_CLEAR_BATCH = 1000
_COUNTS = ("syncs", "failures", "events_changed", "milliseconds")

log = structlog.get_logger("sync")

# (company, hour) → the counts, in the order of their names above.
_noted: dict[tuple[int, datetime], list[int]] = {}
_lock = threading.Lock()
_timer: threading.Timer | None = None


def note(company_pk: int, *, failed: bool, changed: int, took: timedelta, now: datetime) -> None:
    """Count one sync of an account into the hour of `now`. changed: events; took: from lease to verdict."""
    global _timer  # noqa: PLW0603
    hour = now.replace(minute=0, second=0, microsecond=0)
    sync = (1, int(failed), changed, max(0, int(took / timedelta(milliseconds=1))))
    with _lock:
        sums = _noted.setdefault((company_pk, hour), [0] * len(_COUNTS))
        for index, number in enumerate(sync):
            sums[index] += number
        if _timer is None:
            _timer = _started()


def write() -> None:
    """Write all that was noted. Several processes at once: each is counted. What cannot be written is dropped."""
    global _timer
    with _lock:
        written, _timer = dict(_noted), None
        _noted.clear()
    for (company_pk, hour), sums in sorted(written.items()):
        try:
            with transaction.atomic():
                _add(company_pk, hour, sums)
        # The company may be gone, or the disk full: the syncs themselves are done.
        except DatabaseError as error:
            log.warning("syncs_not_counted", error=type(error).__name__)


def forget() -> None:
    """Drop what was noted."""
    with _lock:
        _noted.clear()


def clear_old(*, now: datetime) -> int:
    """Delete what is older than KEPT; how many. Twice at once is safe."""
    old = SyncHour.objects.filter(hour__lt=now - KEPT).order_by("hour")
    total = 0
    while pks := list(old.values_list("pk", flat=True)[:_CLEAR_BATCH]):
        total += SyncHour.objects.filter(pk__in=pks).delete()[0]
    return total


def _add(company_pk: int, hour: datetime, sums: list[int]) -> None:
    rows = SyncHour.objects.filter(company=company_pk, hour=hour)
    more = {name: F(name) + number for name, number in zip(_COUNTS, sums, strict=True)}
    if not rows.update(**more):
        SyncHour.objects.get_or_create(company_id=company_pk, hour=hour)
        rows.update(**more)


def _started() -> threading.Timer:
    return later(WRITTEN_AFTER, write)
