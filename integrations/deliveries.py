"""Deliveries: stored as they came, then worked off. The row is the queue; tasks only ring."""

import traceback
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, OperationalError, connection, connections, transaction
from django.db.models import F, Q, QuerySet

from calendars.errors import CalendarsError
from calendars.services.doorbell import ring
from integrations.bell import announce
from integrations.calcom import handlers, payloads
from integrations.calcom.errors import CalcomError, UnreadableBody
from integrations.calcom.senders import SEALED_NOW, Sender
from integrations.models import DeliveryState, RefusalReason, RefusedDeliveries, WebhookDelivery
from tenancy.encryption import EncryptedBytesField, EncryptedJSONField
from tenancy.models import Company, new_unique_id
from tenancy.prepared import Prepared, is_idle, line_of, look_after

log = structlog.get_logger("deliveries")

HANDLE = "integrations.tasks.handle_delivery"
# How long the sweep leaves a delivery to the task that was rung for it.
RING_AGAIN_AFTER = timedelta(seconds=60)
# What fails again and again by something other than its content waits for a person after four hours or so.
MAX_ATTEMPTS = 12
_LONGEST_RETRY = timedelta(hours=1)
SWEEP_LIMIT = 500
# Two deliveries that lock the same meetings in different orders: PostgreSQL ends one of them, which has done nothing.
_TRIES_AT_ONCE = 3
_CLEAR_BATCH = 1000
# What is kept of the headers. Whatever else a proxy or a sender adds may be a secret, and is nobody's business.
KEPT_HEADERS = ("X-Cal-Signature-256", "X-Cal-Webhook-Version", "User-Agent", "X-Request-ID")
_HEADER_LENGTH = 512
_OUTCOME = ("state", "error", "handled_at", "next_attempt_at", "attempts", "meeting_key")


def receive(
    company_pk: int,
    body: bytes,
    *,
    content_type: str,
    headers: Mapping[str, str] | None = None,
    signed: bool,
    now: datetime,
) -> WebhookDelivery:
    """Store the delivery and ring for a worker. One that cannot be read at all is stored as failed, with the reason.

    signed: its signature was found right; False: the company has no secret to check it by.
    """
    delivery = WebhookDelivery(
        company_id=company_pk,
        body=body,
        content_type=_storable(content_type)[:255],
        headers=_kept(headers or {}),
        signed=signed,
        next_attempt_at=now + RING_AGAIN_AFTER,
    )
    try:
        delivery.trigger = payloads.envelope(body).trigger
    except UnreadableBody as error:
        _settle(delivery, DeliveryState.FAILED, now=now, error=str(error))
    _insert(delivery)
    if delivery.state == DeliveryState.RECEIVED:
        transaction.on_commit(lambda: announce(delivery.pk, ring=_ring))
    return delivery


def accept(sender: Sender, body: bytes, *, content_type: str, headers: Mapping[str, str], now: datetime) -> bool:
    """`receive`, for what is certainly good: one statement that was planned before. False: nothing was done.

    sender: as it is remembered, the signature was found right by it; the statement stores nothing if the company has
    another name or other secrets by now. False, too, where the body cannot be read, and where the database or its
    connection is in any way unusual: `receive` knows what to do. Should the answer of a commit be lost, the delivery is
    stored twice, which changes nothing.
    """
    connection: Any = connections[DEFAULT_DB_ALIAS]
    if not is_idle(connection):
        return False
    try:
        trigger = payloads.envelope(body).trigger
    except UnreadableBody:
        return False
    values = (
        str(new_unique_id()),
        _BODY.get_prep_value(body),
        _storable(content_type)[:255],
        _HEADERS.get_prep_value(_kept(headers)),
        "true" if sender.secrets else "false",
        trigger,
        (now + RING_AGAIN_AFTER).isoformat(),
        now.isoformat(),
        sender.url_id,
        sender.sealed,
    )
    try:
        result = line_of(connection).run(_ACCEPT, [str(value).encode() for value in values])
    finally:
        look_after(connection)
    if result is None or not result.ntuples:
        return False
    announce(int(result.get_value(0, 0)), ring=_ring)
    return True


