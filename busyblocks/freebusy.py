"""Free/busy: what of a span is taken, and how firmly (RFC 4791 §7.10, RFC 5545 §3.6.4)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from busyblocks import zones
from busyblocks.errors import SpanTooWide
from busyblocks.families import REQUEST_STEPS, families, zones_of_dates
from busyblocks.models import BusyBlock, FreeBusyType
from busyblocks.rules import Budget
from busyblocks.timespans import Span, merge, subtract
from tenancy.models import CrmUser

# Where types overlap, the first of these wins.
PRECEDENCE = (FreeBusyType.BUSY_UNAVAILABLE, FreeBusyType.BUSY, FreeBusyType.BUSY_TENTATIVE)

# Free overrides are needed: they take the place of a busy instance.
_MAY_BE_BUSY = ~Q(recurrence_id="", fbtype=FreeBusyType.FREE)


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
    span = Span(start, end)
    dates = zones_of_dates(user, asked=zones.zone(time_zone) if time_zone else None)
    rows = BusyBlock.objects.of(user).without_copies()
    budget = Budget(REQUEST_STEPS)
    taken: dict[str, list[Span]] = {fbtype: [] for fbtype in PRECEDENCE}
    for family in families(rows, span, dates, led_by=_MAY_BE_BUSY):
        for _, instance in family.instances(span, budget):
            if instance.entry.fbtype in taken:
                taken[instance.entry.fbtype].append(span.clip(instance.span(family.dates_in)))
    return _layered(taken)


def _layered(taken: dict[str, list[Span]]) -> list[Period]:
    """Each moment once, under the type that wins there."""
    found: list[Period] = []
    covered: list[Span] = []
    for fbtype in PRECEDENCE:
        spans = merge(taken[fbtype])
        found.extend(Period(span.start, span.end, fbtype) for span in subtract(spans, covered))
        covered = merge([*covered, *spans])
    return sorted(found, key=lambda period: period.start)
