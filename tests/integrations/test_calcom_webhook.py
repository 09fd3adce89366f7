"""`POST /calcom/:url_id/webhook`: who may deliver, what is kept, and what is answered."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.conf import LazySettings
from django.db import DatabaseError
from django.test import Client
from django.utils import timezone
from kombu.exceptions import OperationalError
from pytest_django import DjangoAssertNumQueries

from calendars.models import Meeting
from calendars.services import doorbell
from integrations import deliveries, tasks
from integrations.calcom import handlers
from integrations.models import CalcomSecret, DeliveryState, WebhookDelivery
from tests.integrations.calcom import NOON, acme, compact, delivery, sample, send, user_with_account

pytestmark = pytest.mark.django_db(transaction=True)

DOCUMENTED = {
    "triggerEvent": "BOOKING_CREATED",
    "payload": {
        "title": "Consultation Call",
        "startTime": "2026-03-20T10:00:00Z",
        "endTime": "2026-03-20T10:30:00Z",
        "attendees": [{"email": "client@example.com", "name": "Client Name"}],
    },
}


@pytest.fixture(autouse=True)
def _company() -> None:
    acme()


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nobody answers the bell; what was rung for is listed."""
    rung: list[Any] = []
    monkeypatch.setattr(deliveries, "ring", lambda _task, pk, queue: rung.append((pk, queue)))
    return rung


def error(response: Any) -> dict[str, Any]:
    [found] = response.json()["errors"]
    assert isinstance(found, dict)
    return found


def test_documented_request_gets_the_documented_answer_and_a_meeting() -> None:
    response = send(DOCUMENTED)
    assert (response.status_code, response.json()) == (200, {"message": "Webhook processed successfully"})
    meeting = Meeting.objects.get()
    assert (meeting.title, meeting.user) == ("Consultation Call", None)
    assert WebhookDelivery.objects.get().state == DeliveryState.HANDLED


@pytest.mark.parametrize(
    "name",
    [
        "booking_cancelled",
        "booking_created",
        "booking_no_show_updated",
        "booking_requested",
        "booking_rescheduled",
        "meeting_ended",
        "ooo_created",
        "ping",
    ],
)
def test_every_published_sample_lands_signed(name: str) -> None:
    CalcomSecret.objects.create(company=acme(), secret="acme-secret")
    response = send(sample(name), secret="acme-secret")
    assert response.status_code == 200
    stored = WebhookDelivery.objects.get()
    assert (stored.signed, stored.trigger) == (True, sample(name)["triggerEvent"])
    assert bytes(stored.body) == compact(sample(name))
    assert stored.state in {DeliveryState.HANDLED, DeliveryState.IGNORED}


@pytest.mark.parametrize(
    ("secret", "status"),
    [
        ("acme-secret", 200),
        ("next-secret", 200),
        # Another company's, and none at all.
        ("globex-secret", 401),
        ("", 401),
    ],
)
def test_company_with_secrets_takes_only_what_they_sign(secret: str, status: int) -> None:
    for known in ("acme-secret", "next-secret"):
        CalcomSecret.objects.create(company=acme(), secret=known)
    response = send(sample("ping"), secret=secret)
    assert response.status_code == status
    assert WebhookDelivery.objects.count() == (status == 200)


def test_literal_of_an_unconfigured_sender_is_no_signature() -> None:
    CalcomSecret.objects.create(company=acme(), secret="acme-secret")
    response = Client().post(
        "/calcom/acme/webhook",
        data=compact(sample("ping")),
        content_type="application/json",
        headers={"X-Cal-Signature-256": "no-secret-provided"},
    )
    assert response.status_code == 401
    assert error(response)["code"] == "unauthorized"
    assert b"acme-secret" not in response.content


def test_company_without_a_secret_takes_unsigned_deliveries_and_marks_them() -> None:
    send(sample("ping"))
    assert not WebhookDelivery.objects.get().signed


def test_unknown_company_is_a_404_document() -> None:
    response = send(sample("ping"), url_id="nobody")
    assert response.status_code == 404
    assert error(response)["title"] == "Company Not Found"
    assert not WebhookDelivery.objects.exists()


def test_other_methods_are_a_405_document() -> None:
    for method in ("get", "put", "patch", "delete"):
        response = getattr(Client(), method)("/calcom/acme/webhook")
        assert (response.status_code, response["Allow"]) == (405, "POST")
        assert error(response)["code"] == "method_not_allowed"


def test_body_beyond_the_cap_is_a_413_document_and_is_not_kept(settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    response = send({"triggerEvent": "PING", "payload": "x" * 1000})
    assert response.status_code == 413
    assert error(response)["status"] == "413"
    assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[1]",
        b'{"payload": {}}',
        b"[" * 50_000,
        b'{"a":' * 50_000,
        "Größe".encode("latin-1"),
        b"\x00",
    ],
    ids=range(8),
)
def test_body_that_nobody_can_read_is_a_400_document_and_is_kept(body: bytes) -> None:
    response = send(body)
    assert response.status_code == 400
    assert error(response)["code"] == "bad_request"
    stored = WebhookDelivery.objects.get()
    assert (stored.state, bytes(stored.body), bool(stored.error)) == (DeliveryState.FAILED, body, True)


@pytest.mark.parametrize("charset", ["utf-16", "latin-1", "nonsense"])
def test_charset_in_the_content_type_never_breaks_the_reading(charset: str) -> None:
    response = Client().generic(
        "POST", "/calcom/acme/webhook", compact(delivery("BOOKING_CREATED")), f"application/json; charset={charset}"
    )
    assert (response.status_code, Meeting.objects.count()) == (200, 1)


