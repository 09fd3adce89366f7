"""Free/busy: what of a span is taken, and how firmly (RFC 4791 §7.10, RFC 5545 §3.6.4)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

from django.conf import settings

from busyblocks import zones
from busyblocks.errors import SpanTooWide
from busyblocks.models import FreeBusyType
from busyblocks.taken import taken
from busyblocks.timespans import Span, Stretch, merge, moment, subtract
from tenancy.models import CrmUser

# Where types overlap, the first of these wins.
PRECEDENCE = (FreeBusyType.BUSY_UNAVAILABLE, FreeBusyType.BUSY, FreeBusyType.BUSY_TENTATIVE)


class Period(NamedTuple):
    """[since, until), whole seconds since 1970, and the one type that counts there; `start`, `end`: the same, UTC."""

    since: int
    until: int
    fbtype: FreeBusyType

    @property
    def start(self) -> datetime:
        return moment(self.since)

    @property
    def end(self) -> datetime:
        return moment(self.until)


def check_width(span: Span) -> None:
    """Raises `SpanTooWide` where one question covers more than the settings allow."""
    longest = timedelta(days=settings.FREE_BUSY_MAX_DAYS)
    if span.end - span.start > longest:
        raise SpanTooWide(longest)


def periods(user: CrmUser, start: datetime, end: datetime, time_zone: str = "") -> list[Period]:
    """Disjoint periods by start, UTC, half-open, clipped to [start, end); neighbours of one type are one period.

    time_zone: the IANA zone in which dates are read; empty: each calendar's own, else the user's, else UTC.
    Raises `UnknownZone`, `BudgetExceeded`. A fixed number of queries, however many rows.
    """
    return of_users([user], Span(start, end), time_zone)[user.pk]


def of_users(users: Sequence[CrmUser], span: Span, time_zone: str = "") -> dict[int, list[Period]]:
    """By user, as `periods`; a fixed number of queries, however many users."""
    found = taken(users, span, _zone(time_zone))
    return {pk: layered(by_type) for pk, by_type in found.items()}


def taken_of_users(
    users: Sequence[CrmUser], span: Span, time_zone: str = "", *, free: Collection[FreeBusyType] = ()
) -> dict[int, list[Stretch]]:
    """By user, disjoint and the earliest first, the time that is taken at all; entries of the types `free` take none.

    As `of_users`, where nobody asks how firmly.
    """
    found = taken(users, span, _zone(time_zone))
    return {
        pk: _joined([stretches for fbtype, stretches in by_type.items() if fbtype not in free])
        for pk, by_type in found.items()
    }


def layered(by_type: Mapping[str, list[Stretch]]) -> list[Period]:
    """Each moment once, under the type that wins there; by start. The stretches of each type are disjoint, by start."""
    found: list[Period] = []
    covered: list[Stretch] = []
    for fbtype in PRECEDENCE:
        if stretches := by_type.get(fbtype):
            left = subtract(stretches, covered) if covered else stretches
            found += [Period(since, until, fbtype) for since, until in left]
            covered = _joined([covered, stretches])
    return sorted(found)


def _joined(several: Sequence[list[Stretch]]) -> list[Stretch]:
    filled = [stretches for stretches in several if stretches]
    return filled[0] if len(filled) == 1 else merge(one for stretches in filled for one in stretches)


def _zone(name: str) -> tzinfo | None:
    return zones.zone(name) if name else None
