"""Series prepared: their instances as rows, over a horizon that rolls along with time.

What is prepared is what expansion makes, and a reader may take one for the other inside the horizon. Whoever changes
the ledger says so by `revised`, in the transaction of the change; what changes it silently, by the user's revision
alone, leaves the horizon behind, and readers expand until `prepare` has caught up. So a mistake here costs time and
is never seen.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q

from busyblocks import copying, zones
from busyblocks.entries import Entry
from busyblocks.errors import BudgetExceeded
from busyblocks.families import DateZones, Family, Key, gathered, loaded, series_name, series_of
from busyblocks.models import BusyBlock, BusyBlockQuerySet, Horizon, Occurrence
from busyblocks.recurrence import SERIES_STEPS
from busyblocks.rules import Budget
from busyblocks.timespans import Span
from tenancy.models import CrmUser, bump_revision, new_unique_id

# Counted up when expansion learns to find other instances.
_EDITION = 1
# A horizon is made anew when less than this much of its future has passed; meanwhile it only gets shorter.
_ROLLS_EVERY = timedelta(days=30)
# Readers may hold a horizon that was just replaced: so much of what lies before the new one stays.
_KEPT_BEFORE = 2 * _ROLLS_EVERY
_DAY = timedelta(days=1)
# What one series may cost: readers have less, but they stay in their spans.
_STEPS = 4 * SERIES_STEPS
# Occurrences of one user: a thousand daily series. Whoever has more (a hostile feed of hourly ones, say) is answered by
# expansion, within the budget of each question.
_MOST = 600_000
# Series that are loaded at once.
_BATCH = 200
_TOO_MUCH = "too much"
_COLUMNS = ("user_id", "block_id", "recurrence_id", "start_time", "end_time")

log = structlog.get_logger("ledger")


def revised(user_pk: int, *, at: datetime, series: Iterable[Key] = ()) -> None:
    """Say that the user's ledger changed; call it in the transaction of the change, after it.

    series: every series of which a row was written or deleted (`keys_of` before, `key_of` after). Counting the revision
    up locks the user, so changes of one user's series are prepared one after the other, each seeing the former.
    """
    bump_revision(user_pk, at=at)
    kept = Horizon.objects.filter(user=user_pk, made_with=made_with(), user__revision=F("revision") + 1)
    keys = sorted(set(series), key=lambda key: (key[0] or 0, key[1]))
    if keys:
        horizon = kept.first()
        if horizon is None:
            return
        try:
            with transaction.atomic():
                _renew(user_pk, keys, Span(horizon.start_time, horizon.end_time))
        except BudgetExceeded:
            # Readers expand, and `prepare` will say so.
            return
    kept.update(revision=F("revision") + 1)


def keys_of(rows: BusyBlockQuerySet) -> set[Key]:
    """The series that `rows` belong to: ask before they are changed or deleted. One query."""
    found = rows.series().order_by()
    names: Iterable[tuple[Any, ...]] = found.values_list(
        "origin_id", "external_event_id", "series_id", "recurrence_id", "uid"
    )
    return {
        (origin_id, series_name(event_id, series_id, recurrence_id) if origin_id is not None else uid)
        for origin_id, event_id, series_id, recurrence_id, uid in names
    }


def key_of(said: BusyBlock | Entry, *, origin_id: int | None) -> Key | None:
    """The series that a row belongs to that is, or says, this; None: it is single. origin_id: the row's."""
    if not said.recurring and not said.recurrence_id:
        return None
    if origin_id is None:
        return None, said.uid
    return origin_id, series_name(said.external_event_id, said.series_id, said.recurrence_id)


def prepare(user_pk: int, *, now: datetime) -> int:
    """Prepare all of the user's series, from some months ago to more than a year ahead; how many occurrences.

    Twice at once: one waits for the other. Readers meanwhile see what was prepared before, or expand.
    """
    with transaction.atomic():
        user = CrmUser.objects.select_for_update(no_key=True).filter(pk=user_pk).first()
        if user is None:
            return 0
        before = Horizon.objects.filter(user=user).first()
        span = Span(now - timedelta(days=settings.PREPARED_PAST_DAYS), now + timedelta(days=settings.PREPARED_DAYS))
        start = span.start
        if before is not None:
            start = min(start, max(before.start_time, start - _KEPT_BEFORE))
        values = {"start_time": span.start, "end_time": span.end, "revision": user.revision, "edition": new_unique_id()}
        try:
            with transaction.atomic():
                Occurrence.objects.filter(user=user).delete()
                count = _write(
                    user_pk, _families(BusyBlock.objects.of(user).series()), Span(start, span.end), Budget(_MOST)
                )
        except BudgetExceeded:
            log.warning("series_cannot_be_prepared", user=user_pk)
            Horizon.objects.update_or_create(user=user, defaults={**values, "made_with": _TOO_MUCH})
            return 0
        Horizon.objects.update_or_create(user=user, defaults={**values, "made_with": made_with()})
    return count


