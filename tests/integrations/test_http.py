"""The way out: what is sent to whom, and how every failure is named."""

import gzip
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
import time_machine
from pytest_django import Settings

from calendars.providers import (
    AddressRefused,
    ProviderError,
    ReconnectNeeded,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from integrations.addresses import checked_url
from integrations.http import LONGEST_RETRY_AFTER, Session, TooLarge, basic, retry_after
from tests.proxy import Ask, Canned, Proxy

SECRET = "alice-secret"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def server(settings: Settings) -> Iterator[Proxy]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with Proxy() as running:
        yield running


def session(url: str, checkpoint: Callable[[], None] = lambda: None) -> Session:
    return Session(url, authorization=basic("alice", SECRET), checkpoint=checkpoint)


def ask(server: Proxy, canned: Canned | Callable[[Ask], Canned | None], **facts: Any) -> Any:
    server.answer = canned if callable(canned) else lambda ask: canned
    return session(server.url).request("PROPFIND", "/", headers={}, **facts)


def test_request_carries_credentials_and_says_who_asks(server: Proxy) -> None:
    reply = ask(server, Canned(207, b"body"), body=b"question")
    assert (reply.status, reply.body) == (207, b"body")
    (seen,) = server.asked
    assert seen.headers["Authorization"] == basic("alice", SECRET)
    assert seen.headers["User-Agent"].startswith("crm-calendar-sync/")
    assert seen.body == b"question"


def test_umlauts_of_a_password_are_utf_8() -> None:
    assert basic("alice", "pässword") == "Basic YWxpY2U6cMOkc3N3b3Jk"


def test_cookies_of_one_account_never_reach_another(server: Proxy) -> None:
    ask(server, Canned(207, headers={"Set-Cookie": "session=alice"}))
    ask(server, Canned(207))
    assert "Cookie" not in server.asked[1].headers


def test_proxies_of_the_environment_are_not_used(server: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1/")
    assert ask(server, Canned(207)).status == 207


def test_connection_is_used_again(server: Proxy) -> None:
    for _ in range(3):
        ask(server, Canned(207))
    assert len(server.connections) == 1


def test_checkpoint_comes_before_every_request_redirects_included(server: Proxy) -> None:
    asked_before: list[int] = []
    server.answer = lambda ask: Canned(301, headers={"Location": "/home/"}) if ask.path == "/" else Canned(207)
    session(server.url, lambda: asked_before.append(len(server.asked))).request("PROPFIND", "/", headers={})
    assert asked_before == [0, 1]


# Redirects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_within_the_site_keeps_method_body_and_credentials(server: Proxy, status: int) -> None:
    reply = ask(
        server,
        lambda ask: Canned(status, headers={"Location": "/home/"}) if ask.path == "/" else Canned(207),
        body=b"question",
    )
    assert str(reply.url) == f"{server.url}home/"
    second = server.asked[1]
    assert (second.method, second.body, second.headers["Authorization"]) == (
        "PROPFIND",
        b"question",
        basic("alice", SECRET),
    )


def test_redirect_to_another_site_is_not_followed_and_names_the_host_to_give_instead(server: Proxy) -> None:
    with Proxy() as stranger:
        with pytest.raises(UnexpectedAnswer, match=f"another site \\(127.0.0.1:{stranger.port}\\)"):
            ask(server, Canned(302, headers={"Location": stranger.url}))
        assert stranger.asked == []


def test_address_of_another_site_is_not_even_asked(server: Proxy) -> None:
    with Proxy() as stranger:
        with pytest.raises(UnexpectedAnswer):
            session(server.url).request("PROPFIND", stranger.url, headers={})
        assert stranger.asked == []


@pytest.mark.parametrize("location", ["//evil.example/", "http://169.254.169.254/", "file:///etc/passwd", "https://[/"])
def test_redirect_to_nowhere_good_is_refused(server: Proxy, location: str) -> None:
    with pytest.raises(UnexpectedAnswer):
        ask(server, Canned(302, headers={"Location": location}))
    assert len(server.asked) == 1


def test_redirects_end_after_five(server: Proxy) -> None:
    with pytest.raises(UnexpectedAnswer, match="without end"):
        ask(server, Canned(302, headers={"Location": "/"}))
    assert len(server.asked) == 6


# Addresses --------------------------------------------------------------------------------------------------------


def test_inner_address_is_refused_before_any_connection(server: Proxy, settings: Settings) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = []
    with pytest.raises(AddressRefused):
        ask(server, Canned(207))
    assert server.connections == set()


def test_host_that_is_not_allowed_any_more_does_not_stay_connected(server: Proxy, settings: Settings) -> None:
    ask(server, Canned(207))
    settings.OUTBOUND_ALLOWED_HOSTS = []
    with pytest.raises(AddressRefused):
        ask(server, Canned(207))
    assert len(server.asked) == 1


def test_name_that_changes_its_meaning_after_the_check_is_judged_where_it_connects(
    server: Proxy, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = []
    meanings = iter(["93.184.216.34", "127.0.0.1"])

    def rebind(host: str, port: int, *arguments: Any, **facts: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(meanings), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    url = checked_url(f"http://rebind.example:{server.port}/")
    with pytest.raises(AddressRefused):
        session(url).request("PROPFIND", "/", headers={})
    assert server.connections == set()


def test_connection_goes_to_the_judged_number_under_the_hosts_name(
    server: Proxy, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["dav.example"]
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *arguments: Any, **facts: Any) -> list[Any]:
        asked.append(host)
        return real("127.0.0.1", port, *arguments, **facts)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    server.answer = lambda ask: Canned(207)
    session(f"http://dav.example:{server.port}/").request("PROPFIND", "/", headers={})
    # The socket resolves what it is given once more: by then it is the number.
    assert asked[0] == "dav.example"
    assert set(asked[1:]) <= {"127.0.0.1"}
    assert server.asked[0].headers["Host"] == f"dav.example:{server.port}"


# Failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("canned", "error"),
    [
        pytest.param(Canned(401), ReconnectNeeded, id="401: the password is refused"),
        pytest.param(Canned(429), Throttled, id="429: come back later"),
        pytest.param(Canned(503, headers={"Retry-After": "5"}), Throttled, id="503 that says when: come back then"),
        pytest.param(Canned(503), Unreachable, id="503 that does not: the server is down"),
        pytest.param(Canned(500), Unreachable, id="500"),
        pytest.param(Canned(502, b"<html>"), Unreachable, id="502"),
        pytest.param(Canned(504), Unreachable, id="504"),
        pytest.param(Canned(207, b"half", promised=100), Unreachable, id="a body that is cut off"),
        pytest.param(
            Canned(207, gzip.compress(b"x" * 9000)[:-60] + b"\0" * 60, {"Content-Encoding": "gzip"}),
            Unreachable,
            id="a body that does not decompress",
        ),
    ],
)
def test_how_failures_are_named(server: Proxy, canned: Canned, error: type[ProviderError]) -> None:
    with pytest.raises(error) as raised:
        ask(server, canned)
    assert SECRET not in str(raised.value)
    assert raised.value.reason.endswith(".")


@pytest.mark.parametrize("status", [200, 207, 403, 404, 405, 409, 412, 507])
def test_what_protocols_have_a_meaning_for_is_handed_on(server: Proxy, status: int) -> None:
    assert ask(server, Canned(status)).status == status


def test_closed_port_is_unreachable(server: Proxy) -> None:
    url = server.url
    server.__exit__(None, None, None)
    with pytest.raises(Unreachable, match="cannot be reached"):
        session(url).request("PROPFIND", "/", headers={})


def test_body_that_trickles_ends_at_the_deadline(server: Proxy, settings: Settings) -> None:
    settings.OUTBOUND_DEADLINE_SECONDS = 0.2
    with pytest.raises(Unreachable, match="in time"):
        ask(server, Canned(207, b"<", trickle=True))


def test_body_beyond_the_cap_is_cut(server: Proxy) -> None:
    with pytest.raises(TooLarge):
        ask(server, Canned(207, b"x" * 5000), max_bytes=4096)


def test_gzip_bomb_is_cut_at_the_cap_after_decompression(server: Proxy) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    with pytest.raises(TooLarge):
        ask(server, Canned(207, bomb, {"Content-Encoding": "gzip"}), max_bytes=1_000_000)


def test_compressed_body_is_read(server: Proxy) -> None:
    assert ask(server, Canned(207, gzip.compress(b"text"), {"Content-Encoding": "gzip"})).body == b"text"


def test_server_that_hung_up_on_a_kept_connection_is_asked_once_more(server: Proxy) -> None:
    ask(server, Canned(207))
    server.hang_up()
    assert ask(server, Canned(207)).status == 207


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        pytest.param("120", timedelta(seconds=120), id="seconds"),
        pytest.param("Sun, 01 Mar 2026 12:05:00 GMT", timedelta(minutes=5), id="a date"),
        pytest.param("Sun, 01 Mar 2026 11:00:00 GMT", timedelta(seconds=1), id="a date that has passed"),
        pytest.param("0", timedelta(seconds=1), id="at least a second"),
        pytest.param("9" * 50, LONGEST_RETRY_AFTER, id="absurd seconds are clamped"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_RETRY_AFTER, id="so is an absurd date"),
        pytest.param("soon", None, id="no words"),
        pytest.param("-5", None, id="no negative seconds"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_how_retry_after_is_read(text: str, wait: timedelta | None) -> None:
    assert retry_after(httpx2.Headers({"Retry-After": text}), now=NOW) == wait


def test_throttled_says_how_long_to_wait(server: Proxy) -> None:
    with time_machine.travel(NOW, tick=False), pytest.raises(Throttled) as throttled:
        ask(server, Canned(503, headers={"Retry-After": "Sun, 01 Mar 2026 12:02:00 GMT"}))
    assert throttled.value.retry_after == timedelta(minutes=2)


# Bearer tokens ----------------------------------------------------------------------------------------------------


class Tokens:
    """Gives out "token-1" until it is refused, then "token-2", and so on."""

    def __init__(self) -> None:
        self.refused: list[str] = []

    def __call__(self, refused: str) -> str:
        if refused:
            self.refused.append(refused)
        return f"token-{len(self.refused) + 1}"


def bearer(server: Proxy, tokens: Tokens, accepted: str) -> Any:
    server.answer = lambda ask: Canned(200 if ask.headers["Authorization"] == f"Bearer {accepted}" else 401)
    return Session(server.url, authorization=tokens, checkpoint=lambda: None).request("GET", "/", headers={})


def test_valid_bearer_token_is_used_as_it_is(server: Proxy) -> None:
    tokens = Tokens()
    assert bearer(server, tokens, "token-1").status == 200
    assert (tokens.refused, len(server.asked)) == ([], 1)


def test_refused_bearer_token_is_replaced_and_the_question_repeated(server: Proxy) -> None:
    tokens = Tokens()
    assert bearer(server, tokens, "token-2").status == 200
    assert (tokens.refused, len(server.asked)) == (["token-1"], 2)


def test_second_refusal_asks_to_reconnect_without_a_third_try(server: Proxy) -> None:
    tokens = Tokens()
    with pytest.raises(ReconnectNeeded) as caught:
        bearer(server, tokens, "another")
    assert (tokens.refused, len(server.asked)) == (["token-1"], 2)
    assert "token" not in str(caught.value)


def test_post_is_never_sent_twice_by_itself(server: Proxy) -> None:
    server.answer = lambda ask: Canned(reset=True)
    with pytest.raises(Unreachable):
        session(server.url).request("POST", "/", body=b"once", headers={})
    assert len(server.asked) == 1


# JSON ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"items": [', id="cut off"),
        pytest.param(b"<!DOCTYPE html><title>Sign in</title>", id="a page for people"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"\xff\xfe\xfd", id="no text at all"),
        pytest.param(b'{"a":' + b"[" * 100_000, id="nested without end"),
    ],
)
def test_what_is_no_json_object_is_not_an_answer(server: Proxy, body: bytes) -> None:
    reply = ask(server, Canned(200, body))
    with pytest.raises(UnexpectedAnswer):
        reply.json()


def test_json_object_is_read(server: Proxy) -> None:
    assert ask(server, Canned(200, '{"name": "Zoë"}'.encode())).json() == {"name": "Zoë"}


def test_answer_with_a_text_that_was_cut_within_a_character_is_read(server: Proxy) -> None:
    assert ask(server, Canned(200, b'{"name": "cut \\ud83d", "other": 1}')).json() == {"name": "cut \ud83d", "other": 1}
