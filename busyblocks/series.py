"""Series written by hand, changed instance by instance: one, one and all that follow, or all of them.

Every function is called with the series' row locked (`select_for_update`) in the caller's transaction: changes of one
series happen one after the other, each seeing the one before, all or nothing of each.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from django.db import models

from busyblocks import edits, moments, overrides, services
from busyblocks.entries import Entry, entry_of
from busyblocks.errors import InstanceUnknown, RuleRefused
from busyblocks.families import gathered, loaded, series_of, zones_of_dates
from busyblocks.models import BusyBlock
from busyblocks.prepared import key_of
from busyblocks.recurrence import MAX_DATES, named
from busyblocks.shown import Shown
from busyblocks.zones import to_wall, zone


class Scope(models.TextChoices):
    """What of a series a change is about."""

    THIS = "this"
    FOLLOWING = "following"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a series that is about to be made: `before` is what it starts from, `apply` takes what comes out.

    recurrence_id: the instance that it is told of; "": the series' own row, as a whole.
    """

    series: BusyBlock
    recurrence_id: str
    scope: Scope
    before: Entry


def instance(block: BusyBlock, recurrence_id: str) -> Shown:
    """One instance of the series of `block`, mirrored ones too, as it happens. Raises `InstanceUnknown`."""
    key = key_of(block, origin_id=block.origin_id)
    rows = loaded(series_of(BusyBlock.objects.of(block.user), [key])) if key is not None else []
    for family in gathered(rows, zones_of_dates(block.user, asked=None)):
        found = named([row.entry for row in family.rows], recurrence_id)
        if found is not None:
            row = next(row for row in family.rows if row.entry is found.entry)
            shown = block if row.pk == block.pk else BusyBlock.objects.select_related("user").get(pk=row.pk)
            return Shown(shown, found.start, found.end, recurrence_id, str(block.unique_id))
    raise InstanceUnknown


def edit(series: BusyBlock, recurrence_id: str, scope: Scope) -> Edit:
    """Begin a change told of one instance. Raises `InstanceUnknown`, `BlockIsMirrored`, `BudgetExceeded`.

    Where nothing comes before the instance, it and all that follow are the whole series. A change of what follows that
    is sent once more finds the series that the first one made.
    """
    services.check_editable(series)
    try:
        found = instance(series, recurrence_id)
    except InstanceUnknown:
        made = _split_off(series, recurrence_id) if scope == Scope.FOLLOWING else None
        if made is None:
            raise
        return Edit(made, "", Scope.ALL, entry_of(made))
    master = entry_of(series)
    if scope == Scope.THIS:
        current = replace(entry_of(found.block), start_time=found.start, end_time=found.end)
        return Edit(series, recurrence_id, scope, edits.one(master, current, recurrence_id))
    onward = edits.onward(master, recurrence_id) if scope == Scope.FOLLOWING else None
    if onward is None:
        return Edit(series, recurrence_id, Scope.ALL, edits.at_instance(master, recurrence_id))
    return Edit(series, recurrence_id, scope, onward)


def apply(edit: Edit, entry: Entry, *, now: datetime, **others: Any) -> BusyBlock:
    """Make the change: `entry` is `edit.before`, changed; `others` as in `services.change`.

    The row that says it now: the instance's own, the series', or that of the series that begins here. Raises
    `RuleRefused` where the caller has to say what the rule becomes, and `BudgetExceeded`.
    """
    if edit.scope == Scope.THIS:
        return services.override(edit.series, entry, **others, now=now)
    if not edit.recurrence_id:
        return services.change(edit.series, entry, **others, now=now)
    entry = replace(entry, recurrence_rule=edits.rule_for(edit.before, entry))
    if edit.scope == Scope.ALL:
        moved = edits.all_moved(entry_of(edit.series), edit.recurrence_id, entry)
        return services.change(edit.series, moved, **others, now=now)
    return _split(edit, entry, others, now=now)


