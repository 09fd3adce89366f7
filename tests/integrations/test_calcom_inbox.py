"""The inbox under pressure: refused, repeated, killed, replayed, cleared, and fed with garbage."""

import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from time_machine import travel

from busyblocks.models import BusyBlock
from calendars.models import Meeting
from integrations import deliveries, tasks
from integrations.calcom import handlers
from integrations.calcom.signature import signature_of
from integrations.models import CalcomSecret, DeliveryState, RefusedDeliveries, WebhookDelivery
from tests.calendars.crashes import Killed, dies_after, dies_before
from tests.integrations.calcom import NOON, acme, compact, delivery, sample, send, user_with_account
from tests.together import at_once

pytestmark = pytest.mark.django_db(transaction=True)

CREATED = delivery("BOOKING_CREATED", "a")


@pytest.fixture(autouse=True)
def _company() -> None:
    acme()


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Nobody comes when it rings; who was rung for."""
    rung: list[int] = []
    monkeypatch.setattr(deliveries, "ring", lambda _task, pk, queue: rung.append(pk))
    return rung


def seen() -> dict[str, Any]:
    """What the deliveries led to."""
    return {
        "meetings": list(Meeting.objects.values_list("status", "sequence", "start_time", "user__unique_id")),
        "rows": list(BusyBlock.objects.values_list("fbtype", "start_time", "sequence")),
        "states": sorted(WebhookDelivery.objects.values_list("state", flat=True)),
    }


# Refusals ---------------------------------------------------------------------------------------------------------


def post(body: bytes, **headers: str) -> Any:
    return Client().post("/calcom/acme/webhook", data=body, content_type="application/json", headers=headers)


def refused() -> dict[str, int]:
    return dict(RefusedDeliveries.objects.values_list("reason", "count"))


def test_refused_deliveries_are_counted_by_day_and_reason_and_not_kept(settings: LazySettings) -> None:
    CalcomSecret.objects.create(company=acme(), secret="acme-secret")
    CalcomSecret.objects.create(company=user_with_account("mallory", url_id="globex").company, secret="globex-secret")
    body = compact(CREATED)
    with travel(NOON, tick=False):
        for status in (
            post(body).status_code,
            post(body, **{"X-Cal-Signature-256": "no-secret-provided"}).status_code,
            send(CREATED, secret="globex-secret").status_code,
            # Spaces that were not there when it was signed.
            send_signed_as(compact(CREATED), json.dumps(CREATED).encode()).status_code,
        ):
            assert status == 401
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
        assert post(b"x" * 2000).status_code == 413
    assert refused() == {"unsigned": 2, "wrong_signature": 2, "too_large": 1}
    assert set(RefusedDeliveries.objects.values_list("day", flat=True)) == {date(2026, 3, 2)}
    assert not WebhookDelivery.objects.exists()


def send_signed_as(signed: bytes, sent: bytes) -> Any:
    return post(sent, **{"X-Cal-Signature-256": signature_of(signed, "acme-secret")})


def test_refusals_at_once_are_all_counted() -> None:
    CalcomSecret.objects.create(company=acme(), secret="acme-secret")
    assert {response.status_code for response in at_once([partial(post, b"{}")] * 12)} == {401}
    assert refused() == {"unsigned": 12}


def test_secret_that_was_deleted_signs_no_more_and_the_next_one_does() -> None:
    old = CalcomSecret.objects.create(company=acme(), secret="old")
    CalcomSecret.objects.create(company=acme(), secret="next")
    assert [send(CREATED, secret=secret).status_code for secret in ("old", "next")] == [200, 200]
    old.delete()
    assert [send(CREATED, secret=secret).status_code for secret in ("old", "next")] == [401, 200]


def test_headers_that_tell_of_the_delivery_are_kept_and_nothing_else() -> None:
    given = {
        "X-Cal-Signature-256": "no-secret-provided",
        "X-Cal-Webhook-Version": "2021-10-20",
        "User-Agent": "Cal/1\x00" + "x" * 1000,
        "Authorization": "Bearer canary",
        "Cookie": "canary",
    }
    post(compact(CREATED), **given)
    kept = WebhookDelivery.objects.get().headers
    assert kept["X-Cal-Webhook-Version"] == "2021-10-20"
    assert (len(kept["User-Agent"]), "canary" in str(kept)) == (512, False)


def column(name: str) -> str:
    """As a dump of the database has it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {name} FROM {WebhookDelivery._meta.db_table}")
        return str(cursor.fetchone()[0])


