"""What each calendar brought to the runs that ask for it.

Written under the account's lease, so one worker at a time writes these rows: a run that a second worker finishes
counts on where the first one stopped.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from django.db.models import F

from calendars.models import Calendar, CalendarRun
from calendars.providers import Withheld

# How many of the withheld are named; the list of withheld events has all.
NAMED = 20
_COUNTS = ("created", "updated", "deleted", "withheld")


def brought(
    part_pks: Collection[int],
    calendar: Calendar,
    *,
    counts: dict[str, int],
    held: int,
    withheld: Sequence[Withheld],
    now: datetime,
) -> None:
    """Add a reading of the calendar to these parts of runs; call it in the transaction that applies it.

    counts: created, updated, deleted and withheld, in events. withheld: some of them.
    """
    values: dict[str, Any] = {"events_held": held, "error": "", "finished_at": now}
    if withheld:
        values["withheld"] = [[item.external_event_id, item.reason.replace("\0", "")] for item in withheld[:NAMED]]
    more = {f"events_{name}": F(f"events_{name}") + counts[name] for name in _COUNTS}
    first = {f"events_{name}": counts[name] for name in _COUNTS}
    _write(part_pks, calendar, changed=values | more, made=values | first)


def complained(part_pks: Collection[int], calendar: Calendar, complaint: str, *, now: datetime) -> None:
    """Say on these parts of runs why the calendar could not be read to its end, or what is wrong with what it said."""
    values = {"error": complaint, "finished_at": now}
    _write(part_pks, calendar, changed=values, made=values)


def _write(part_pks: Collection[int], calendar: Calendar, *, changed: dict[str, Any], made: dict[str, Any]) -> None:
    if not part_pks:
        return
    known = CalendarRun.objects.filter(part__in=part_pks, calendar=calendar)
    if known.update(**changed) < len(part_pks):
        missing = set(part_pks) - set(known.values_list("part", flat=True))
        CalendarRun.objects.bulk_create(
            [CalendarRun(part_id=pk, calendar=calendar, name=calendar.name, **made) for pk in sorted(missing)]
        )
