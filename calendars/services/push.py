"""A vendor says that something changed: remember it, once, and ring. What changed is found out by a sync.

Messages are counted: `push_told` grows with each, and a sync that began when it stood at n sets `push_seen` to n when
it is through. So a storm makes one sync, a message that arrives during a sync makes one more, and one whose worker
died is still there for the sweep.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from django.db.models import F
from django.utils.crypto import constant_time_compare

from calendars.models import CalendarAccount, PushChannel
from calendars.models.account import CalendarAccountQuerySet
from calendars.services import doors
from calendars.services.doorbell import ring

log = structlog.get_logger("push")

SYNC_ACCOUNT = "calendars.tasks.sync_account"
RING_AGAIN_AFTER = timedelta(seconds=30)
SWEEP_LIMIT = 500
_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True)
class Message:
    """What a message says of itself. resource_id: "" where the vendor's messages have none."""

    channel_id: str
    secret: str = field(repr=False)
    resource_id: str = ""


def digest_of(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def proven(provider: str, messages: Iterable[Message]) -> list[PushChannel | None]:
    """For each message the channel that it came by, with its calendar; None for what is forged or unknown.

    Known and unknown channels cost the same, and secrets are compared in constant time.
    """
    messages = list(messages)
    ids = {message.channel_id for message in messages}
    rows = PushChannel.objects.filter(provider=provider, channel_id__in=ids).select_related("calendar")
    known = {channel.channel_id: channel for channel in rows}
    return [_proven(known.get(message.channel_id), message) for message in messages]


def tell(account_pks: Iterable[int], *, now: datetime) -> int:
    """Note that calendars of these accounts changed; ring for those of which nothing was noted. How many were rung."""
    rung = 0
    for pk in dict.fromkeys(account_pks):
        rows = CalendarAccount.objects.filter(pk=pk)
        fresh = rows.connected().filter(push_told=F("push_seen"))
        if fresh.update(push_told=F("push_told") + 1, push_told_at=now):
            if not rows.filter(vendor_retry_at__gt=now).exists():
                # Who asked for silence gets it; the sweep rings when it is over.
                _ring([pk], now=now)
                rung += 1
        else:
            rows.filter(push_told__gt=F("push_seen")).update(push_told=F("push_told") + 1)
    return rung


def is_told(account_pk: int) -> bool:
    """Whether a message came that no sync has seen to."""
    return _unseen().filter(pk=account_pk).exists()


def seen(account_pk: int, told: int) -> None:
    """A sync is through, with whatever success, that began when `told` messages had come."""
    if told:
        CalendarAccount.objects.filter(pk=account_pk, push_seen__lt=told).update(push_seen=told)


def sweep(now: datetime) -> int:
    """Ring again for accounts that nobody saw to; how many."""
    pks = list(
        _unseen()
        .connected()
        .unleased(now)
        .filter(push_told_at__lt=now - RING_AGAIN_AFTER)
        .exclude(vendor_retry_at__gt=now)
        .values_list("pk", flat=True)[:SWEEP_LIMIT]
    )
    CalendarAccount.objects.filter(pk__in=pks).update(push_told_at=now)
    _ring(pks, now=now)
    return len(pks)


def _ring(pks: list[int], *, now: datetime) -> None:
    large = doors.large(pks, now=now)
    for pk in pks:
        ring(SYNC_ACCOUNT, pk, queue="bulk" if pk in large else "push")


def _unseen() -> CalendarAccountQuerySet:
    return CalendarAccount.objects.filter(push_told__gt=F("push_seen"))


def _proven(channel: PushChannel | None, message: Message) -> PushChannel | None:
    digest = channel.secret_digest if channel is not None else _NO_DIGEST
    secret_fits = constant_time_compare(digest_of(message.secret), digest)
    if channel is None or not secret_fits:
        return None
    if channel.resource_id and message.resource_id and channel.resource_id != message.resource_id:
        return None
    return channel