def test_what_was_delivered_is_in_the_database_under_the_services_keys_only(
    no_worker: list[int], settings: LazySettings
) -> None:
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEYS = [old]
    body = compact(CREATED)
    post(body, **{"User-Agent": "canary"})
    for packed in (column("body"), column("headers")):
        # Every Fernet token begins with its version and the first bytes of the time.
        assert packed.startswith("gAAAA")
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    call_command("rotate_encryption", stdout=StringIO())
    settings.FIELD_ENCRYPTION_KEYS = [new]
    stored = WebhookDelivery.objects.get()
    assert (stored.body, stored.headers["User-Agent"]) == (body, "canary")


def test_delivery_that_no_key_opens_waits_with_the_reason_and_is_handled_when_one_does(
    no_worker: list[int], settings: LazySettings
) -> None:
    post(compact(CREATED))
    ours, settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS, [Fernet.generate_key().decode()]
    deliveries.work_off(no_worker[0], now=NOON)
    stored = WebhookDelivery.objects.defer("body", "headers").get()
    assert (stored.state, stored.attempts, "InvalidToken" in stored.error) == (DeliveryState.RECEIVED, 1, True)
    settings.FIELD_ENCRYPTION_KEYS = ours
    deliveries.work_off(no_worker[0], now=NOON)
    assert WebhookDelivery.objects.get().state == DeliveryState.HANDLED


# Twice, and at once -----------------------------------------------------------------------------------------------


def rounds_of_twenty() -> int:
    """SQLite lets one writer in at a time: it has nothing to say about more."""
    return 5 if connection.vendor == "postgresql" else 1


def test_one_delivery_a_hundred_times_at_once_is_one_meeting() -> None:
    user_with_account()
    CalcomSecret.objects.create(company=acme(), secret="acme-secret")
    statuses = []
    for _ in range(rounds_of_twenty()):
        answers = at_once([partial(send, CREATED, secret="acme-secret")] * 20)
        statuses += [response.status_code for response in answers]
    _sweep_until_done()
    count = 20 * rounds_of_twenty()
    assert statuses == [200] * count
    assert WebhookDelivery.objects.filter(state=DeliveryState.HANDLED).count() == count
    assert (Meeting.objects.count(), BusyBlock.objects.count()) == (1, 1)
    assert Meeting.objects.get().sequence == 0


def test_fifty_different_deliveries_at_once_are_fifty_meetings() -> None:
    user_with_account()
    count = 10 * rounds_of_twenty()
    answers = at_once([partial(send, delivery("BOOKING_CREATED", f"b{number}")) for number in range(count)])
    _sweep_until_done()
    assert {response.status_code for response in answers} == {200}
    assert set(WebhookDelivery.objects.values_list("state", flat=True)) == {DeliveryState.HANDLED}
    assert (Meeting.objects.count(), BusyBlock.objects.count()) == (count, count)


def _sweep_until_done() -> None:
    """What lost a race is tried again, as beat has it done."""
    for hours in range(1, deliveries.MAX_ATTEMPTS):
        if not WebhookDelivery.objects.filter(state=DeliveryState.RECEIVED).exists():
            return
        deliveries.sweep(now=timezone.now() + timedelta(hours=2 * hours))


def test_replay_a_day_later_changes_nothing(no_worker: list[int]) -> None:
    user_with_account()
    story = [CREATED, delivery("BOOKING_RESCHEDULED", "b", at="10:00", rescheduleUid="a")]
    with travel(NOON, tick=False) as clock:
        for document in story:
            send(document)
        for pk in no_worker:
            deliveries.work_off(pk, now=timezone.now())
        before = seen()
        clock.shift(timedelta(days=1))
        assert deliveries.replay_all(WebhookDelivery.objects.all(), now=timezone.now()) == 2
        for pk in reversed(no_worker):
            deliveries.work_off(pk, now=timezone.now())
    assert seen() == before


