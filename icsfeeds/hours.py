"""Feed reads counted by the hour, for the dashboard; they come from `accesses`, many at a time."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db.models import F

from icsfeeds.models import ICSToken, ReadHour

KEPT = timedelta(days=35)


def count(reads: Mapping[int, tuple[int, datetime]]) -> None:
    """Add reads to their companies' hours. reads: token's primary key → how many, and when the last of them was.

    A few statements a company, whatever the number of tokens; call it in the transaction that counts for the tokens.
    """
    owners = dict(ICSToken.objects.filter(pk__in=reads).values_list("pk", "company"))
    hours: Counter[tuple[int, datetime]] = Counter()
    for pk, (number, at) in reads.items():
        if pk in owners:
            hours[owners[pk], at.replace(minute=0, second=0, microsecond=0)] += number
    for (company_pk, hour), number in sorted(hours.items()):
        rows = ReadHour.objects.filter(company=company_pk, hour=hour)
        if not rows.update(reads=F("reads") + number):
            ReadHour.objects.get_or_create(company_id=company_pk, hour=hour)
            rows.update(reads=F("reads") + number)


def clear_old(*, now: datetime) -> int:
    """Delete what is older than KEPT; how many. A row a company and hour: one statement takes them."""
    return ReadHour.objects.filter(hour__lt=now - KEPT).delete()[0]
