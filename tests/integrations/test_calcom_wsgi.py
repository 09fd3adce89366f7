"""The way ahead of Django: it takes what the common way takes, stores the same row, and leaves the rest to it."""

import io
import json
import tempfile
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.conf import LazySettings
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection
from django.test.utils import CaptureQueriesContext

from calendars.models import Meeting
from integrations import deliveries
from integrations.calcom import senders
from integrations.calcom.signature import HEADER, signature_of
from integrations.models import CalcomSecret, DeliveryState, RefusedDeliveries, WebhookDelivery
from integrations.wsgi import DeliveriesFirst
from tests.integrations.calcom import NOON, acme, compact, delivery, sample

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
SECRET = "acme-secret"
COMMON_WAY = "501 The common way"
both_ways = DeliveriesFirst(WSGIHandler())


def nobody(_environ: Any, start_response: Any) -> tuple[bytes, ...]:
    start_response(COMMON_WAY, [("X-Request-ID", "")])
    return ()


short_way = DeliveriesFirst(nobody)


@pytest.fixture(autouse=True)
def _connection_is_kept() -> Iterator[None]:
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    with patch("django.db.backends.base.base.BaseDatabaseWrapper.close_if_unusable_or_obsolete"):
        yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def rung(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Nobody answers the bell; what was rung for is listed."""
    found: list[Any] = []
    monkeypatch.setattr(deliveries, "ring", lambda _task, *pks, queue: found.extend(pks))
    return found


@pytest.fixture(autouse=True)
def secret() -> CalcomSecret:
    """Acme's, which this process has heard of."""
    made = CalcomSecret.objects.create(company=acme(), secret=SECRET)
    senders.find("acme")
    return made


def send(application: Any, body: bytes, /, signed_by: str = SECRET, **environ: Any) -> tuple[str, Any, bytes]:
    """Status, headers without the request's own id, body."""
    answers: list[Any] = []
    given = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/calcom/acme/webhook",
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "HTTP_HOST": "testserver",
        "REMOTE_ADDR": "192.0.2.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_CAL_SIGNATURE_256": signature_of(body, signed_by),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        **environ,
    }
    given = {name: value for name, value in given.items() if value is not None}
    parts = application(given, lambda status, headers, _=None: answers.append((status, dict(headers))))
    sent = b"".join(parts)
    if hasattr(parts, "close"):
        parts.close()
    [(status, headers)] = answers
    headers.pop("X-Request-ID")
    return status, headers, sent


PING = compact(sample("ping"))


@pytest.mark.parametrize("environ", [{}, {"wsgi.url_scheme": "https"}, {"CONTENT_TYPE": "text/plain; charset=x"}])
@pytest.mark.parametrize("name", ["booking_created", "booking_cancelled", "ooo_created", "ping"])
def test_it_stores_and_says_what_the_common_way_does(
    name: str, environ: dict[str, Any], settings: LazySettings
) -> None:
    settings.SECURE_HSTS_SECONDS = 60
    given = {"HTTP_USER_AGENT": "Cal", "HTTP_X_CAL_WEBHOOK_VERSION": "1", "HTTP_AUTHORIZATION": "x", **environ}
    body = compact(sample(name))
    with time_machine.travel(NOON, tick=False):
        answers = [send(way, body, **given) for way in (short_way, WSGIHandler())]
    rows = list(WebhookDelivery.objects.order_by("pk").values())
    assert answers[0] == answers[1]
    assert len(rows) == 2
    for row in rows:
        del row["id"], row["unique_id"]
    assert rows[0] == rows[1]
    assert (rows[0]["body"], rows[0]["signed"], rows[0]["headers"]["User-Agent"]) == (body, True, "Cal")


def test_it_stores_only_what_is_encrypted() -> None:
    send(short_way, compact(delivery("BOOKING_CREATED", title="canary")))
    with connection.cursor() as cursor:
        cursor.execute("SELECT row_to_json(d)::text FROM integrations_webhookdelivery d")
        [(text,)] = cursor.fetchall()
    assert "BOOKING_CREATED" in text
    assert "canary" not in text


def test_worker_is_rung_for_once_it_is_stored_and_makes_the_meeting(rung: list[Any]) -> None:
    send(short_way, compact(delivery("BOOKING_CREATED")))
    stored = WebhookDelivery.objects.get()
    assert rung == [stored.pk]
    deliveries.work_off(stored.pk, now=NOON)
    stored.refresh_from_db()
    assert (stored.state, Meeting.objects.count()) == (DeliveryState.HANDLED, 1)


def test_delivery_is_one_statement_that_was_planned_before() -> None:
    send(short_way, PING)
    pgconn = connection.connection.pgconn
    with tempfile.TemporaryFile() as file:
        pgconn.trace(file.fileno())
        try:
            send(short_way, PING)
        finally:
            pgconn.untrace()
        file.seek(0)
        sent = [line.split("\t") for line in file.read().decode().splitlines()]
    kinds = [line[3] for line in sent if line[1] == "F"]
    assert [kind for kind in kinds if kind in {"Query", "Parse", "Execute"}] == ["Execute"]