# Killed -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", [dies_before, dies_after])
@pytest.mark.parametrize(
    ("where", "step"),
    [
        (deliveries, "_work_off"),
        (deliveries, "_handle"),
        (handlers, "handle"),
        (handlers.Names, "settle"),
        (deliveries, "_settle"),
        (WebhookDelivery, "save"),
    ],
)
def test_worker_killed_at_any_step_loses_nothing_and_does_nothing_twice(
    no_worker: list[int], monkeypatch: pytest.MonkeyPatch, where: Any, step: str, when: Callable[..., Any]
) -> None:
    user_with_account()
    send(CREATED)
    (pk,) = no_worker
    with monkeypatch.context() as patch:
        patch.setattr(where, step, when(getattr(where, step)))
        with pytest.raises(Killed):
            deliveries.work_off(pk, now=timezone.now())
    # Beat rings again for whatever still waits.
    deliveries.sweep(now=timezone.now() + timedelta(minutes=5))
    for waiting in no_worker:
        deliveries.work_off(waiting, now=timezone.now())
    start = datetime(2026, 3, 20, 10, tzinfo=UTC)
    assert seen() == {
        "meetings": [("scheduled", 0, start, "alice")],
        "rows": [("busy", start, 0)],
        "states": [DeliveryState.HANDLED],
    }


def test_fault_of_ours_counts_backs_off_and_in_the_end_waits_for_a_person(
    no_worker: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: Any, **_facts: Any) -> None:
        raise KeyError("canary")

    send(CREATED)
    (pk,) = no_worker
    with monkeypatch.context() as patch:
        patch.setattr(handlers, "handle", broken)
        deliveries.work_off(pk, now=NOON)
        stored = WebhookDelivery.objects.get()
        assert (stored.state, stored.attempts) == (DeliveryState.RECEIVED, 1)
        assert stored.next_attempt_at == NOON + timedelta(seconds=30)
        for _ in range(deliveries.MAX_ATTEMPTS):
            deliveries.work_off(pk, now=NOON)
    stored.refresh_from_db()
    assert (stored.state, stored.attempts) == (DeliveryState.FAILED, deliveries.MAX_ATTEMPTS)
    assert stored.error.startswith("Handling it broke (KeyError at test_calcom_inbox.py:")
    assert "canary" not in stored.error
    deliveries.replay(pk, now=NOON)
    deliveries.work_off(pk, now=NOON)
    assert Meeting.objects.count() == 1


# Replaying and clearing ---------------------------------------------------------------------------------------------


def replayed(*arguments: str) -> str:
    out = StringIO()
    call_command("replay_deliveries", *arguments, stdout=out)
    return out.getvalue().strip()


def test_command_replays_what_it_is_asked_to(no_worker: list[int]) -> None:
    with travel(NOON, tick=False) as clock:
        send(CREATED)
        clock.shift(timedelta(days=2))
        send(delivery("BOOKING_CANCELLED", "a"))
        user_with_account("mallory", url_id="globex")
        send(CREATED, url_id="globex")
    WebhookDelivery.objects.update(state=DeliveryState.FAILED, error="once")
    handled = WebhookDelivery.objects.order_by("pk").first()
    assert handled is not None
    WebhookDelivery.objects.filter(pk=handled.pk).update(state=DeliveryState.HANDLED)
    for arguments, count in (
        ([], 2),
        (["--company", "acme"], 1),
        (["--company", "globex", "--trigger", "BOOKING_CREATED"], 1),
        (["--state", "handled"], 1),
        (["--since", "2026-03-03"], 2),
        (["--since", "2026-03-09T00:00:00Z"], 0),
        ([str(handled.unique_id)], 1),
        ([str(handled.unique_id), "--state", "failed"], 0),
    ):
        assert replayed("--dry-run", *arguments) == f"Deliveries that would be handled again: {count}.", arguments
    no_worker.clear()
    assert replayed(str(handled.unique_id)) == "Deliveries to be handled again: 1."
    assert no_worker == [handled.pk]
    for wrong in (["nonsense"], ["--since", "yesterday"], ["--since", "2026-13-45"]):
        with pytest.raises(CommandError):
            replayed(*wrong)