def count_refusal(company_pk: int, reason: RefusalReason, *, now: datetime) -> None:
    """Count a delivery that is not kept: whoever sends rubbish must not fill the disk with it."""
    today = {"company_id": company_pk, "day": now.astimezone(UTC).date(), "reason": reason}
    if not RefusedDeliveries.objects.filter(**today).update(count=F("count") + 1, last_at=now):
        _, new = RefusedDeliveries.objects.get_or_create(**today, defaults={"count": 1, "last_at": now})
        if not new:
            RefusedDeliveries.objects.filter(**today).update(count=F("count") + 1, last_at=now)


def work_off(delivery_pk: int, *, now: datetime) -> None:
    """Handle the delivery, once: its row is locked, and only what is still `received` is done.

    The row's state and the meeting change in one transaction. What cannot be understood fails for good; whatever else
    goes wrong counts as an attempt, is tried again later, and in the end waits for a person.
    """
    for tries_left in reversed(range(_TRIES_AT_ONCE)):
        try:
            _work_off(delivery_pk, now=now)
        except OperationalError as error:
            if tries_left:
                continue
            log.warning("delivery_postponed", delivery=delivery_pk, error=type(error).__name__)
            _postpone(delivery_pk, error=f"The database refused it ({type(error).__name__}).", now=now)
        except Exception as error:  # noqa: BLE001
            # A fault of ours, which no sample shows. Its text may quote the booking: only its place is written down.
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            log.error("delivery_broke", delivery=delivery_pk, error=type(error).__name__, where=place)
            _postpone(delivery_pk, error=f"Handling it broke ({type(error).__name__} at {place}).", now=now)
        return


def replay(delivery_pk: int, *, now: datetime) -> None:
    """Have the delivery handled again from the start, whatever came of it. Safe: handling twice changes nothing."""
    WebhookDelivery.objects.filter(pk=delivery_pk).update(
        state=DeliveryState.RECEIVED, attempts=0, error="", handled_at=None, next_attempt_at=now + RING_AGAIN_AFTER
    )
    transaction.on_commit(lambda: ring(HANDLE, delivery_pk, queue="webhooks"))


def sweep(*, now: datetime) -> int:
    """Ring again for what waits and nobody handled; how many. Two sweeps at once ring once for each."""
    with transaction.atomic():
        pks = list(
            WebhookDelivery.objects.select_for_update(skip_locked=True)
            # Or put off for longer than any is: by a clock that was ahead then.
            .filter(Q(next_attempt_at__lte=now) | Q(next_attempt_at__gt=now + _LONGEST_RETRY * 2))
            .filter(state=DeliveryState.RECEIVED)
            .order_by("next_attempt_at")
            .values_list("pk", flat=True)[:SWEEP_LIMIT]
        )
        WebhookDelivery.objects.filter(pk__in=pks).update(next_attempt_at=now + RING_AGAIN_AFTER)
    for pk in pks:
        ring(HANDLE, pk, queue="webhooks")
    return len(pks)


def clear_old(*, now: datetime) -> int:
    """Delete what is older than CALCOM_DELIVERIES_KEEP_DAYS and settled; how many. 0 days: everything is kept.

    What waits stays, whatever its age; the counts of refusals go with the deliveries of their day. In batches, so
    that no lock is held for long; twice at once is safe.
    """
    if not settings.CALCOM_DELIVERIES_KEEP_DAYS:
        return 0
    oldest = now - timedelta(days=settings.CALCOM_DELIVERIES_KEEP_DAYS)
    settled = WebhookDelivery.objects.filter(received_at__lt=oldest).exclude(state=DeliveryState.RECEIVED)
    count = 0
    while pks := list(settled.order_by("received_at").values_list("pk", flat=True)[:_CLEAR_BATCH]):
        count += WebhookDelivery.objects.filter(pk__in=pks).delete()[0]
    RefusedDeliveries.objects.filter(day__lt=oldest.astimezone(UTC).date()).delete()
    return count


