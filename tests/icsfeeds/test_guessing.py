"""Guessing: slowed down by address, without a row, without a line for each, and without harm to good readers."""

from datetime import UTC, datetime, timedelta
from unittest.mock import Mock

import pytest
import structlog
import time_machine
from django.core.cache import caches
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config import observability
from icsfeeds import guessing, services
from icsfeeds.models import ICSToken
from icsfeeds.wsgi import FeedsFirst
from tests.icsfeeds.test_wsgi import _connection_is_kept, ask  # noqa: F401  (the fixture is used by itself)

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def guess(client, address: str = "192.0.2.1", **headers):
    return client.get(f"/calendars/acme/ics/{ICSToken.new_value()}", REMOTE_ADDR=address, headers=headers)


def test_after_so_many_wrong_tokens_an_address_is_answered_without_a_query(client, acme):
    assert {guess(client).status_code for _ in range(guessing.LIMIT)} == {404}
    # One a second is looked up all the same.
    guess(client)

    with CaptureQueriesContext(connection) as queries:
        answers = [guess(client) for _ in range(20)]

    assert {answer.status_code for answer in answers} == {429}
    assert answers[0]["Retry-After"] == "60"
    assert len(queries) == 0
    assert guess(client, "192.0.2.2").status_code == 404


def test_a_good_reader_behind_the_guessers_address_notices_nothing(client, alice):
    token = services.issue(alice)
    path = f"/calendars/acme/ics/{token.encrypted_token}"
    client.get(path)
    for _ in range(200):
        guess(client)

    assert client.get(path, REMOTE_ADDR="192.0.2.1").status_code == 200


def test_a_new_reader_behind_the_guessers_address_waits_a_second(client, alice, clock):
    token = services.issue(alice)
    for _ in range(200):
        guess(client)
    clock.move_to(NOW + timedelta(seconds=1))

    assert client.get(f"/calendars/acme/ics/{token.encrypted_token}", REMOTE_ADDR="192.0.2.1").status_code == 200


def test_a_minute_later_all_is_forgotten(client, acme, clock):
    for _ in range(200):
        guess(client)
    clock.move_to(NOW + timedelta(minutes=1))

    assert guess(client).status_code == 404


def test_networks_of_ipv6_count_as_one_address(client, acme):
    for number in range(guessing.LIMIT + 1):
        guess(client, f"2001:db8::{number:x}")

    assert guess(client, "2001:db8::ffff").status_code == 429
    assert guess(client, "2001:db8:0:1::1").status_code == 404


def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_wrote(client, acme, settings):
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    for number in range(guessing.LIMIT + 1):
        guess(client, "10.0.0.1", **{"X-Forwarded-For": f"198.51.100.{number}, 203.0.113.9"})

    assert guess(client, "10.0.0.1", **{"X-Forwarded-For": "203.0.113.9"}).status_code == 429
    assert guess(client, "10.0.0.1", **{"X-Forwarded-For": "203.0.113.10"}).status_code == 404


def test_a_reader_who_was_let_through_is_not_refused_after_all(alice):
    """Ahead of Django the one look-up of this second is taken; the feed is not prepared, so Django's view makes it."""
    token = services.issue(alice)
    application = FeedsFirst(WSGIHandler())
    for _ in range(guessing.LIMIT):
        guessing.missed("192.0.2.1", now=NOW.timestamp())

    assert ask(application, token)[0] == "200 OK"


@pytest.mark.parametrize("ahead_of_django", [True, False])
def test_guessing_writes_no_row_no_key_and_one_line_a_minute(client, acme, clock, monkeypatch, ahead_of_django):
    """Whatever the number of guesses, and of addresses that they come from."""
    # A logger that has written before is kept as it was, and would not be captured.
    for module in (observability, guessing):
        monkeypatch.setattr(module, "log", structlog.get_logger(module.__name__))
    keys = Mock(side_effect=AssertionError)
    for verb in ("set", "add", "set_many", "incr"):
        monkeypatch.setattr(type(caches["default"]), verb, keys)
    application = FeedsFirst(WSGIHandler()) if ahead_of_django else WSGIHandler()
    queries: list[str] = []

    def note(execute, sql, params, many, context):
        queries.append(sql)
        return execute(sql, params, many, context)

    # Not Django's own record of queries, which each request begins anew.
    with structlog.testing.capture_logs() as logs, connection.execute_wrapper(note):
        for number in range(500):
            address = f"192.0.2.{number % 25}" if number % 2 else "198.51.100.1"
            guessed(application, address)
    clock.move_to(NOW + timedelta(minutes=1))
    with structlog.testing.capture_logs() as later:
        guessed(application, "192.0.2.1")

    assert len(queries) == 250 + guessing.LIMIT + 1
    assert not [query for query in queries if not query.startswith("SELECT")]
    assert [(line["event"], line["looked_up"]) for line in logs] == [("feed_addresses_wrong", 1)]
    (line,) = later
    assert (line["looked_up"], line["refused"]) == (len(queries), 500 - len(queries))
    assert not keys.called
    assert ICSToken.objects.count() == 0


def guessed(application, address: str) -> None:
    status, _ = ask(application, ICSToken(encrypted_token=ICSToken.new_value()), REMOTE_ADDR=address)
    assert status in {"404 Not Found", "429 Too Many Requests"}


def test_what_is_remembered_of_addresses_is_bounded(monkeypatch):
    monkeypatch.setattr(guessing, "_ADDRESSES_MOST", 100)
    for number in range(1000):
        guessing.missed(f"10.0.{number // 256}.{number % 256}", now=NOW.timestamp())

    assert len(guessing._guessers) == 100
