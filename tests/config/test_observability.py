"""Logs can be followed by request, and hold no secret."""

import io
import json
import logging
from types import SimpleNamespace

import pytest
import structlog
from celery import signals
from django.conf import settings as django_settings
from django.test import Client

from config import observability
from tenancy.models import ApiKey

pytestmark = pytest.mark.urls("tests.config.toy")

FEED_TOKEN = "feed-token-canary-0123456789abcdef"


@pytest.fixture
def written():
    """What is logged while the test runs, at the lowest level that production knows."""
    observability.configure_logging({"level": "DEBUG", "as_json": True})
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    handler.setStream(stream)
    yield stream
    observability.configure_logging(django_settings.LOGGING)


def lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def answered(stream):
    return [line for line in lines(stream) if line["event"] == "request_answered"]


# Request ids --------------------------------------------------------------------------------------------------------


def test_request_id_comes_back_and_stands_in_each_line(written, client):
    client.raise_request_exception = False
    response = client.get("/calendars/acme/feeds/x?break", headers={"X-Request-ID": "req_42.a:b-c"})

    assert response["X-Request-ID"] == "req_42.a:b-c"
    assert len(lines(written)) >= 2
    assert {line["request_id"] for line in lines(written)} == {"req_42.a:b-c"}


@pytest.mark.parametrize("given", ["", "two words", "x" * 129, "line\nbreak", "ü", '"quoted"', "<b>"])
def test_request_id_that_is_no_plain_word_is_replaced(client, given):
    returned = client.get("/health/live", headers={"X-Request-ID": given})["X-Request-ID"]

    assert returned != given
    assert len(returned) == 36


def test_failures_carry_it_too(client):
    assert client.get("/nope", headers={"X-Request-ID": "abc"})["X-Request-ID"] == "abc"


def test_two_requests_do_not_share_one(client):
    assert client.get("/health/live")["X-Request-ID"] != client.get("/health/live")["X-Request-ID"]


def test_one_line_is_written_for_each_request(written, client):
    client.get("/health/live")

    (line,) = answered(written)
    assert (line["method"], line["route"], line["status"]) == ("GET", "health/live", 200)
    assert line["milliseconds"] >= 0


# Tasks --------------------------------------------------------------------------------------------------------------


def test_a_task_remembers_the_request_that_rang_for_it():
    headers: dict[str, str] = {}
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        signals.before_task_publish.send(sender="some.task", headers=headers)

    assert headers == {"request_id": "abc"}


def test_a_task_of_nobodys_request_has_no_id():
    headers: dict[str, str] = {}
    signals.before_task_publish.send(sender="some.task", headers=headers)

    assert headers == {}


class Task:
    name = "some.task"

    def __init__(self, request_id, *, eager):
        self.request = SimpleNamespace(is_eager=eager, get={"request_id": request_id}.get)


def test_a_worker_writes_the_id_until_the_task_is_done():
    task = Task("abc", eager=False)
    signals.task_prerun.send(sender=task, task=task, task_id="7")
    assert structlog.contextvars.get_contextvars() == {"request_id": "abc", "task": "some.task", "task_id": "7"}

    signals.task_postrun.send(sender=task, task=task, task_id="7")
    assert structlog.contextvars.get_contextvars() == {}


def test_a_task_inside_of_a_request_leaves_the_requests_id_alone():
    task = Task(None, eager=True)
    with structlog.contextvars.bound_contextvars(request_id="abc"):
        signals.task_prerun.send(sender=task, task=task, task_id="7")
        signals.task_postrun.send(sender=task, task=task, task_id="7")
        assert structlog.contextvars.get_contextvars() == {"request_id": "abc"}


# Secrets ------------------------------------------------------------------------------------------------------------

PATHS = [
    ("GET", f"/calendars/acme/ics/{FEED_TOKEN}", "a feed that answers"),
    ("GET", f"/calendars/acme/ics/{FEED_TOKEN}/", "with a slash"),
    ("GET", f"/calendars/acme/ics/{FEED_TOKEN}?break", "a feed that fails"),
    ("POST", f"/calendars/acme/ics/{FEED_TOKEN}", "a wrong method"),
    ("GET", f"/calendars/acme/ics/{FEED_TOKEN}/more", "a path that is not known"),
    ("GET", f"/calendars/ac%2Fme/ics/{FEED_TOKEN}", "a slash in the company's name"),
    ("GET", f"/calendars/acme/ics/{FEED_TOKEN}%00", "a NUL behind it"),
]


