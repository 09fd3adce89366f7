"""One worker per account at a time: a lease row with owner, expiry and a fence.

Taking a lease is one compare-and-swap. A worker that dies loses its lease when it expires, and nothing else. One that
was only slow, and lost it, is stopped at its commit: every lease raises the account's fence, and a commit under an
older fence is refused (the broker may deliver a task twice; then the second copy writes nothing).
"""

import uuid
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import F, QuerySet

from calendars.models import CalendarAccount


class LeaseLost(Exception):
    """Another worker holds the account now, or the account is gone: stop, and write nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write an account's mirror, until somebody takes it after its expiry."""

    account_pk: int
    owner: str
    fence: int


def acquire(account_pk: int, *, now: datetime) -> Lease | None:
    """The account's lease, or None while another worker's has not expired or the account does not exist."""
    owner = uuid.uuid4().hex
    taken = (
        CalendarAccount.objects.filter(pk=account_pk)
        .unleased(now)
        .update(lease_owner=owner, lease_until=now + settings.SYNC_LEASE, fence=F("fence") + 1)
    )
    if not taken:
        return None
    fence = CalendarAccount.objects.filter(pk=account_pk, lease_owner=owner).values_list("fence", flat=True).first()
    return None if fence is None else Lease(account_pk, owner, fence)


def renew(lease: Lease, *, now: datetime) -> None:
    """Keep it for another SYNC_LEASE; raises `LeaseLost`."""
    if not account_of(lease).update(lease_until=now + settings.SYNC_LEASE):
        raise LeaseLost


def lock(lease: Lease) -> CalendarAccount:
    """The account, locked until the transaction ends, so that nobody takes the lease before; raises `LeaseLost`.

    Rows that only refer to the account can be written meanwhile (no_key): to ask for a sync must not wait for one.
    """
    account = account_of(lease).select_for_update(no_key=True).defer("credentials").first()
    if account is None:
        raise LeaseLost
    return account


def release(lease: Lease) -> None:
    """Give it back; does nothing when it is somebody else's by now."""
    account_of(lease).update(lease_owner="", lease_until=None)


def account_of(lease: Lease) -> QuerySet[CalendarAccount]:
    """The account while the lease is held, and nothing after."""
    return CalendarAccount.objects.filter(pk=lease.account_pk, lease_owner=lease.owner, fence=lease.fence)
