"""The brake: deletions that a full read only implies, by not showing rows, are held back when they are many.

A server that comes back empty, a token that is not known any more, a proxy that answers with somebody else's
calendar: all look like mass deletion. So when the absent rows are more than BRAKE_SHARE_PERCENT of the calendar and
more than BRAKE_MIN_ROWS, or all of it, each is only marked with when it was first absent. A row goes when a later
full read, BRAKE_CONFIRM_AFTER or more after the first, does not show it either; or when an administrator says so.
Meanwhile it keeps its user busy. Deletions that a delta names are facts and never come here.
"""

from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from busyblocks.families import Key
from busyblocks.models import BusyBlock, BusyBlockQuerySet
from busyblocks.prepared import keys_of, revised
from calendars.models import Calendar, CalendarAccount, WithheldEvent
from calendars.providers import Snapshot
from calendars.sync.plan import Words

# Ids of one statement.
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Deletions:
    """Remote events that were deleted, and rows that were held back."""

    deleted: int
    held: int


@dataclass(slots=True)
class Shown:
    """What the remote has, by all that a read said. `parts`: of events told in parts alone, the instances it named."""

    events: set[str] = field(default_factory=set)
    parts: dict[str, set[str]] = field(default_factory=dict)

    def add(self, words: Words) -> None:
        """The next batch's words."""
        for event_id, resource in words.resources.items():
            # Of an event that was told whole before, or withheld, nothing is absent.
            if resource.whole or event_id in words.withheld:
                self.parts.pop(event_id, None)
            elif event_id not in self.events or event_id in self.parts:
                self.parts.setdefault(event_id, set()).update(entry.recurrence_id for entry in resource.entries)
        for event_id in (*words.withheld, *words.removed):
            self.parts.pop(event_id, None)
        self.events |= words.named
        self.events -= words.removed

    def has(self, event_id: str, recurrence_id: str) -> bool:
        return event_id in self.events and (event_id not in self.parts or recurrence_id in self.parts[event_id])


def is_suspicious(absent: int, total: int) -> bool:
    """Whether `absent` of a calendar's `total` rows is more than a plain clean-up."""
    if absent == 0:
        return False
    many = absent > settings.BRAKE_MIN_ROWS and absent * 100 > total * settings.BRAKE_SHARE_PERCENT
    return many or absent == total


def implied_deletions(
    calendar: Calendar, shown: Shown, snapshot: Snapshot, series: set[Key], *, is_new: bool, now: datetime
) -> Deletions:
    """Delete, or hold, the calendar's rows inside the snapshot's window that are not among what was shown.

    The series of which a row was deleted are added to `series`. is_new: all rows are of this read. Call it in the
    mirror's transaction, after the pages were applied.
    """
    _forget_withheld(calendar, shown.events)
    if is_new:
        return Deletions(0, 0)
    rows = BusyBlock.objects.filter(origin=calendar.origin_id)
    if snapshot.window is not None:
        rows = rows.may_touch(*snapshot.window)
    ids = rows.values_list("external_event_id", "recurrence_id", "absent_since", "pk")
    absent = [
        (event_id, since, pk)
        for event_id, instance, since, pk in ids.iterator(chunk_size=5000)
        if not shown.has(event_id, instance)
    ]
    if not absent:
        return Deletions(0, 0)
    # The calendar's rows before this read: what the same read created does not make a clean-up look smaller.
    created_now = rows.filter(created_at__gte=now).count()
    held: list[tuple[str, datetime | None, int]] = []
    if is_suspicious(len(absent), rows.count() - created_now):
        confirmed_before = now - settings.BRAKE_CONFIRM_AFTER
        held = [item for item in absent if item[1] is None or item[1] > confirmed_before]
    gone = set(absent) - set(held)
    for pks in _batches([pk for _, _, pk in gone]):
        series |= keys_of(BusyBlock.objects.filter(pk__in=pks))
        BusyBlock.objects.filter(pk__in=pks).delete()
    for pks in _batches([pk for _, since, pk in held if since is None]):
        BusyBlock.objects.filter(pk__in=pks).update(absent_since=now)
    return Deletions(deleted=len({event_id for event_id, _, _ in gone}), held=len(held))


def held_rows(account: CalendarAccount) -> BusyBlockQuerySet:
    """What would go if the brake were cleared now, by time."""
    return BusyBlock.objects.filter(origin__calendar__account=account, absent_since__isnull=False)


def clear(account: CalendarAccount) -> int:
    """An administrator's word that the held rows may go: delete them; the number of rows deleted.

    The next full read brings back what the remote still has. Twice or at once: the second finds nothing.
    """
    with transaction.atomic():
        locked = CalendarAccount.objects.select_for_update().defer("credentials").get(pk=account.pk)
        held = held_rows(locked)
        series = keys_of(held)
        pks = list(held.values_list("pk", flat=True))
        for some in _batches(pks):
            BusyBlock.objects.filter(pk__in=some).delete()
        Calendar.objects.filter(account=locked).update(held_count=0)
        if pks:
            revised(locked.user_id, at=timezone.now(), series=series)
    return len(pks)


def _forget_withheld(calendar: Calendar, named: set[str]) -> None:
    """An event that is not there any more is not withheld either."""
    stale = [
        pk
        for pk, event_id in WithheldEvent.objects.filter(calendar=calendar).values_list("pk", "external_event_id")
        if event_id not in named
    ]
    for pks in _batches(stale):
        WithheldEvent.objects.filter(Q(pk__in=pks)).delete()


def _batches(pks: list[int]) -> list[list[int]]:
    return [pks[start : start + _BATCH] for start in range(0, len(pks), _BATCH)]