def replay_all(deliveries: QuerySet[WebhookDelivery], *, now: datetime) -> int:
    """Have all of them handled again, in the order in which they came; how many."""
    pks = list(deliveries.order_by("pk").values_list("pk", flat=True))
    for pk in pks:
        replay(pk, now=now)
    return len(pks)


_COLUMNS = [field for field in WebhookDelivery._meta.local_concrete_fields if not field.primary_key]
_NAMES = ", ".join(str(field.column) for field in _COLUMNS)
_INSERT = (
    f"INSERT INTO {WebhookDelivery._meta.db_table} ({_NAMES}) "  # noqa: S608 (names of our own table)
    f"VALUES ({', '.join(['%s'] * len(_COLUMNS))}) RETURNING id"
)


_BODY, _HEADERS = EncryptedBytesField(), EncryptedJSONField()
# The columns' values beside these are those of a delivery that nobody has looked at yet.
_ACCEPT = Prepared(f"""
    INSERT INTO {WebhookDelivery._meta.db_table} (
        company_id, unique_id, body, content_type, headers, signed, trigger, next_attempt_at, received_at,
        state, attempts, error, meeting_key)
    SELECT company.id, $1::uuid, $2, $3, $4, $5::boolean, $6, $7::timestamptz, $8::timestamptz,
        '{DeliveryState.RECEIVED}', 0, '', ''
    FROM {Company._meta.db_table} company WHERE company.url_id = $9 AND $10 = ({SEALED_NOW}) RETURNING id
""")  # noqa: S608 (names of our own tables)


def _insert(delivery: WebhookDelivery) -> None:
    """`save(force_insert=True)`, by hand: Cal.com waits for it, and composing the statement anew each time cost more
    than what it says."""
    values = [field.get_db_prep_save(field.pre_save(delivery, True), connection) for field in _COLUMNS]
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, values)
        delivery.pk = cursor.fetchone()[0]


def _work_off(delivery_pk: int, *, now: datetime) -> None:
    with transaction.atomic():
        delivery = (
            WebhookDelivery.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("company")
            .filter(pk=delivery_pk, state=DeliveryState.RECEIVED)
            .first()
        )
        if delivery is not None:
            _handle(delivery, now=now)


def _handle(delivery: WebhookDelivery, *, now: datetime) -> None:
    try:
        envelope = payloads.envelope(bytes(delivery.body))
        meeting = handlers.handle(delivery.company, envelope, received_at=delivery.received_at, now=now)
    except (CalcomError, CalendarsError) as error:
        _settle(delivery, DeliveryState.FAILED, now=now, error=str(error))
    else:
        known = handlers.is_known(envelope.trigger)
        delivery.meeting_key = str(meeting.unique_id) if meeting is not None else ""
        _settle(delivery, DeliveryState.HANDLED if known else DeliveryState.IGNORED, now=now)
    delivery.attempts += 1
    delivery.save(update_fields=_OUTCOME)


def _settle(delivery: WebhookDelivery, state: DeliveryState, *, now: datetime, error: str = "") -> None:
    delivery.state = state
    delivery.error = error
    delivery.handled_at = now
    delivery.next_attempt_at = None


def _postpone(delivery_pk: int, *, error: str, now: datetime) -> None:
    with transaction.atomic():
        waiting = WebhookDelivery.objects.select_for_update().filter(pk=delivery_pk, state=DeliveryState.RECEIVED)
        # What was delivered stays closed: perhaps that no key opens it is the very trouble.
        delivery = waiting.defer("body", "headers").first()
        if delivery is None:
            return
        delivery.attempts += 1
        delivery.error = error
        delivery.next_attempt_at = now + min(timedelta(seconds=15 * 2**delivery.attempts), _LONGEST_RETRY)
        if delivery.attempts >= MAX_ATTEMPTS:
            _settle(delivery, DeliveryState.FAILED, now=now, error=error)
        delivery.save(update_fields=_OUTCOME)


def _ring(pks: list[int]) -> None:
    ring(HANDLE, *pks, queue="webhooks")


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    found = {name: headers.get(name) for name in KEPT_HEADERS}
    return {name: _storable(value)[:_HEADER_LENGTH] for name, value in found.items() if value}


def _storable(text: str) -> str:
    """Without what no database keeps."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