def test_trigger_that_nobody_knows_is_kept_and_thanked_for() -> None:
    assert send({"triggerEvent": "SOMETHING_NEW", "payload": {"uid": "a"}}).status_code == 200
    assert WebhookDelivery.objects.get().state == DeliveryState.IGNORED


def test_booking_without_a_time_is_kept_as_failed_with_the_reason() -> None:
    assert send(delivery("BOOKING_CREATED", start="soon", end="later")).status_code == 200
    stored = WebhookDelivery.objects.get()
    assert (stored.state, stored.error) == (DeliveryState.FAILED, "It names no startTime that can be read.")
    assert not Meeting.objects.exists()


def test_booking_that_ends_before_it_starts_is_kept_as_failed() -> None:
    send(delivery("BOOKING_CREATED", end="2026-03-20T09:00:00Z"))
    assert WebhookDelivery.objects.get().state == DeliveryState.FAILED


def test_acknowledging_costs_two_queries(
    no_worker: list[Any], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    CalcomSecret.objects.create(company=acme(), secret="acme-secret")
    # The company with its secrets, one INSERT.
    with django_assert_num_queries(2):
        send(sample("booking_created"), secret="acme-secret")


def test_delivery_is_stored_before_anybody_is_rung_for(no_worker: list[Any]) -> None:
    send(delivery("BOOKING_CREATED"))
    stored = WebhookDelivery.objects.get()
    assert no_worker == [(stored.pk, "webhooks")]
    assert (stored.state, Meeting.objects.count()) == (DeliveryState.RECEIVED, 0)


def test_broker_that_is_down_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise OperationalError("Connection refused")

    monkeypatch.setattr(current_app.tasks[deliveries.HANDLE], "apply_async", refuse)
    monkeypatch.setitem(doorbell._quiet, "until", 0.0)
    assert send(delivery("BOOKING_CREATED")).status_code == 200
    monkeypatch.undo()
    assert deliveries.sweep(now=timezone.now() + timedelta(minutes=5)) == 1
    assert (Meeting.objects.count(), WebhookDelivery.objects.get().state) == (1, DeliveryState.HANDLED)


def test_sweep_leaves_what_was_rung_for_just_now(no_worker: list[Any]) -> None:
    send(delivery("BOOKING_CREATED"))
    no_worker.clear()
    assert deliveries.sweep(now=timezone.now()) == 0
    later = timezone.now() + timedelta(minutes=5)
    assert (deliveries.sweep(now=later), deliveries.sweep(now=later), len(no_worker)) == (1, 0, 1)


def test_task_that_runs_twice_handles_once() -> None:
    send(delivery("BOOKING_CREATED"))
    stored = WebhookDelivery.objects.get()
    tasks.handle_delivery(stored.pk)
    stored.refresh_from_db()
    assert (stored.attempts, Meeting.objects.get().sequence) == (1, 0)


def test_task_of_a_deleted_delivery_does_nothing() -> None:
    tasks.handle_delivery(12345)


def test_trouble_of_the_database_is_tried_again_later(no_worker: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any, **_facts: Any) -> None:
        raise DatabaseError("canary-detail")

    send(delivery("BOOKING_CREATED"))
    stored = WebhookDelivery.objects.get()
    monkeypatch.setattr(handlers, "handle", fail)
    waits = []
    for _ in range(3):
        deliveries.work_off(stored.pk, now=NOON)
        stored.refresh_from_db()
        assert stored.next_attempt_at is not None
        waits.append(stored.next_attempt_at - NOON)
    assert waits == [timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert (stored.state, stored.attempts) == (DeliveryState.RECEIVED, 3)
    assert "canary" not in stored.error
    monkeypatch.undo()
    deliveries.work_off(stored.pk, now=NOON)
    stored.refresh_from_db()
    assert (stored.state, stored.error, Meeting.objects.count()) == (DeliveryState.HANDLED, "", 1)


def test_trouble_that_never_ends_is_given_up_with_the_reason(
    no_worker: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_facts: Any) -> None:
        raise DatabaseError

    send(delivery("BOOKING_CREATED"))
    stored = WebhookDelivery.objects.get()
    monkeypatch.setattr(handlers, "handle", fail)
    for _ in range(deliveries.MAX_ATTEMPTS):
        deliveries.work_off(stored.pk, now=NOON)
    stored.refresh_from_db()
    assert (stored.state, stored.next_attempt_at) == (DeliveryState.FAILED, None)
    assert stored.error


def test_replayed_delivery_is_handled_again_and_changes_nothing() -> None:
    user_with_account()
    send(delivery("BOOKING_CREATED"))
    before = Meeting.objects.values().get()
    deliveries.replay(WebhookDelivery.objects.get().pk, now=timezone.now())
    after = Meeting.objects.values().get()
    assert {**before, "updated_at": None} == {**after, "updated_at": None}
    assert WebhookDelivery.objects.get().state == DeliveryState.HANDLED


def test_booking_of_one_company_is_no_meeting_of_another() -> None:
    user_with_account("mallory", "alice@acme.example", url_id="globex")
    send(delivery("BOOKING_CREATED"))
    assert Meeting.objects.get().company == acme()
    assert Meeting.objects.get().user is None


def test_delivery_for_globex_leaves_acmes_meeting_of_the_same_uid_alone() -> None:
    user_with_account()
    user_with_account("mallory", "mallory@globex.example", url_id="globex")
    send(delivery("BOOKING_CREATED"))
    send(delivery("BOOKING_CANCELLED", at="10:00"), url_id="globex")
    assert Meeting.objects.get().status == "scheduled"


def test_log_of_a_delivery_holds_no_word_of_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        send(delivery("BOOKING_CREATED", title="canary-title"), secret="canary-secret")
        send(b"canary-rubbish")
    assert "canary" not in caplog.text