def due(now: datetime, *, limit: int) -> list[int]:
    """Users whose series have to be prepared: never, for another state of the ledger, or not far enough."""
    ends = now + timedelta(days=settings.PREPARED_DAYS) - _ROLLS_EVERY
    unusable = ~Q(horizon__revision=F("revision")) | ~Q(horizon__made_with__in=[made_with(), _TOO_MUCH])
    wanting = Q(horizon=None) | unusable | Q(horizon__end_time__lt=ends)
    return list(
        CrmUser.objects.filter(wanting, revision__gt=0).order_by("revised_at").values_list("pk", flat=True)[:limit]
    )


def sweep() -> int:
    """Forget occurrences of rows that are gone or single now; how many."""
    stale = Occurrence.objects.exclude(block__in=BusyBlock.objects.series().order_by().values("pk"))
    deleted, _ = stale.delete()
    return deleted


@dataclass(frozen=True, slots=True)
class Ready:
    """Inside `span` occurrences may be taken for expansion. `version` names this very state of the user's ledger."""

    span: Span
    version: str


def horizons(users: Iterable[CrmUser]) -> dict[int, Ready]:
    """By user, for those whose series are prepared as of the revision that was read with them.

    One query, or none where every user was read together with their horizon (`select_related("horizon")`).
    """
    by_pk = {user.pk: user for user in users}
    known: Iterable[Horizon]
    if all("horizon" in user._state.fields_cache for user in by_pk.values()):
        known = [user.horizon for user in by_pk.values() if hasattr(user, "horizon")]
    else:
        known = Horizon.objects.filter(user__in=by_pk)
    ready = {}
    for horizon in known:
        user = by_pk[horizon.user_id]
        if horizon.revision == user.revision and horizon.made_with == made_with():
            # A database that was restored counts revisions anew, but not at the same moments.
            at = int(user.revised_at.timestamp() * 1e6) if user.revised_at else 0
            version = f"{horizon.edition.hex}:{user.revision}:{at}"
            ready[user.pk] = Ready(Span(horizon.start_time, horizon.end_time), version)
    return ready


def made_with() -> str:
    """The state of what decides where instances lie: the zone rules, and this code."""
    return f"{zones.edition()}/{_EDITION}"


def _renew(user_pk: int, keys: list[Key], span: Span) -> None:
    room = Budget(_MOST)
    for first in range(0, len(keys), _BATCH):
        rows = series_of(BusyBlock.objects.filter(user=user_pk), keys[first : first + _BATCH])
        found = _families(rows)
        Occurrence.objects.filter(block__in=[row.pk for family in found for row in family.rows]).delete()
        _write(user_pk, found, span, room)


def _families(rows: BusyBlockQuerySet) -> list[Family]:
    # Dates are kept as dates: the reader's question says in which zone they are days.
    return gathered(loaded(rows), DateZones({}, {}, UTC))


def _write(user_pk: int, families: Iterable[Family], span: Span, room: Budget) -> int:
    """Occurrences of the families that touch the span, dates with a day to either side.

    Raises `BudgetExceeded` where a series takes too much work, or all of them are more than there is `room` for.
    """
    wide = Span(span.start - _DAY, span.end + _DAY)
    count = 0

    def rows() -> Iterator[tuple[int, int, str, datetime, datetime]]:
        nonlocal count
        for family in families:
            for row, instance in family.instances(wide, Budget(_STEPS)):
                room.spend()
                count += 1
                yield user_pk, row.pk, instance.recurrence_id, instance.start, instance.end

    if copying.can_copy():
        copying.copy(Occurrence._meta.db_table, _COLUMNS, rows())
    else:
        made = (Occurrence(**dict(zip(_COLUMNS, values, strict=True))) for values in rows())
        Occurrence.objects.bulk_create(made, batch_size=500)
    return count
