"""What the vendors' token endpoints are asked, and what each of their answers means."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from pytest_django import Settings

from calendars.oauth import AuthorizationRefused, Tokens, oauth_vendor
from calendars.providers import Misconfigured, ProviderError, ReconnectNeeded, Throttled, UnexpectedAnswer, Unreachable
from integrations.oauth.client import Vendor, challenge, same_mailbox
from integrations.oauth.google import Google
from integrations.oauth.microsoft import Microsoft
from tests.proxy import Canned, Proxy

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD = {"access_token": "old", "refresh_token": "canary-refresh", "scopes": ["x"]}
GIVEN = {"access_token": "new", "expires_in": 3599, "token_type": "Bearer", "scope": "one two"}


@pytest.fixture
def server(settings: Settings) -> Iterator[Proxy]:
    """Both vendors at once, without answers."""
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.PUBLIC_URL = "https://calendar.example"
    with Proxy() as running:
        common = {"client_id": "our-id", "client_secret": "canary-secret"}
        settings.OAUTH = {
            name: {
                **settings.OAUTH[name],
                **common,
                "authorize_url": f"{running.url}authorize",
                "token_url": f"{running.url}token",
                "revoke_url": f"{running.url}revoke" if name == "google" else "",
            }
            for name in ("google", "outlook")
        }
        settings.GOOGLE_API_URL = settings.OUTLOOK_API_URL = running.url.rstrip("/")
        yield running


def answers(server: Proxy, body: Any, status: int = 200, **headers: str) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    server.answer = lambda ask: Canned(status, content, {"Content-Type": "application/json", **headers})


def form(server: Proxy) -> dict[str, str]:
    (ask,) = server.asked
    return {name: values[0] for name, values in parse_qs(ask.body.decode()).items()}


@pytest.mark.parametrize(("name", "expected"), [("google", Google), ("outlook", Microsoft)])
def test_settings_name_the_vendors(name: str, expected: type[Vendor]) -> None:
    assert isinstance(oauth_vendor(name), expected)


def test_vendor_without_client_id_and_secret_is_not_configured() -> None:
    assert not Google().is_configured


@time_machine.travel(NOW, tick=False)
def test_refresh_sends_the_refresh_token_in_the_body_and_reads_the_answer(server: Proxy) -> None:
    answers(server, GIVEN)
    tokens = Google().refreshed(OLD)
    assert form(server) == {
        "grant_type": "refresh_token",
        "refresh_token": "canary-refresh",
        "client_id": "our-id",
        "client_secret": "canary-secret",
    }
    assert (tokens.access_token, tokens.refresh_token, tokens.scopes) == ("new", "", ("one", "two"))
    assert tokens.expires_at == NOW + timedelta(seconds=3599)


def test_rotated_refresh_token_is_read(server: Proxy) -> None:
    answers(server, {**GIVEN, "refresh_token": "rotated"})
    assert Microsoft().refreshed(OLD).refresh_token == "rotated"


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize(
    ("seconds", "expires_in"),
    [
        pytest.param("3600", 3600, id="text is a number too"),
        pytest.param(-5, 0, id="a negative one has expired"),
        pytest.param(10**12, 366 * 86400, id="more than a year is a year"),
        pytest.param("soon", None, id="nonsense is unknown"),
        pytest.param(None, None, id="none is unknown"),
    ],
)
def test_lifetime_of_a_token(server: Proxy, seconds: Any, expires_in: int | None) -> None:
    answers(server, {**GIVEN, "expires_in": seconds})
    expected = None if expires_in is None else NOW + timedelta(seconds=expires_in)
    assert Google().refreshed(OLD).expires_at == expected


def test_google_says_why_a_refusal_may_come_after_a_week(server: Proxy) -> None:
    answers(server, {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)
    with pytest.raises(ReconnectNeeded) as caught:
        Google().refreshed(OLD)
    assert '"Testing", where access ends after 7 days' in caught.value.reason


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (700082, "not used for too long"),
        (70008, "not used for too long"),
        (50173, "password was changed"),
        (50076, "another proof of identity"),
        (99999, "revoked"),
    ],
)
def test_microsoft_names_the_reason_and_its_code(server: Proxy, code: int, says: str) -> None:
    said = {"error": "invalid_grant", "error_description": f"AADSTS{code}: Something.", "error_codes": [code]}
    answers(server, said, 400)
    with pytest.raises(ReconnectNeeded) as caught:
        Microsoft().refreshed(OLD)
    assert says in caught.value.reason
    assert f"AADSTS{code}" in caught.value.reason


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(429, {}, Throttled, id="too many requests"),
        pytest.param(500, {"error": "invalid_grant"}, Unreachable, id="a fault of theirs, whatever it says"),
        pytest.param(503, b"<html>", Unreachable, id="a page of a proxy"),
        pytest.param(400, b"<html>", UnexpectedAnswer, id="400 without a word about the token"),
        pytest.param(400, {"error": "temporarily_unavailable"}, Unreachable, id="their own word for later"),
        pytest.param(400, {"error": ["invalid_grant"]}, UnexpectedAnswer, id="nonsense that looks like a refusal"),
        pytest.param(403, {"error": "rate_limit"}, UnexpectedAnswer, id="403 says nothing of the token"),
        pytest.param(404, {}, UnexpectedAnswer, id="wrong address"),
        pytest.param(200, b"not json", UnexpectedAnswer, id="200 without JSON"),
        pytest.param(200, {"token_type": "Bearer"}, UnexpectedAnswer, id="200 without a token"),
        pytest.param(401, {"error": "invalid_client"}, Misconfigured, id="our secret is wrong"),
        pytest.param(400, {"error": "unauthorized_client"}, Misconfigured, id="our registration is wrong"),
    ],
)
@pytest.mark.parametrize("vendor", [Google, Microsoft])
def test_nothing_but_the_vendors_word_makes_the_user_connect_again(
    server: Proxy, vendor: type[Vendor], status: int, body: Any, expected: type[ProviderError]
) -> None:
    answers(server, body, status)
    with pytest.raises(ProviderError) as caught:
        vendor().refreshed(OLD)
    assert isinstance(caught.value, expected)
    assert not isinstance(caught.value, ReconnectNeeded)


def test_throttled_token_endpoint_says_for_how_long(server: Proxy) -> None:
    answers(server, {}, 429, **{"Retry-After": "120"})
    with pytest.raises(Throttled) as caught:
        Google().refreshed(OLD)
    assert caught.value.retry_after == timedelta(seconds=120)


def test_broken_connection_is_not_tried_twice_with_the_same_refresh_token(server: Proxy) -> None:
    server.answer = lambda ask: Canned(200, b'{"access', promised=500)
    with pytest.raises(Unreachable):
        Microsoft().refreshed(OLD)
    assert len(server.asked) == 1


def test_code_is_exchanged_with_its_verifier_and_exact_redirect_uri(server: Proxy) -> None:
    answers(server, {**GIVEN, "refresh_token": "first"})
    tokens = Google().exchanged("4/code", redirect_uri="https://app.example/cb?x=1", verifier="v" * 43)
    sent = form(server)
    assert (sent["code"], sent["redirect_uri"]) == ("4/code", "https://app.example/cb?x=1")
    assert (sent["grant_type"], sent["code_verifier"]) == ("authorization_code", "v" * 43)
    assert tokens.refresh_token == "first"


def test_spent_code_is_refused_in_words(server: Proxy) -> None:
    answers(server, {"error": "invalid_grant"}, 400)
    with pytest.raises(AuthorizationRefused):
        Microsoft().exchanged("code", redirect_uri="https://app.example/cb", verifier="")


def test_challenge_is_the_one_of_the_rfc() -> None:
    # RFC 7636, appendix B.
    assert challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_google_is_asked_for_offline_access_and_least_scopes(server: Proxy) -> None:
    url = urlsplit(Google().authorize_url(state="s", verifier="v" * 43, login_hint="alice@acme.example"))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query == {
        "response_type": "code",
        "client_id": "our-id",
        "redirect_uri": "https://calendar.example/oauth/google/callback",
        "scope": "https://www.googleapis.com/auth/calendar.calendarlist.readonly "
        "https://www.googleapis.com/auth/calendar.events.readonly",
        "state": "s",
        "code_challenge": challenge("v" * 43),
        "code_challenge_method": "S256",
        "login_hint": "alice@acme.example",
        "access_type": "offline",
        "prompt": "consent",
        "include_granted_scopes": "true",
    }


def test_microsoft_is_asked_for_offline_access_and_least_scopes(server: Proxy) -> None:
    url = urlsplit(Microsoft().authorize_url(state="s", verifier="v" * 43, login_hint="alice@acme.example"))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert query["scope"] == "offline_access User.Read Calendars.Read"
    assert query["redirect_uri"] == "https://calendar.example/oauth/outlook/callback"
    assert query["code_challenge_method"] == "S256"


@pytest.mark.parametrize(
    ("vendor", "granted", "missing"),
    [
        pytest.param(Google, "", 0, id="no scope in the answer is all of them"),
        pytest.param(Google, "https://www.googleapis.com/auth/calendar.events.readonly", 1, id="one box unticked"),
        pytest.param(Google, "openid", 2, id="all boxes unticked"),
        pytest.param(Microsoft, "User.Read Calendars.Read", 0, id="offline_access is never named"),
        pytest.param(Microsoft, "https://graph.microsoft.com/calendars.read openid", 0, id="prefixed, in lower case"),
        pytest.param(Microsoft, "User.Read", 1, id="no calendars"),
    ],
)
def test_scopes_that_are_missing(vendor: type[Vendor], granted: str, missing: int) -> None:
    assert len(vendor().missing_scopes(Tokens(scopes=tuple(granted.split())))) == missing


def test_google_account_is_known_by_its_primary_calendar_on_whatever_page(server: Proxy) -> None:
    pages = {
        "": {"items": [{"id": "team@group.calendar.google.com"}], "nextPageToken": "2 &"},
        "2 &": {"items": [{"id": "Alice@acme.example", "primary": True}]},
    }

    def answer(ask: Any) -> Canned:
        token = parse_qs(urlsplit(ask.path).query).get("pageToken", [""])[0]
        return Canned(200, json.dumps(pages[token]).encode())

    server.answer = answer
    tokens = Tokens(access_token="canary-access")
    assert Google().belong_to(tokens, "alice@acme.example")
    assert server.asked[0].headers["Authorization"] == "Bearer canary-access"
    assert not Google().belong_to(tokens, "bob@acme.example")


def test_account_without_a_primary_calendar_is_nobodys(server: Proxy) -> None:
    answers(server, {})
    assert not Google().belong_to(Tokens(access_token="t"), "alice@acme.example")


@pytest.mark.parametrize("email", ["alice@acme.example", "ALICE@tenant.onmicrosoft.example"])
def test_microsoft_account_is_known_by_mail_and_by_sign_in_name(server: Proxy, email: str) -> None:
    answers(server, {"mail": "Alice@Acme.example", "userPrincipalName": "alice@tenant.onmicrosoft.example"})
    assert Microsoft().belong_to(Tokens(access_token="t"), email)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Alice@Acme.example", "alice@acme.example", True),
        ("al.ice@gmail.com", "alice@googlemail.com", True),
        ("al.ice@acme.example", "alice@acme.example", False),
        ("alice@acme.example", "alice@globex.example", False),
        ("", "", True),
    ],
)
def test_spellings_of_one_mailbox(one: str, other: str, same: bool) -> None:
    assert (same_mailbox(one) == same_mailbox(other)) is same


def test_grant_is_revoked_by_its_refresh_token(server: Proxy) -> None:
    answers(server, {})
    Google().revoke(OLD)
    assert form(server) == {"token": "canary-refresh"}


def test_microsoft_knows_no_revocation(server: Proxy) -> None:
    Microsoft().revoke(OLD)
    assert server.asked == []


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
def test_no_secret_stands_in_a_failure(server: Proxy, status: int) -> None:
    answers(server, {"error": "invalid_grant", "error_description": "canary-refresh canary-secret"}, status)
    with pytest.raises(ProviderError) as caught:
        Google().refreshed(OLD)
    assert "canary" not in f"{caught.value} {caught.value.reason} {Google().registration!r}"
