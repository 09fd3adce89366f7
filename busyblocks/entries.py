"""The value that every source hands to the ledger: one VEVENT-like thing, understood, without a database row."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from busyblocks.models import BusyBlock, Classification, EventStatus, FreeBusyType, Transparency


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a row of the ledger says, apart from whose it is. The field names are the row's.

    start_time, end_time: aware, UTC; for `all_day`, 00:00 UTC of the first date and of the date after the last.
    time_zone: IANA name. recurrence_id: "" for a single entry or a master, else "20260320T090000Z" or "20260320".
    series_id: where a vendor tells each instance of a series as an event of its own, the vendor's id of the series.
    rdates: "20260320", "20260320T090000Z", or a period "20260320T090000Z/20260320T100000Z"; exdates: the first two.
    """

    external_event_id: str = ""
    series_id: str = ""
    etag: str = ""
    uid: str = ""
    recurrence_id: str = ""
    this_and_future: bool = False
    sequence: int = 0
    title: str = ""
    description: str = ""
    location: str = ""
    start_time: datetime
    end_time: datetime
    all_day: bool = False
    time_zone: str = "UTC"
    local_start: str = ""
    duration: str = ""
    recurrence_rule: str = ""
    rdates: tuple[str, ...] = ()
    exdates: tuple[str, ...] = ()
    transparency: str = Transparency.OPAQUE
    status: str = EventStatus.CONFIRMED
    fbtype: str = FreeBusyType.BUSY
    classification: str = Classification.PUBLIC

    @property
    def recurring(self) -> bool:
        return bool(self.recurrence_rule or self.rdates)

    def values(self) -> tuple[Any, ...]:
        """The values of `ENTRY_FIELDS`, in that order."""
        found: tuple[Any, ...] = _values(self)
        return found

    def columns(self) -> dict[str, Any]:
        """The row's column values, JSON lists included."""
        values: dict[str, Any] = dict(zip(ENTRY_FIELDS, self.values(), strict=True))
        values["rdates"], values["exdates"] = list(self.rdates), list(self.exdates)
        values["recurring"] = self.recurring
        return values


ENTRY_FIELDS = tuple(field.name for field in fields(Entry))
_values = attrgetter(*ENTRY_FIELDS)
# The columns that an entry decides; a mirror compares and writes exactly these (and `recurs_until`, derived).
ENTRY_COLUMNS = (*ENTRY_FIELDS, "recurring")


def entry_of(block: BusyBlock) -> Entry:
    """The value that a row holds."""
    return entry_from(_values(block))


def entry_from(values: Iterable[Any]) -> Entry:
    """The entry with these values of `ENTRY_FIELDS`, in that order; dates may be lists."""
    named = dict(zip(ENTRY_FIELDS, values, strict=True))
    named["rdates"], named["exdates"] = tuple(named["rdates"]), tuple(named["exdates"])
    return Entry(**named)


ID_LENGTH = 512


def folded_id(text: str) -> str:
    """A vendor's id as the ledger can index it: itself, or for more than 512 characters its start and a digest."""
    if len(text) <= ID_LENGTH:
        return text
    return f"{text[: ID_LENGTH - 65]}#{hashlib.sha256(text.encode()).hexdigest()}"


def fbtype_of(*, transparency: str, status: str, answer: str = "", unavailable: bool = False) -> FreeBusyType:
    """How an entry counts in free/busy (RFC 5545 §3.2.9).

    `answer` is the owner's own PARTSTAT in lower case ("" where they are not an attendee); `unavailable` says
    out of office. Transparent, cancelled and declined entries are free.
    """
    if transparency == Transparency.TRANSPARENT or status == EventStatus.CANCELLED or answer == "declined":
        return FreeBusyType.FREE
    if unavailable:
        return FreeBusyType.BUSY_UNAVAILABLE
    if status == EventStatus.TENTATIVE or answer in {"tentative", "needs-action"}:
        return FreeBusyType.BUSY_TENTATIVE
    return FreeBusyType.BUSY
