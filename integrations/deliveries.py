"""Deliveries: stored as they came, then worked off. The row is the queue; tasks only ring."""

from datetime import datetime, timedelta

import structlog
from django.db import DatabaseError, transaction

from calendars.errors import CalendarsError
from calendars.services.doorbell import ring
from integrations.calcom import handlers, payloads
from integrations.calcom.errors import CalcomError, UnreadableBody
from integrations.models import DeliveryState, WebhookDelivery
from tenancy.models import Company

log = structlog.get_logger("deliveries")

HANDLE = "integrations.tasks.handle_delivery"
# How long the sweep leaves a delivery to the task that was rung for it.
RING_AGAIN_AFTER = timedelta(seconds=60)
# What fails again and again by something other than its content is given up after half a day or so.
MAX_ATTEMPTS = 12
SWEEP_LIMIT = 500


def receive(company: Company, body: bytes, *, content_type: str, signed: bool, now: datetime) -> WebhookDelivery:
    """Store the delivery and ring for a worker. One that cannot be read at all is stored as failed, with the reason."""
    delivery = WebhookDelivery(
        company=company,
        body=body,
        content_type=content_type[:255],
        signed=signed,
        next_attempt_at=now + RING_AGAIN_AFTER,
    )
    try:
        delivery.trigger = payloads.envelope(body).trigger
    except UnreadableBody as error:
        _settle(delivery, DeliveryState.FAILED, now=now, error=str(error))
    delivery.save()
    if delivery.state == DeliveryState.RECEIVED:
        transaction.on_commit(lambda: ring(HANDLE, delivery.pk, queue="webhooks"))
    return delivery


def work_off(delivery_pk: int, *, now: datetime) -> None:
    """Handle the delivery, once: its row is locked, and only what is still `received` is done.

    The row's state and the meeting change in one transaction. What cannot be understood fails for good; a database
    that has trouble is tried again later.
    """
    try:
        with transaction.atomic():
            delivery = (
                WebhookDelivery.objects.select_for_update(skip_locked=True, of=("self",))
                .select_related("company")
                .filter(pk=delivery_pk, state=DeliveryState.RECEIVED)
                .first()
            )
            if delivery is not None:
                _handle(delivery, now=now)
    except DatabaseError as error:
        log.warning("delivery_postponed", delivery=delivery_pk, error=type(error).__name__)
        _postpone(delivery_pk, error=f"The database refused it ({type(error).__name__}).", now=now)


def replay(delivery: WebhookDelivery, *, now: datetime) -> None:
    """Have the delivery handled again from the start, whatever came of it. Safe: handling twice changes nothing."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        state=DeliveryState.RECEIVED, attempts=0, error="", handled_at=None, next_attempt_at=now + RING_AGAIN_AFTER
    )
    transaction.on_commit(lambda: ring(HANDLE, delivery.pk, queue="webhooks"))


def sweep(*, now: datetime) -> int:
    """Ring again for what waits and nobody handled; how many. Two sweeps at once ring once for each."""
    with transaction.atomic():
        pks = list(
            WebhookDelivery.objects.select_for_update(skip_locked=True)
            .filter(state=DeliveryState.RECEIVED, next_attempt_at__lte=now)
            .order_by("next_attempt_at")
            .values_list("pk", flat=True)[:SWEEP_LIMIT]
        )
        WebhookDelivery.objects.filter(pk__in=pks).update(next_attempt_at=now + RING_AGAIN_AFTER)
    for pk in pks:
        ring(HANDLE, pk, queue="webhooks")
    return len(pks)


def _handle(delivery: WebhookDelivery, *, now: datetime) -> None:
    try:
        envelope = payloads.envelope(bytes(delivery.body))
        with transaction.atomic():
            meeting = handlers.handle(delivery.company, envelope, received_at=delivery.received_at, now=now)
    except (CalcomError, CalendarsError) as error:
        _settle(delivery, DeliveryState.FAILED, now=now, error=str(error))
    else:
        known = handlers.is_known(envelope.trigger)
        delivery.meeting_key = str(meeting.unique_id) if meeting is not None else ""
        _settle(delivery, DeliveryState.HANDLED if known else DeliveryState.IGNORED, now=now)
    delivery.attempts += 1
    delivery.save()


def _settle(delivery: WebhookDelivery, state: DeliveryState, *, now: datetime, error: str = "") -> None:
    delivery.state = state
    delivery.error = error
    delivery.handled_at = now
    delivery.next_attempt_at = None


def _postpone(delivery_pk: int, *, error: str, now: datetime) -> None:
    with transaction.atomic():
        delivery = WebhookDelivery.objects.select_for_update().get(pk=delivery_pk)
        if delivery.state != DeliveryState.RECEIVED:
            return
        delivery.attempts += 1
        delivery.error = error
        delivery.next_attempt_at = now + min(timedelta(seconds=15 * 2**delivery.attempts), timedelta(hours=1))
        if delivery.attempts >= MAX_ATTEMPTS:
            _settle(delivery, DeliveryState.FAILED, now=now, error=error)
        delivery.save()
