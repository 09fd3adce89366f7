"""Push channels: opened where a vendor offers them, renewed with overlap, closed when nobody wants them any more."""

import secrets
import uuid
from datetime import datetime, timedelta

import structlog
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet

from calendars.models import Calendar, PushChannel
from calendars.providers import ProviderError, provider_class
from calendars.services import push
from calendars.services.connections import open_provider
from calendars.services.credentials import TokenKeeper
from calendars.services.doorbell import ring
from calendars.watching import Channel, NotWatchable, Watcher

log = structlog.get_logger("push")

TEND = "calendars.tasks.tend_channels"
# A channel that ends within this is followed by another: a beat that stood still for hours loses nothing.
RENEW_BEFORE = timedelta(hours=24)
# How long one worker keeps a calendar's channels to itself, and what did not work is left alone.
CLAIM = timedelta(minutes=5)
AGAIN_AFTER = timedelta(minutes=15)
REFUSED_AGAIN_AFTER = timedelta(hours=12)
_OPENING = timedelta(minutes=10)
BEAT_LIMIT = 200


def ring_due(now: datetime) -> int:
    """Beat: ring for calendars whose channels need care; how many. Forgets channels that ended."""
    PushChannel.objects.filter(expires_at__lt=now - _OPENING).delete()
    pks = list(_due(now).values_list("pk", flat=True)[:BEAT_LIMIT])
    for pk in pks:
        ring(TEND, pk, queue="poll")
    return len(pks)


def covers(account_pk: int, *, now: datetime) -> bool:
    """Whether every calendar that is mirrored for the account has a channel that is open now."""
    if not settings.PUSH_URL:
        return False
    mirrored = Calendar.objects.filter(account=account_pk, sync_enabled=True, missing_since=None)
    return mirrored.exists() and not mirrored.exclude(Exists(_live(now))).exists()


def tend(calendar_pk: int, *, now: datetime) -> None:
    """Open, renew or close the calendar's channels. Twice at once: one does it; twice in a row: nothing is left to do.

    Failures are logged and tried again later: without a channel the calendar is polled.
    """
    if not _due(now).filter(pk=calendar_pk).update(push_retry_at=now + CLAIM):
        return
    retry_at: datetime | None = None
    try:
        calendar = Calendar.objects.select_related("account").get(pk=calendar_pk)
        provider = open_provider(calendar.account, TokenKeeper(calendar.account_id))
        if isinstance(provider, Watcher):
            _tend(calendar, provider, now=now)
    except NotWatchable as error:
        log.info("not_watchable", calendar=calendar_pk, code=error.code)
        retry_at = now + REFUSED_AGAIN_AFTER
    except (ProviderError, InvalidToken) as error:
        log.warning("channels_not_tended", calendar=calendar_pk, error=type(error).__name__)
        retry_at = now + AGAIN_AFTER
    Calendar.objects.filter(pk=calendar_pk).update(push_retry_at=retry_at)


def renew_soon(channel: PushChannel, *, now: datetime) -> None:
    """The vendor wants it renewed: it stays open meanwhile."""
    PushChannel.objects.filter(pk=channel.pk, expires_at__gt=now + _OPENING).update(expires_at=now + _OPENING)
    _ring_at_once(channel)


def replace(channel: PushChannel, *, now: datetime) -> None:
    """The vendor closed it: another has to be opened."""
    PushChannel.objects.filter(pk=channel.pk).update(expires_at=now)
    _ring_at_once(channel)


def channel_of(row: PushChannel) -> Channel:
    return Channel(id=row.channel_id, resource_id=row.resource_id, expires_at=row.expires_at)


def _ring_at_once(channel: PushChannel) -> None:
    Calendar.objects.filter(pk=channel.calendar_id).update(push_retry_at=None)
    ring(TEND, channel.calendar_id, queue="poll")


def _tend(calendar: Calendar, provider: Watcher, *, now: datetime) -> None:
    rows = list(calendar.push_channels.order_by("-expires_at"))
    keep: PushChannel | None = None
    if _wanted().filter(pk=calendar.pk).exists():
        newest = rows[0] if rows else None
        if newest is not None and newest.opened_at and newest.expires_at > now + RENEW_BEFORE:
            keep = newest
        else:
            keep = (newest and _renewed(newest, provider)) or _opened(calendar, provider, now=now)
    # The old one goes after the new one is open: what is told twice is read once.
    for row in rows:
        if keep is None or row.pk != keep.pk:
            provider.unwatch(channel_of(row))
            row.delete()


def _renewed(row: PushChannel, provider: Watcher) -> PushChannel | None:
    renewed = provider.renew(channel_of(row))
    if renewed is None:
        return None
    row.expires_at = renewed.expires_at
    row.save(update_fields=["expires_at"])
    return row


def _opened(calendar: Calendar, provider: Watcher, *, now: datetime) -> PushChannel:
    secret = secrets.token_urlsafe(32)
    row = PushChannel.objects.create(
        calendar=calendar,
        provider=calendar.account.provider,
        channel_id=uuid.uuid4().hex,
        secret_digest=push.digest_of(secret),
        expires_at=now + _OPENING,
    )
    address = f"{settings.PUSH_URL}/push/{calendar.account.provider}"
    try:
        opened = provider.watch(calendar.external_id, channel_id=row.channel_id, secret=secret, address=address)
    except BaseException:
        row.delete()
        raise
    row.channel_id, row.resource_id = opened.id, opened.resource_id
    row.expires_at, row.opened_at = opened.expires_at, now
    row.save()
    log.info("channel_opened", calendar=calendar.pk)
    # What changed between the last sync and now was told to nobody.
    push.tell([calendar.account_id], now=now)
    return row


def _wanted() -> "QuerySet[Calendar]":
    """Calendars that are mirrored, of accounts whose vendor can tell of changes at an address that it accepts."""
    if not settings.PUSH_URL:
        return Calendar.objects.none()
    return Calendar.objects.filter(
        sync_enabled=True,
        missing_since=None,
        account__sync_enabled=True,
        account__connected=True,
        account__provider__in=[name for name in settings.CALENDAR_PROVIDERS if hasattr(provider_class(name), "watch")],
    )


def _live(now: datetime) -> "QuerySet[PushChannel]":
    return PushChannel.objects.filter(calendar=OuterRef("pk"), expires_at__gt=now, opened_at__isnull=False)


def _due(now: datetime) -> "QuerySet[Calendar]":
    """Calendars whose channels are missing, end soon, or are wanted by nobody."""
    lasting = PushChannel.objects.filter(
        calendar=OuterRef("pk"), expires_at__gt=now + RENEW_BEFORE, opened_at__isnull=False
    )
    wanted = Q(pk__in=_wanted().values("pk"))
    any_channel = PushChannel.objects.filter(calendar=OuterRef("pk"))
    return Calendar.objects.filter(Q(push_retry_at=None) | Q(push_retry_at__lte=now)).filter(
        (wanted & ~Exists(lasting)) | (~wanted & Exists(any_channel))
    )
