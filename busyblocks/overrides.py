"""The rows that take the place of single instances of a series written by hand."""

from dataclasses import replace

from django.db.models import F

from busyblocks import edits
from busyblocks.entries import Entry, entry_of
from busyblocks.models import BusyBlock, BusyBlockQuerySet


def of(master: BusyBlock) -> BusyBlockQuerySet:
    """All overrides of the series. The caller holds the lock of the master's row when it changes them."""
    rows = BusyBlock.objects.filter(user=master.user_id, uid=master.uid).by_hand()
    return rows.exclude(recurrence_id="").exclude(uid="").order_by()


def master_of(block: BusyBlock) -> BusyBlock | None:
    """The series' own row of an override written by hand; None: it has none, or is no such override."""
    if not block.recurrence_id or not block.uid or not block.editable:
        return None
    return BusyBlock.objects.filter(user=block.user_id, uid=block.uid, recurrence_id="").by_hand().first()


def carry(master: BusyBlock, entry: Entry) -> Entry:
    """`entry`, what the series will say, with the names of its single instances; its overrides are renamed likewise.

    An override of an instance that the series will not have is deleted. Raises `BudgetExceeded`. The caller holds the
    lock of the master's row, and writes the entry in the same transaction.
    """
    named = dict(of(master).values_list("recurrence_id", "pk"))
    carried = edits.carried(entry_of(master), entry, frozenset(named))
    rename(named, carried.renamed, uid=master.uid, external_event_id=entry.external_event_id)
    return replace(entry, rdates=carried.rdates, exdates=carried.exdates)


def rename(named: dict[str, int], renamed: dict[str, str], *, uid: str, external_event_id: str) -> None:
    """Rows by their old recurrence ids get the new ones, in the series `uid`; those without a new one are deleted."""
    BusyBlock.objects.filter(pk__in=[pk for old, pk in named.items() if old not in renamed]).delete()
    for old, new in renamed.items():
        # Out of the way at first: the new name of one may be the old one of the next.
        others = BusyBlock.objects.filter(pk=named[old]).exclude(uid=uid, recurrence_id=new)
        others.update(uid=f"{named[old]}~", sequence=F("sequence") + 1)
    for old, new in renamed.items():
        changes = {"uid": uid, "recurrence_id": new, "external_event_id": external_event_id}
        BusyBlock.objects.filter(pk=named[old]).update(**changes)
