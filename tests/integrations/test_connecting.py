"""From the API's link over a simulated vendor's consent page and back, until the calendar is busy time here."""

import http.client
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from calendars.models import CalendarAccount
from calendars.services import accounts, farewells
from calendars.sync import engine
from tests.calendars.mirror import titles
from tests.calendars.people import alice
from tests.contracts.contract import ALICE
from tests.integrations.google import simulated_google
from tests.integrations.outlook import simulated_graph
from tests.simulators.google.events import timed
from tests.simulators.graph.signin import CLIENT_ID, CLIENT_SECRET

pytestmark = pytest.mark.django_db


def link(provider: str) -> str:
    body = {"calendar_account": {"provider": provider, "email": ALICE}}
    response = alice().post("/users/alice/calendar_accounts", body)
    url: str = response.json()["data"]["links"]["authorize"]
    return url.removeprefix("http://testserver")


def consented(start: str, form_path: str, **pressed: Any) -> Any:
    """Follow the link, press these buttons on the vendor's page, and come back: our answer."""
    target = urlsplit(Client().get(start)["Location"])
    connection = http.client.HTTPConnection(target.netloc)
    form = [*parse_qsl(target.query), *((key, one) for key, many in pressed.items() for one in many)]
    connection.request("POST", form_path, urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    answer.read()
    location = answer.headers["Location"]
    connection.close()
    return Client().get(location.removeprefix("http://testserver"))


def synced() -> CalendarAccount:
    account = CalendarAccount.objects.get()
    verdict = engine.sync_account(account.pk)
    assert verdict is not None
    assert verdict.succeeded, verdict
    return account


def test_google_account_is_connected_in_a_browser_and_its_grant_revoked_at_the_end(settings: Settings) -> None:
    with simulated_google(settings) as google:
        google.put(ALICE, "standup", timed("2026-03-20T09:00", summary="Standup"))
        asked = settings.OAUTH["google"]["scopes"]
        page = consented(link("google"), "/o/oauth2/v2/auth", answer=["allow"], email=[ALICE], granted=asked)
        assert page.status_code == 200, page.content
        account = synced()
        assert titles(account) == ["Standup"]
        google.oauth.expire_access_tokens()
        assert titles(synced_again(account)) == ["Standup"]
        accounts.disconnect(account, now=timezone.now())
        farewells.sweep(timezone.now())
        assert all(grant.revoked for grant in google.oauth.grants)


def synced_again(account: CalendarAccount) -> CalendarAccount:
    verdict = engine.sync_account(account.pk, due_at=timezone.now() + timedelta(seconds=1))
    assert verdict is not None
    assert verdict.succeeded, verdict
    return account


@pytest.mark.parametrize(
    "pressed", [{"answer": ["deny"]}, {"answer": ["allow"], "email": [ALICE], "granted": ["openid"]}]
)
def test_google_account_stays_as_it_was_without_consent(settings: Settings, pressed: dict[str, list[str]]) -> None:
    with simulated_google(settings):
        page = consented(link("google"), "/o/oauth2/v2/auth", **pressed)
        assert page.status_code == 400
        assert CalendarAccount.objects.get().credentials is None


def test_outlook_account_is_connected_in_a_browser_and_its_rotated_token_kept(settings: Settings) -> None:
    with simulated_graph(settings) as graph:
        settings.CALENDAR_PROVIDERS = {"outlook": "integrations.outlook.provider.OutlookProvider"}
        settings.OAUTH = {
            "outlook": {
                **settings.OAUTH["outlook"],
                "authorize_url": graph.sign_in.authorize_url,
                "token_url": graph.sign_in.token_url,
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
            }
        }
        graph.alice.put("work", "standup", "2026-03-20T09:00", subject="Standup")
        page = consented(link("outlook"), "/common/oauth2/v2.0/consent", email=[ALICE])
        assert page.status_code == 200, page.content
        account = synced()
        assert len(titles(account)) == 1
        graph.sign_in.expire_access_tokens()
        synced_again(account)
        stored = (CalendarAccount.objects.get().credentials or {})["refresh_token"]
        assert {stored} == graph.sign_in.live_refresh_tokens()
        assert graph.sign_in.refreshes == 1
