"""The way ahead of Django says what the common way says, and says it of the same readers."""

import io
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
import time_machine
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import OperationalError, close_old_connections

from busyblocks.models import BusyBlock
from icsfeeds import accesses, guessing, pieces, publication, services
from icsfeeds.models import ICSToken
from icsfeeds.wsgi import FeedsFirst
from tenancy.models import bump_revision

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def _connection_is_kept():
    """A server's request ends with its connection; a test's connection holds the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    with patch("django.db.backends.base.base.BaseDatabaseWrapper.close_if_unusable_or_obsolete"):
        yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def token(alice) -> ICSToken:
    return services.issue(alice, label="Feed")


@pytest.fixture
def etag(client, token) -> str:
    return client.get(f"/calendars/acme/ics/{token.encrypted_token}")["ETag"]


def ask(application, token, **environ):
    """Status and headers; X-Request-ID is another one each time."""
    return ask_whole(application, token, **environ)[:2]


def ask_whole(application, token, **environ):
    """Status, headers, body."""
    answers = []
    given = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": f"/calendars/acme/ics/{token.encrypted_token}",
        "QUERY_STRING": "",
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "HTTP_HOST": "testserver",
        "REMOTE_ADDR": "192.0.2.1",
        "wsgi.input": io.BytesIO(),
        "wsgi.url_scheme": "http",
        **environ,
    }
    body = application(given, lambda status, headers, _=None: answers.append((status, dict(headers))))
    sent = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    (answer,) = answers
    answer[1].pop("X-Request-ID")
    return (*answer, sent)


def nobody(_environ, start_response):
    start_response("501 The common way", [("X-Request-ID", "")])
    return ()


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"REQUEST_METHOD": "HEAD"},
        {"HTTP_ACCEPT_ENCODING": "gzip"},
        {"wsgi.url_scheme": "https"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
    ],
)
def test_it_answers_304_in_the_words_of_the_common_way(token, etag, settings, environ):
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_PRELOAD = 60, True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    given = {"HTTP_IF_NONE_MATCH": etag, **environ}

    short = ask(FeedsFirst(nobody), token, **given)

    assert short == ask(WSGIHandler(), token, **given)
    assert short[0] == "304 Not Modified"


def test_it_answers_a_date_too(token, etag, clock):
    clock.move_to(NOW + timedelta(minutes=5))
    dated = ask(FeedsFirst(nobody), token)[1]["Last-Modified"]

    assert ask(FeedsFirst(nobody), token, HTTP_IF_MODIFIED_SINCE=dated)[0] == "304 Not Modified"
    # Only If-None-Match counts where both are given.
    given = {"HTTP_IF_MODIFIED_SINCE": dated, "HTTP_IF_NONE_MATCH": '"another"'}
    assert ask(FeedsFirst(nobody), token, **given)[0] == "200 OK"


@pytest.mark.parametrize("compressed", ["", "gzip"])
def test_it_sends_a_prepared_body_in_the_words_of_the_common_way(token, etag, settings, compressed):
    settings.SECURE_HSTS_SECONDS = 60
    given = {"HTTP_ACCEPT_ENCODING": compressed, "wsgi.url_scheme": "https"}

    short = ask_whole(FeedsFirst(nobody), token, **given)

    assert short == ask_whole(WSGIHandler(), token, **given)
    assert short[2].startswith(b"\x1f\x8b" if compressed else b"BEGIN:VCALENDAR")


def test_it_answers_head_without_a_body(token, etag):
    status, headers, body = ask_whole(FeedsFirst(nobody), token, REQUEST_METHOD="HEAD")

    assert (status, body) == ("200 OK", b"")
    assert headers == ask(WSGIHandler(), token, REQUEST_METHOD="HEAD")[1]


def test_what_no_process_memory_holds_goes_the_common_way_and_comes_back_prepared(token, etag):
    publication.forget()
    assert ask(FeedsFirst(nobody), token)[0].startswith("501")
    made = ask_whole(FeedsFirst(WSGIHandler()), token)

    assert ask_whole(FeedsFirst(nobody), token) == made


def test_a_body_that_is_never_held_as_a_whole_is_streamed_the_common_way(token, etag, monkeypatch):
    monkeypatch.setattr(pieces, "JOINED_MOST", 10)
    publication.forget()
    ask(WSGIHandler(), token)

    assert ask(FeedsFirst(nobody), token)[0].startswith("501")


def test_an_old_body_never_goes_out_under_a_new_version(token, etag, alice, client):
    """The version moves in the database; this process still holds the body of the one before."""
    before = ask_whole(FeedsFirst(nobody), token)[2]
    start = datetime(2026, 3, 15, 14, tzinfo=UTC)
    BusyBlock.objects.create(company=alice.company, user=alice, title="new", start_time=start, end_time=start)
    bump_revision(alice.pk, at=NOW)
    held = dict(publication._bodies._values)
    ask(WSGIHandler(), token)
    # As another process would find it.
    publication._bodies._values.clear()
    publication._bodies._values.update(held)

    assert ask(FeedsFirst(nobody), token)[0].startswith("501")
    _, headers, body = ask_whole(FeedsFirst(WSGIHandler()), token)
    assert body != before
    assert headers["ETag"] != etag


@pytest.mark.parametrize(
    "environ",
    [
        {"REQUEST_METHOD": "POST"},
        {"QUERY_STRING": "download"},
        {"PATH_INFO": "/calendars/acme/ics/nothing\0"},
        {"PATH_INFO": "/health/live"},
        {"HTTP_HOST": "evil.example"},
        {"HTTP_HOST": ""},
        {"HTTP_X_REQUEST_ID": "two words"},
    ],
)
def test_whatever_is_unusual_goes_the_common_way(token, etag, environ):
    assert ask(FeedsFirst(nobody), token, **{"HTTP_IF_NONE_MATCH": etag, **environ})[0] == "501 The common way"


@pytest.mark.parametrize("guesses", [0, 30], ids=["404", "429"])
def test_it_refuses_in_the_words_of_the_common_way(token, settings, guesses):
    settings.SECURE_HSTS_SECONDS = 60
    given = {"PATH_INFO": f"/calendars/acme/ics/{ICSToken.new_value()}", "wsgi.url_scheme": "https"}
    answers = []
    for application in (FeedsFirst(nobody), WSGIHandler()):
        guessing.forget()
        for _ in range(guesses):
            guessing.missed("192.0.2.1", now=NOW.timestamp())
        guessing.is_refused("192.0.2.1", "", now=NOW.timestamp())
        answers.append(ask_whole(application, token, **given))

    assert answers[0] == answers[1]
    assert answers[0][0] == ("429 Too Many Requests" if guesses else "404 Not Found")


@pytest.mark.parametrize("suffix", ["", ".ifb"])
def test_while_the_database_is_away_readers_are_told_to_come_back(token, etag, suffix):
    """A 404 would make programs drop the feed, and a 304 would tell them that nothing is new."""
    given = {"PATH_INFO": f"/calendars/acme/ics/{token.encrypted_token}{suffix}", "HTTP_IF_NONE_MATCH": etag}
    with patch("icsfeeds.statement.Statement.row", side_effect=OperationalError("refused")):
        short = ask_whole(FeedsFirst(WSGIHandler()), token, **given)
        common = ask_whole(WSGIHandler(), token, **given)

    assert short == common
    assert (short[0], short[1]["Retry-After"]) == ("503 Service Unavailable", "5")
    assert short[1]["Cache-Control"] == "private, no-store"
    assert "ETag" not in short[1]
    assert ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag)[0] == "304 Not Modified"


def test_what_is_to_be_redirected_to_https_is_not_answered_here(token, etag, settings):
    settings.SECURE_SSL_REDIRECT = True

    assert ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag)[0].startswith("501")


def test_a_change_is_seen_at_once_and_so_is_the_end_of_a_token(token, etag, alice):
    application = FeedsFirst(WSGIHandler())
    bump_revision(alice.pk, at=NOW)
    assert ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag)[0].startswith("501")
    assert ask(application, token, HTTP_IF_NONE_MATCH=etag)[0] == "304 Not Modified"
    services.change(token, label="Other")
    assert ask(application, token, HTTP_IF_NONE_MATCH=etag)[0] == "200 OK"
    services.revoke(token)
    assert ask(application, token, HTTP_IF_NONE_MATCH=etag)[0] == "404 Not Found"
    assert ask(application, token)[0] == "404 Not Found"


def test_a_prepared_feed_ends_at_the_instant_of_its_expiry(alice, client, clock):
    token = services.issue(alice, expires_at=NOW + timedelta(hours=1))
    application = FeedsFirst(WSGIHandler())
    etag = ask(application, token)[1]["ETag"]
    clock.move_to(NOW + timedelta(hours=1))

    assert ask(application, token)[0] == "404 Not Found"
    assert ask(application, token, HTTP_IF_NONE_MATCH=etag)[0] == "404 Not Found"


@pytest.mark.parametrize("value", ["right", "wrong"])
def test_on_either_way_a_token_is_looked_up_once(token, etag, value, django_assert_num_queries):
    path = f"/calendars/acme/ics/{token.encrypted_token if value == 'right' else ICSToken.new_value()}"
    with django_assert_num_queries(1):
        status, _ = ask(FeedsFirst(WSGIHandler()), token, HTTP_IF_NONE_MATCH='"another"', PATH_INFO=path)

    assert status == ("200 OK" if value == "right" else "404 Not Found")


def test_its_reads_are_counted(token, etag):
    ask(FeedsFirst(nobody), token, HTTP_IF_NONE_MATCH=etag, HTTP_USER_AGENT="Thunderbird")
    accesses.write()

    row = ICSToken.objects.get()
    assert (row.access_count, row.last_user_agent) == (2, "Thunderbird")