@pytest.mark.parametrize("debug", [False, True], ids=["", "with DEBUG"])
@pytest.mark.parametrize(("method", "path"), [row[:2] for row in PATHS], ids=[row[2] for row in PATHS])
def test_feed_tokens_are_never_written(written, settings, method, path, debug):
    settings.DEBUG = debug
    Client(raise_request_exception=False).generic(method, path)

    assert answered(written)
    assert FEED_TOKEN not in written.getvalue()


def test_a_foreign_host_does_not_make_a_feed_token_written(written):
    Client(raise_request_exception=False).get(f"/calendars/acme/ics/{FEED_TOKEN}", headers={"Host": "evil.test"})

    assert FEED_TOKEN not in written.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/failures/bug", "/failures/constraint", "/users/alice/notes", "/users/bob/notes"])
def test_what_callers_authenticate_with_is_never_written(written, acme, speaking_for, path):
    client = speaking_for(acme, "alice")
    client.get(path)
    key, bearer = client.defaults["HTTP_APPID"], client.defaults["HTTP_AUTHORIZATION"].partition(" ")[2]

    assert answered(written)
    for secret in (key, bearer, bearer.rpartition(".")[2], "pk_live_in_the_message"):
        assert secret not in written.getvalue()


JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln"
HIDDEN = [
    ("GET /calendars/acme/ics/canary HTTP/1.1", "a request line"),
    ("GET /calendars/acme/ics/canary?x=1", "a query behind it"),
    ("'https://crm.test/calendars/acme/ics/canary'", "quotes around it"),
    (f"token {JWT.replace('c2ln', 'canary')}", "a JWT"),
    ("Authorization: Bearer canary", "a bearer"),
    ("Basic canary==", "a password in a header"),
    ("AppId pk_live_canary", "an API key"),
    ("postgresql://service:canary@db.test/calendar", "a database's password"),
    ("redis://:canary@cache.test:6379/0", "a broker's password"),
    ("https://alice:p%40canary@dav.test/cal/", "a calendar's password in an address"),
]


@pytest.mark.parametrize("text", [row[0] for row in HIDDEN], ids=[row[1] for row in HIDDEN])
def test_redacted(text):
    assert "canary" not in observability.redacted(text)
    assert "[redacted]" in observability.redacted(text)


@pytest.mark.parametrize("text", ["GET /users/alice/busy_blocks", "calendar_synced", "http://localhost:8000/docs"])
def test_left_readable(text):
    assert observability.redacted(text) == text


class Odd:
    def __repr__(self):
        return f"<Odd {JWT}>"


def test_secrets_are_found_at_any_depth_and_in_any_object(written):
    log = structlog.get_logger("somewhere")
    log.info("odd", nested={"list": [{"deep": f"Bearer {JWT}"}]}, odd=Odd(), pair=(JWT, 1))
    logging.getLogger("elsewhere").warning("said %s to %r", JWT, Odd(), extra={"request": Odd(), "headers": {"a": JWT}})

    assert len(lines(written)) == 2
    assert JWT not in written.getvalue()


def test_secrets_in_exceptions_are_redacted(written):
    try:
        raise ValueError(f"could not use {JWT}")
    except ValueError as error:
        structlog.get_logger("somewhere").error("failed", exc_info=error)
        logging.getLogger("elsewhere").exception("failed")

    assert written.getvalue().count("could not use [redacted]") == 2
    assert JWT not in written.getvalue()


def test_lines_for_people_are_redacted_likewise(capsys):
    observability.configure_logging({"level": "INFO", "as_json": False})
    try:
        logging.getLogger("elsewhere").warning("said %s", JWT)
    finally:
        observability.configure_logging(django_settings.LOGGING)

    assert JWT not in capsys.readouterr().err


@pytest.mark.django_db
def test_a_key_says_no_more_of_itself_than_four_letters(acme):
    key = ApiKey.issue(acme)

    assert key[:-4] not in f"{ApiKey.objects.get()!r} {ApiKey.objects.get()}"
