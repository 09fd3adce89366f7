"""Which queue a sync waits in: one that reads a whole calendar may take long, and nobody's changes wait behind it."""

from collections.abc import Iterable
from datetime import datetime

from calendars.models import Calendar, CalendarAccount
from calendars.providers import reads_all


def large(account_pks: Iterable[int], *, now: datetime) -> set[int]:
    """Those of the accounts whose sync reads everything of a calendar, as far as that can be known before: one that
    never was read, one whose cursor is gone, one whose window has moved on."""
    pks = list(account_pks)
    never_synced = CalendarAccount.objects.filter(pk__in=pks, last_synced_at=None)
    found = set(never_synced.values_list("pk", flat=True))
    mirrored = Calendar.objects.filter(account__in=set(pks) - found, sync_enabled=True, missing_since=None)
    for pk, provider, external_id, cursor in mirrored.values_list(
        "account", "account__provider", "external_id", "cursor"
    ).iterator(chunk_size=2000):
        if pk not in found and reads_all(provider, cursor, external_id=external_id, now=now):
            found.add(pk)
    return found
