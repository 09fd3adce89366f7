"""The way of a browser to a vendor and back: what it sees, and what is stored only when all is well."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from calendars.models import CalendarAccount, SyncRun
from integrations.models import OAuthState
from integrations.oauth.client import challenge
from tenancy.models import Company, CrmUser
from tests.cast import client_for
from tests.proxy import Ask, Canned, Proxy
from tests.together import at_once

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALENDARS = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
EVENTS = "https://www.googleapis.com/auth/calendar.events.readonly"


class Google:
    """A token endpoint and a list of calendars. codes: those that are good once. checked: PKCE matched."""

    def __init__(self) -> None:
        self.codes = {"good-code"}
        self.challenge = ""
        self.owner = "alice@acme.example"
        self.scope = f"{CALENDARS} {EVENTS}"
        self.refresh_token: str | None = "canary-refresh"
        self.status = 200

    def answer(self, ask: Ask) -> Canned:
        if ask.path.startswith("/users/me/calendarList"):
            return _json({"items": [{"id": self.owner, "primary": True}]})
        form = {name: values[0] for name, values in parse_qs(ask.body.decode()).items()}
        good = form["code"] in self.codes and challenge(form.get("code_verifier", "")) == self.challenge
        self.codes.discard(form["code"])
        if self.status != 200:
            return _json({"error": "canary-error"}, self.status)
        if not good or form["redirect_uri"] != "http://testserver/oauth/google/callback":
            return _json({"error": "invalid_grant"}, 400)
        tokens = {"access_token": "canary-access", "expires_in": 3600, "scope": self.scope, "token_type": "Bearer"}
        return _json({**tokens, **({"refresh_token": self.refresh_token} if self.refresh_token else {})})


def _json(body: Any, status: int = 200) -> Canned:
    return Canned(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def google(settings: Settings) -> Iterator[Google]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    settings.CALENDAR_PROVIDERS = {"google": "tests.contracts.memory.MemoryProvider"}
    settings.OAUTH_RETURN_HOSTS = ["crm.example"]
    vendor = Google()
    with Proxy() as server:
        server.answer = vendor.answer
        settings.GOOGLE_API_URL = server.url.rstrip("/")
        settings.OAUTH = {
            name: {
                **settings.OAUTH[name],
                "client_id": "our-id",
                "client_secret": "canary-secret",
                "token_url": f"{server.url}token",
                "authorize_url": "https://vendor.example/authorize",
            }
            for name in settings.OAUTH
        }
        yield vendor


def link(*, return_to: str = "", email: str = "alice@acme.example") -> str:
    """What the API answers to alice: an address of ours."""
    company, _ = Company.objects.get_or_create(url_id="acme")
    user, _ = CrmUser.objects.get_or_create(company=company, unique_id="alice")
    body = {"provider": "google", "email": email, **({"return_to": return_to} if return_to else {})}
    answer = client_for(company, user).post("/users/alice/calendar_accounts", {"calendar_account": body})
    url: str = answer.json()["data"]["links"]["authorize"]
    assert url.startswith("http://testserver/oauth/google/start?state=")
    return url.removeprefix("http://testserver")


def sent_to_vendor(google: Google, url: str) -> dict[str, str]:
    """The query with which the browser arrives at the vendor."""
    response = Client().get(url)
    assert response.status_code == 302
    assert response["Location"].startswith("https://vendor.example/authorize?")
    query = {name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()}
    google.challenge = query["code_challenge"]
    return query


def back(state: str, *, provider: str = "google", **query: str) -> Any:
    return Client().get(f"/oauth/{provider}/callback", {"state": state, **query})


def state_of(google: Google, **facts: str) -> str:
    return sent_to_vendor(google, link(**facts))["state"]


def assert_nothing_stored() -> None:
    account = CalendarAccount.objects.get()
    assert (account.connected, account.credentials) == (False, None)


def test_browser_that_consents_connects_the_account_and_its_first_sync_is_asked_for(google: Google) -> None:
    response = back(state_of(google), code="good-code")
    assert response.status_code == 200
    assert "alice@acme.example is connected" in response.content.decode()
    account = CalendarAccount.objects.get()
    assert account.connected
    assert (account.credentials or {})["refresh_token"] == "canary-refresh"
    assert SyncRun.objects.filter(user=account.user).count() == 1


def test_browser_is_sent_with_pkce_and_the_accounts_address(google: Google) -> None:
    query = sent_to_vendor(google, link())
    assert (query["login_hint"], query["code_challenge_method"]) == ("alice@acme.example", "S256")
    assert query["redirect_uri"] == "http://testserver/oauth/google/callback"


def test_browser_goes_back_to_an_allowed_address_with_the_accounts_id(google: Google) -> None:
    response = back(state_of(google, return_to="https://crm.example/settings?tab=1#x"), code="good-code")
    account = CalendarAccount.objects.get()
    assert response.status_code == 302
    assert response["Location"] == f"https://crm.example/settings?tab=1&connected={account.unique_id}#x"


def test_return_address_that_is_not_allowed_any_more_is_a_page(google: Google, settings: Settings) -> None:
    state = state_of(google, return_to="https://crm.example/settings")
    settings.OAUTH_RETURN_HOSTS = []
    response = back(state, code="good-code")
    assert response.status_code == 200


@pytest.mark.parametrize("error", ["access_denied", "server_error", "<script>alert(1)</script>"])
def test_denied_access_stores_nothing_and_shows_no_word_of_the_address(google: Google, error: str) -> None:
    response = back(state_of(google), error=error, error_description="<b>canary</b>")
    assert response.status_code == 400
    text = response.content.decode()
    assert "Nothing was changed." in text
    assert error not in text
    assert "alert" not in text
    assert "canary" not in text
    assert_nothing_stored()


def test_unticked_scopes_store_nothing(google: Google) -> None:
    google.scope = CALENDARS
    response = back(state_of(google), code="good-code")
    assert response.status_code == 400
    assert "Not every box was ticked" in response.content.decode()
    assert_nothing_stored()


def test_wrong_account_stores_nothing(google: Google) -> None:
    google.owner = "mallory@globex.example"
    response = back(state_of(google), code="good-code")
    assert response.status_code == 400
    assert "You signed in with another account than the one you named" in response.content.decode()
    assert_nothing_stored()


def test_access_for_an_hour_only_stores_nothing(google: Google) -> None:
    google.refresh_token = None
    assert back(state_of(google), code="good-code").status_code == 400
    assert_nothing_stored()


def test_code_of_somebody_else_stores_nothing(google: Google) -> None:
    google.codes.add("mallorys-code")
    state = state_of(google)
    google.challenge = challenge("mallorys-own-verifier-" + "x" * 30)
    assert back(state, code="mallorys-code").status_code == 502
    assert_nothing_stored()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_vendor_in_trouble_stores_nothing_and_says_so(google: Google, status: int) -> None:
    google.status = status
    response = back(state_of(google), code="good-code")
    assert response.status_code == 502
    assert "canary" not in response.content.decode()
    assert_nothing_stored()


def test_answer_without_a_code_stores_nothing(google: Google) -> None:
    assert back(state_of(google)).status_code == 400
    assert_nothing_stored()


# States --------------------------------------------------------------------------------------------------------------


def test_state_is_good_for_one_return(google: Google) -> None:
    state = state_of(google)
    assert back(state, code="good-code").status_code == 200
    google.codes.add("second-code")
    response = back(state, code="second-code")
    assert response.status_code == 400
    assert "has been used already" in response.content.decode()
    assert "second-code" in google.codes


def test_failed_return_spends_the_state_too(google: Google) -> None:
    state = state_of(google)
    assert back(state, error="access_denied").status_code == 400
    assert "has been used already" in back(state, code="good-code").content.decode()
    assert_nothing_stored()


def test_used_link_does_not_start_again(google: Google) -> None:
    url = link()
    back(sent_to_vendor(google, url)["state"], code="good-code")
    assert Client().get(url).status_code == 400


def test_state_expires_after_half_an_hour(google: Google) -> None:
    with time_machine.travel(NOW, tick=False):
        url = link()
        state = sent_to_vendor(google, url)["state"]
    with time_machine.travel(NOW + timedelta(minutes=30), tick=False):
        response = back(state, code="good-code")
        assert Client().get(url).status_code == 400
    assert response.status_code == 400
    assert "has expired" in response.content.decode()
    assert_nothing_stored()


@pytest.mark.parametrize("state", ["", "unknown", "x" * 5000, "\udcff", "ü"])
def test_unknown_state_is_refused(google: Google, state: str) -> None:
    link()
    query = urlencode({"state": state, "code": "good-code"}, errors="replace")
    response = Client().get(f"/oauth/google/callback?{query}")
    assert response.status_code == 400
    assert "good-code" in google.codes


def test_missing_state_is_refused(google: Google) -> None:
    assert Client().get("/oauth/google/callback?code=good-code").status_code == 400
    assert "good-code" in google.codes


def test_state_of_one_vendor_is_unknown_at_the_others_door(google: Google) -> None:
    state = state_of(google)
    assert back(state, provider="outlook", code="good-code").status_code == 400
    assert "good-code" in google.codes
    assert back(state, code="good-code").status_code == 200


def test_state_dies_with_its_account(google: Google) -> None:
    state = state_of(google)
    CalendarAccount.objects.all().delete()
    assert back(state, code="good-code").status_code == 400
    assert not OAuthState.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_returns_at_once_spend_one_code(google: Google) -> None:
    google.codes = {"good-code", "other-code"}
    state = state_of(google)
    found = at_once([lambda code=code: back(state, code=code).status_code for code in sorted(google.codes)])
    assert sorted(found) == [200, 400]
    assert len(google.codes) == 1


def test_state_and_verifier_are_not_readable_in_the_database(google: Google) -> None:
    state = state_of(google)
    row = OAuthState.objects.get()
    stored = str(list(OAuthState.objects.extra(select={"text": "verifier"}).values_list("text", "digest")))
    assert state not in stored
    assert row.verifier not in stored
    assert challenge(row.verifier) == google.challenge


def test_old_states_are_cleared_out(google: Google) -> None:
    with time_machine.travel(NOW, tick=False):
        link()
    with time_machine.travel(NOW + timedelta(days=2), tick=False):
        link()
    assert OAuthState.objects.count() == 1


# Pages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/oauth/google/start?state=x", "/oauth/google/callback?state=x", "/oauth/nobody/start"]
)
def test_pages_are_kept_by_nobody_and_tell_nobody(google: Google, path: str) -> None:
    response = Client().get(path)
    assert response.status_code in {400, 404}
    assert response["Content-Type"].startswith("text/html")
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] == "no-referrer"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
    assert response["X-Frame-Options"] == "DENY"


def test_redirects_are_kept_by_nobody_and_tell_nobody(google: Google) -> None:
    response = Client().get(link())
    assert (response["Cache-Control"], response["Referrer-Policy"]) == ("no-store", "no-referrer")


def test_vendor_that_nobody_registered_with_has_no_door(google: Google, settings: Settings) -> None:
    settings.OAUTH = {**settings.OAUTH, "google": {**settings.OAUTH["google"], "client_id": ""}}
    assert Client().get("/oauth/google/callback?state=x&code=y").status_code == 404


def test_pages_only_answer_to_get(google: Google) -> None:
    assert Client().post("/oauth/google/callback").status_code == 405


def test_no_secret_is_logged(
    google: Google,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A handler that another test left behind complains of its closed stream by showing our own source.
    monkeypatch.setattr(logging, "raiseExceptions", False)
    state = state_of(google)
    back(state, code="good-code")
    google.codes = {"good-code"}
    google.status = 500
    other = state_of(google)
    back(other, code="good-code")
    written = caplog.text + capsys.readouterr().err
    for secret in (state, other, "canary", "good-code"):
        assert secret not in written
