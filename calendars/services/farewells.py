"""Taking leave of a vendor once an account was disconnected: channels closed, the grant revoked, as well as it goes."""

from datetime import datetime, timedelta

import structlog
from cryptography.fernet import InvalidToken
from django.db import transaction

from calendars.models import CalendarAccount, Farewell, PushChannel
from calendars.oauth import OAuthVendor, registered_vendor
from calendars.providers import Connection, NoSuchProvider, ProviderError, provider_class
from calendars.services.doorbell import ring
from calendars.watching import Channel, Watcher

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
        channels=list(
            PushChannel.objects.filter(calendar__account=account, opened_at__isnull=False).values_list(
                "channel_id", "resource_id"
            )
        ),
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
        _close_channels(farewell, vendor, now=now)
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


def _close_channels(farewell: Farewell, vendor: OAuthVendor | None, *, now: datetime) -> None:
    """With the account's last token, or one more. What cannot be closed ends by itself, and nobody believes it."""
    if not farewell.channels or vendor is None:
        return

    def access_token(refused: str) -> str:
        held = str(farewell.credentials.get("access_token", ""))
        if held and held != refused:
            return held
        farewell.credentials = vendor.refreshed(farewell.credentials).replacing(farewell.credentials)
        farewell.save(update_fields=["credentials"])
        return str(farewell.credentials["access_token"])

    try:
        backend = provider_class(farewell.provider)
        provider = backend(
            Connection(email=farewell.email, credentials=farewell.credentials, access_token=access_token)
        )
        if isinstance(provider, Watcher):
            for channel_id, resource_id in farewell.channels:
                provider.unwatch(Channel(id=channel_id, resource_id=resource_id, expires_at=now))
    except (ProviderError, NoSuchProvider) as error:
        log.warning("channels_not_closed", farewell=farewell.pk, error=type(error).__name__)


def _still_used(farewell: Farewell) -> bool:
    others = CalendarAccount.objects.filter(provider=farewell.provider, email__iexact=farewell.email)
    return others.exclude(credentials=None).exists()
