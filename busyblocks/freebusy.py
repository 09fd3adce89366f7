"""Free/busy: what of a span is taken, and how firmly (RFC 4791 §7.10, RFC 5545 §3.6.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from busyblocks import zones
from busyblocks.errors import SpanTooWide
from busyblocks.families import zones_of_dates
from busyblocks.models import FreeBusyType
from busyblocks.taken import taken
from busyblocks.timespans import Span, merge, subtract
from tenancy.models import CrmUser

# Where types overlap, the first of these wins.
PRECEDENCE = (FreeBusyType.BUSY_UNAVAILABLE, FreeBusyType.BUSY, FreeBusyType.BUSY_TENTATIVE)


@dataclass(frozen=True, slots=True)
class Period:
    """[start, end), UTC, and the one type that counts there."""

    start: datetime
    end: datetime
    fbtype: FreeBusyType


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
    dates = zones_of_dates(*users, asked=zones.zone(time_zone) if time_zone else None)
    found = taken(users, span, dates)
    return {user.pk: layered(found[user.pk]) for user in users}


def layered(by_type: Mapping[str, list[Span]]) -> list[Period]:
    """Each moment once, under the type that wins there; by start."""
    found: list[Period] = []
    covered: list[Span] = []
    for fbtype in PRECEDENCE:
        spans = merge(by_type.get(fbtype, ()))
        if spans:
            found.extend(Period(span.start, span.end, fbtype) for span in subtract(spans, covered))
            covered = merge([*covered, *spans]) if covered else spans
    return sorted(found, key=lambda period: period.start)