@pytest.mark.parametrize(
    "environ",
    [
        {"REQUEST_METHOD": "GET"},
        {"PATH_INFO": "/calcom/acme/webhook/"},
        {"PATH_INFO": "/calcom/nobody/webhook"},
        {"PATH_INFO": "/calcom/globex/webhook"},
        {"QUERY_STRING": "a=%00"},
        {"HTTP_HOST": "evil.example"},
        {"HTTP_X_REQUEST_ID": "two words"},
        {"HTTP_TRANSFER_ENCODING": "chunked"},
        {"HTTP_X_CAL_SIGNATURE_256": None},
        {"HTTP_X_CAL_SIGNATURE_256": "no-secret-provided"},
        {"HTTP_X_CAL_SIGNATURE_256": signature_of(PING, "globex-secret")},
        {"HTTP_X_CAL_SIGNATURE_256": "ÿ"},
        {"CONTENT_LENGTH": None},
        {"CONTENT_LENGTH": "-1"},
        {"CONTENT_LENGTH": "²"},
        {"CONTENT_LENGTH": str(len(PING) + 1)},
        {"CONTENT_LENGTH": "9999999"},
    ],
)
def test_whatever_is_unusual_goes_the_common_way(environ: dict[str, Any]) -> None:
    CalcomSecret.objects.create(company=acme().__class__.objects.create(url_id="globex"), secret="globex-secret")
    senders.find("globex")
    assert send(short_way, PING, **environ)[0] == COMMON_WAY
    assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"\x00", b"[" * 50_000, b'{"triggerEvent": ""}', "Größe".encode("latin-1")]
)
def test_body_that_nobody_can_read_is_read_again_by_the_common_way(body: bytes) -> None:
    assert send(both_ways, body)[0] == "400 Bad Request"
    stored = WebhookDelivery.objects.get()
    assert (stored.state, stored.body) == (DeliveryState.FAILED, body)


def test_body_beyond_the_cap_is_not_read_here_and_counted_there(settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    unread = io.BytesIO(PING)
    given: dict[str, Any] = {"wsgi.input": unread}
    assert send(short_way, PING, **given)[0] == COMMON_WAY
    assert unread.tell() == 0
    assert send(both_ways, PING)[0].startswith("413")
    assert RefusedDeliveries.objects.get().reason == "too_large"


@pytest.mark.parametrize("trigger", ["A\u0000B", "A\ud800B", "Ä" * 300, "%s $1 '"])
def test_trigger_is_kept_as_the_common_way_keeps_it(trigger: str) -> None:
    body = json.dumps({"triggerEvent": trigger, "payload": {}}).encode()
    assert [send(way, body)[0] for way in (short_way, WSGIHandler())] == ["200 OK", "200 OK"]
    one, other = WebhookDelivery.objects.values_list("trigger", flat=True)
    assert one == other


def test_wrong_signature_is_counted_once_by_the_common_way() -> None:
    assert send(both_ways, PING, signed_by="other")[0] == "401 Unauthorized"
    assert RefusedDeliveries.objects.get().count == 1
    assert not WebhookDelivery.objects.exists()


def test_secret_that_is_taken_back_ends_at_once_and_one_that_is_added_begins_at_once(secret: CalcomSecret) -> None:
    CalcomSecret.objects.create(company=acme(), secret="next-secret")
    # Neither is known to this process: what it remembers is the first alone.
    assert send(short_way, PING)[0] == COMMON_WAY
    assert send(both_ways, PING, signed_by="next-secret")[0] == "200 OK"
    assert send(short_way, PING, signed_by="next-secret")[0] == "200 OK"
    secret.delete()
    assert send(both_ways, PING)[0] == "401 Unauthorized"
    assert send(short_way, PING, signed_by="next-secret")[0] == "200 OK"


def test_first_secret_of_a_company_that_had_none_counts_at_once(secret: CalcomSecret) -> None:
    secret.delete()
    senders.find("acme")
    unsigned: dict[str, Any] = {"HTTP_X_CAL_SIGNATURE_256": None}
    assert send(short_way, PING, **unsigned)[0] == "200 OK"
    assert not WebhookDelivery.objects.get().signed
    CalcomSecret.objects.create(company=acme(), secret=SECRET)
    assert send(both_ways, PING, **unsigned)[0] == "401 Unauthorized"


def test_company_that_is_renamed_or_deleted_takes_nothing_more() -> None:
    company = acme()
    company.url_id = "acme-two"
    company.save()
    assert send(both_ways, PING)[0] == "404 Not Found"
    company.delete()
    assert send(both_ways, PING, PATH_INFO="/calcom/acme-two/webhook")[0] == "404 Not Found"
    assert not WebhookDelivery.objects.exists()


@pytest.mark.parametrize(
    "ruin",
    [
        "DISCARD ALL",
        "DEALLOCATE ALL",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SET default_transaction_read_only = on",
    ],
)
def test_whatever_becomes_of_the_session_one_delivery_is_one_row(ruin: str) -> None:
    assert send(short_way, PING)[0] == "200 OK"
    connection.connection.pgconn.exec_(ruin.encode())
    assert send(short_way, PING)[0] == COMMON_WAY
    connection.close()
    assert [send(both_ways, PING)[0] for _ in range(3)] == ["200 OK"] * 3
    assert WebhookDelivery.objects.count() == 4


def test_inside_a_transaction_or_under_a_counter_of_queries_it_steps_aside() -> None:
    with CaptureQueriesContext(connection):
        assert send(short_way, PING)[0] == COMMON_WAY
    assert send(short_way, PING)[0] == "200 OK"


def test_header_that_signs_is_the_one_that_is_kept() -> None:
    send(short_way, PING)
    assert WebhookDelivery.objects.get().headers == {HEADER: signature_of(PING, SECRET)}