def skip(series: BusyBlock, recurrence_id: str, *, now: datetime) -> None:
    """The instance does not happen. Raises `InstanceUnknown`, `BlockIsMirrored`, and `RuleRefused` past `MAX_DATES`."""
    services.check_editable(series)
    instance(series, recurrence_id)
    overrides.of(series).filter(recurrence_id=recurrence_id).delete()
    entry = entry_of(series)
    if len(entry.rdates) + len(entry.exdates) >= MAX_DATES:
        raise RuleRefused(f"The series names {MAX_DATES} single dates already; end it and begin another.")
    services.change(series, replace(entry, exdates=(*entry.exdates, recurrence_id)), now=now)


def end(series: BusyBlock, recurrence_id: str, *, now: datetime) -> None:
    """The instance and all that follow do not happen. Raises `InstanceUnknown`, `BlockIsMirrored`."""
    services.check_editable(series)
    instance(series, recurrence_id)
    master = entry_of(series)
    if edits.onward(master, recurrence_id) is None:
        services.delete(series, now=now)
    else:
        services.change(series, edits.ended(master, recurrence_id), now=now)


def restore(series: BusyBlock, recurrence_id: str, *, now: datetime) -> Shown:
    """The instance as the series has it, whether it was changed or skipped; twice is once.

    Raises `InstanceUnknown` where the series never had it, and `BlockIsMirrored`.
    """
    services.check_editable(series)
    entry = entry_of(series)
    without = replace(entry, exdates=tuple(text for text in entry.exdates if not _names(entry, text, recurrence_id)))
    if named([without], recurrence_id) is None:
        raise InstanceUnknown
    deleted, _ = overrides.of(series).filter(recurrence_id=recurrence_id).delete()
    if deleted or without != entry:
        series = services.change(series, without, now=now)
    return instance(series, recurrence_id)


def _split(edit: Edit, entry: Entry, others: dict[str, Any], *, now: datetime) -> BusyBlock:
    """The series ends before the instance, and a new one begins with it and takes along what was said of the rest."""
    old, since = edit.series, edits.start_of(edit.recurrence_id)
    later = {
        recurrence_id: pk
        for recurrence_id, pk in overrides.of(old).values_list("recurrence_id", "pk")
        if edits.start_of(recurrence_id) >= since and recurrence_id != edit.recurrence_id
    }
    carried = edits.carried(edit.before, entry, frozenset(later))
    entry = replace(entry, rdates=carried.rdates, exdates=carried.exdates)
    kept = {"source": old.source, "source_id": old.source_id, "metadata": old.metadata, **others}
    unique_id = None if _split_off(old, edit.recurrence_id) else _name(old, edit.recurrence_id)
    new = services.create(old.user, entry, unique_id=unique_id, **kept, now=now)
    overrides.rename(later, carried.renamed, uid=new.uid, external_event_id=new.external_event_id)
    services.change(old, edits.ended(entry_of(old), edit.recurrence_id), now=now)
    # Once more, for the overrides that the new series has now.
    return services.touch(new, now=now) if carried.renamed else new


def _name(series: BusyBlock, recurrence_id: str) -> UUID:
    """The public id of the series that begins here: the same each time, so that trying again makes no second one."""
    return uuid5(series.unique_id, recurrence_id)


def _split_off(series: BusyBlock, recurrence_id: str) -> BusyBlock | None:
    rows = BusyBlock.objects.filter(user=series.user_id).by_hand().select_related("user")
    return rows.select_for_update(of=("self",)).filter(unique_id=_name(series, recurrence_id)).first()


def _names(series: Entry, text: str, recurrence_id: str) -> bool:
    """Whether an EXDATE names the instance: itself, or its local day."""
    if text == recurrence_id:
        return True
    local = to_wall(edits.start_of(recurrence_id), zone(series.time_zone or "UTC")).date()
    return not series.all_day and text == moments.compact(local)