@pytest.mark.parametrize(
    ("days", "left"),
    [
        (30, ["handled", "received", "received"]),
        # For ever.
        (0, ["failed", "handled", "handled", "received", "received"]),
    ],
)
def test_deliveries_are_cleared_when_they_are_old_and_settled(
    no_worker: list[int], settings: LazySettings, days: int, left: list[str]
) -> None:
    settings.CALCOM_DELIVERIES_KEEP_DAYS = days
    long_ago = NOON - timedelta(days=40)
    for state, came in (
        ("handled", long_ago),
        ("failed", long_ago),
        ("received", long_ago),
        ("received", NOON),
        ("handled", NOON),
    ):
        send(CREATED)
        newest = WebhookDelivery.objects.order_by("-pk")[:1].get()
        WebhookDelivery.objects.filter(pk=newest.pk).update(state=state, received_at=came)
    with travel(NOON, tick=False):
        tasks.clear_old_deliveries()
    assert sorted(WebhookDelivery.objects.values_list("state", flat=True)) == left


# Garbage ----------------------------------------------------------------------------------------------------------

TEN_MEGABYTES = 10 * 1024 * 1024


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"", "application/json", id="nothing"),
        pytest.param(b"\xff\xfe" * 1000, "application/json", id="no text"),
        pytest.param(compact(CREATED).decode().encode("utf-16"), "application/json; charset=utf-16", id="UTF-16"),
        pytest.param("Größe=ü".encode("latin-1"), "text/plain; charset=latin-1", id="Latin 1"),
        pytest.param(b"[" * 900_000, "application/json", id="lists in lists"),
        pytest.param(b'{"payload":' * 80_000, "application/json", id="objects in objects"),
        pytest.param(
            b'{"triggerEvent":"PING","payload":' + b"[" * 90_000, "application/json", id="deep behind a trigger"
        ),
        pytest.param(b"9" * 900_000, "application/json", id="one number"),
        pytest.param(b"a=b&" * 200_000, "application/x-www-form-urlencoded", id="fields without end"),
        pytest.param(b"%" * 900_000, "application/x-www-form-urlencoded", id="escapes of nothing"),
        pytest.param(b"x" * TEN_MEGABYTES, "application/json", id="ten megabytes"),
        pytest.param(b'{"triggerEvent":7}', "application/json", id="a number for a trigger"),
        pytest.param(b"null", "application/json", id="null"),
        pytest.param(b"--x\r\n\r\n", "multipart/form-data; boundary=x", id="a broken multipart"),
    ],
)
def test_garbage_is_a_4xx_document_in_bounded_memory(body: bytes, content_type: str) -> None:
    tracemalloc.start()
    try:
        response = Client().generic("POST", "/calcom/acme/webhook", body, content_type)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 400 <= response.status_code < 500
    assert response.json()["errors"][0]["status"] == str(response.status_code)
    assert peak < 60 * 1024 * 1024
    assert not Meeting.objects.exists()


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        # The same key twice: the last one counts, as everywhere.
        (b'"title":"Consultation"', b'"title":"Consultation","title":"Again"', 200),
        (b'"title":"Consultation"', b'"title":' + b'{"a":' * 500 + b"1" + b"}" * 500, 200),
        (b'"title":"Consultation"', b'"title":"' + b"x" * 500_000 + b'"', 200),
        (b'"title":"Consultation"', b'"title":"\\u0000\\ud800"', 200),
        (b'"title":"Consultation"', b'"title":NaN', 200),
    ],
    ids=["twice", "nested", "long", "no text", "NaN"],
)
def test_odd_content_of_a_good_envelope_lands(old: bytes, new: bytes, status: int) -> None:
    response = post(compact(CREATED).replace(old, new))
    assert response.status_code == status
    assert WebhookDelivery.objects.get().state == DeliveryState.HANDLED
    assert len(Meeting.objects.get().title) <= 20_000


def test_signed_sample_whose_bytes_were_changed_on_the_way_is_refused() -> None:
    CalcomSecret.objects.create(company=acme(), secret="acme-secret")
    body = compact(sample("booking_created"))
    assert send_signed_as(body, body).status_code == 200
    assert send_signed_as(body, json.dumps(sample("booking_created")).encode()).status_code == 401
    assert send_signed_as(body, body + b" ").status_code == 401
