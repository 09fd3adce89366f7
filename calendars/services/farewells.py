"""Revoking, at the vendor, what a disconnected account was granted: afterwards, and as well as it goes."""

from datetime import datetime, timedelta

import structlog
from cryptography.fernet import InvalidToken
from django.db import transaction

from calendars.models import CalendarAccount, Farewell
from calendars.oauth import registered_vendor
from calendars.providers import ProviderError
from calendars.services.doorbell import ring

log = structlog.get_logger("farewells")

SAY = "calendars.tasks.say_farewell"
# How long one attempt is left alone, and when the next is made.
AGAIN_AFTER = timedelta(minutes=5)
# A secret is not kept for long because a vendor is away.
MOST_ATTEMPTS = 5
SWEEP_LIMIT = 500


def write_down(account: CalendarAccount, *, now: datetime) -> None:
    """Note what has to be revoked; call it in the transaction that removes the account."""
    if not account.credentials or registered_vendor(account.provider) is None:
        return
    farewell = Farewell.objects.create(
        provider=account.provider,
        email=account.email,
        credentials=account.credentials,
        next_attempt_at=now,
    )
    transaction.on_commit(lambda: ring(SAY, farewell.pk, queue="poll"))


def say(farewell_pk: int, *, now: datetime) -> None:
    """Revoke one grant and forget it; tried five times. Of two at once, one does it."""
    due = Farewell.objects.filter(pk=farewell_pk, next_attempt_at__lte=now)
    if not due.update(next_attempt_at=now + AGAIN_AFTER):
        return
    try:
        farewell = Farewell.objects.get(pk=farewell_pk)
        vendor = registered_vendor(farewell.provider)
        # A vendor may take the grant as one for all of the user's tokens: it stays while another account lives by it.
        if vendor is not None and not _still_used(farewell):
            vendor.revoke(farewell.credentials)
    except (ProviderError, InvalidToken) as error:
        attempts = Farewell.objects.filter(pk=farewell_pk).values_list("attempts", flat=True).first() or 0
        log.warning("not_revoked", farewell=farewell_pk, error=type(error).__name__, attempt=attempts + 1)
        if attempts + 1 < MOST_ATTEMPTS and isinstance(error, ProviderError) and error.retryable:
            Farewell.objects.filter(pk=farewell_pk).update(attempts=attempts + 1)
            return
    Farewell.objects.filter(pk=farewell_pk).delete()


def sweep(now: datetime) -> int:
    """Ring for what is due again or was never rung for; how many."""
    pks = list(Farewell.objects.filter(next_attempt_at__lte=now).values_list("pk", flat=True)[:SWEEP_LIMIT])
    for pk in pks:
        ring(SAY, pk, queue="poll")
    return len(pks)


def _still_used(farewell: Farewell) -> bool:
    others = CalendarAccount.objects.filter(provider=farewell.provider, email__iexact=farewell.email)
    return others.exclude(credentials=None).exists()
