"""`POST …/calendar_accounts` for vendors with OAuth: a link to follow, a code to exchange, or tokens to keep."""

from typing import Any

import pytest
from django.conf import LazySettings

from calendars.models import CalendarAccount
from calendars.providers import Throttled, Unreachable
from tenancy.models import CrmUser
from tests.calendars import vendor
from tests.calendars.people import alice, errors, mallory
from tests.calendars.vendor import World

pytestmark = pytest.mark.django_db

PATH = "/users/alice/calendar_accounts"
ACCOUNT = {"provider": "google", "email": "alice@acme.example"}
CODE = {**ACCOUNT, "code": "good-code", "redirect_uri": "https://app.example/callback"}


@pytest.fixture(autouse=True)
def world(settings: LazySettings) -> World:
    settings.CALENDAR_OAUTH = vendor.FAKE
    settings.CALENDAR_PROVIDERS = {"google": "tests.contracts.memory.MemoryProvider"}
    settings.OAUTH_RETURN_HOSTS = ["crm.example"]
    return vendor.start()


def posted(body: dict[str, Any]) -> Any:
    return alice().post(PATH, {"calendar_account": body})


def test_account_without_tokens_waits_and_carries_a_link_for_the_browser() -> None:
    response = posted(ACCOUNT)
    data = response.json()["data"]
    assert response.status_code == 201
    assert data["attributes"]["connected"] is False
    account = CalendarAccount.objects.get()
    assert data["links"] == {"authorize": f"https://service.example/start?account={account.pk}&return_to="}
    assert "links" not in data["attributes"]


def test_link_stands_in_the_other_media_type_too() -> None:
    response = alice().post(PATH, {"calendar_account": ACCOUNT}, headers={"Accept": "application/vnd.api+json"})
    assert response.json()["data"]["links"]["authorize"]


def test_link_is_not_shown_again_by_reading() -> None:
    data = posted(ACCOUNT).json()["data"]
    assert "links" not in alice().get(f"{PATH}/{data['id']}").json()["data"]
    assert "links" not in alice().get(PATH).json()["data"][0]


def test_creating_again_gives_the_same_account_another_link() -> None:
    first, second = posted(ACCOUNT).json()["data"], posted(ACCOUNT).json()["data"]
    assert first["id"] == second["id"]
    assert second["links"]["authorize"]


def test_vendor_that_nobody_registered_with_gives_no_link(settings: LazySettings) -> None:
    settings.CALENDAR_OAUTH = {}
    assert "links" not in posted(ACCOUNT).json()["data"]


def test_provider_without_a_backend_gives_no_link(settings: LazySettings) -> None:
    settings.CALENDAR_PROVIDERS = {}
    assert "links" not in posted(ACCOUNT).json()["data"]


def test_account_with_tokens_needs_no_link() -> None:
    data = posted({**ACCOUNT, "access_token": "a", "refresh_token": "r"}).json()["data"]
    assert data["attributes"]["connected"] is True
    assert "links" not in data


def test_return_address_on_an_allowed_host_is_kept() -> None:
    data = posted({**ACCOUNT, "return_to": "https://crm.example/settings"}).json()["data"]
    assert data["links"]["authorize"].endswith("return_to=https://crm.example/settings")


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "https://crm.example.evil.example/",
        "https://crm.example@evil.example/",
        "//evil.example/",
        "https:///evil.example/",
        "javascript:alert(1)//crm.example",
        "https://evil.example\\@crm.example/",
        "/relative",
        "crm.example",
        "https://[crm.example",
    ],
)
def test_return_address_elsewhere_is_refused(url: str) -> None:
    response = posted({**ACCOUNT, "return_to": url})
    assert errors(response) == [("422", "validation_error", "/data/attributes/return_to")]
    assert not CalendarAccount.objects.exists()


def test_return_address_must_be_https_where_the_service_is(settings: LazySettings) -> None:
    settings.SERVED_OVER_HTTPS = True
    assert posted({**ACCOUNT, "return_to": "http://crm.example/"}).status_code == 422
    assert posted({**ACCOUNT, "return_to": "https://crm.example/"}).status_code == 201


def test_code_is_exchanged_for_tokens_and_the_account_is_connected(world: World) -> None:
    response = posted({**CODE, "code_verifier": "v" * 43})
    assert response.status_code == 201
    assert response.json()["data"]["attributes"]["connected"] is True
    assert world.codes == [("good-code", "https://app.example/callback", "v" * 43)]
    account = CalendarAccount.objects.get()
    assert (account.credentials or {})["refresh_token"] == "refresh-0"
    assert account.token_expires_at is not None
    assert b"refresh-0" not in response.content
    assert b"access-0" not in response.content


def test_code_on_an_existing_account_connects_it_again_and_keeps_its_rows(world: World) -> None:
    posted(CODE)
    account = CalendarAccount.objects.get()
    CalendarAccount.objects.update(connected=False, last_error_code="reconnect_needed", last_error="Gone.")
    response = alice().put(f"{PATH}/{account.unique_id}", {"code": "good-code", "redirect_uri": CODE["redirect_uri"]})
    assert response.status_code == 200
    again = CalendarAccount.objects.get()
    assert (again.pk, again.connected, again.last_error) == (account.pk, True, "")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://app.example/callback/",
        "https://app.example/callback?x=1",
        "https://app.example/",
        "HTTPS://app.example/callback",
        "",
    ],
)
def test_redirect_address_must_be_exactly_a_registered_one(world: World, redirect_uri: str) -> None:
    response = posted({**CODE, "redirect_uri": redirect_uri or None})
    assert errors(response) == [("422", "validation_error", "/data/attributes/redirect_uri")]
    assert world.codes == []
    assert not CalendarAccount.objects.exists()


def test_spent_code_makes_no_account(world: World) -> None:
    response = posted({**CODE, "code": "spent"})
    assert errors(response) == [("422", "authorization_refused", "/data/attributes/code")]
    assert not CalendarAccount.objects.exists()
    assert not CrmUser.objects.filter(unique_id="alice").exists()


def test_unticked_scopes_make_no_account(world: World) -> None:
    world.scopes_missing = ("calendar.events",)
    assert errors(posted(CODE)) == [("422", "scopes_missing", "/data/attributes/code")]
    assert not CalendarAccount.objects.exists()


def test_another_account_than_the_named_one_is_not_connected(world: World) -> None:
    world.owner = "bob@acme.example"
    assert errors(posted(CODE)) == [("422", "wrong_account", "/data/attributes/email")]
    assert not CalendarAccount.objects.exists()


@pytest.mark.parametrize("failure", [Unreachable("No answer in time."), Throttled("Later (429).")])
def test_vendor_that_cannot_be_asked_is_503_and_makes_no_account(world: World, failure: Exception) -> None:
    world.failure = failure
    response = posted(CODE)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert not CalendarAccount.objects.exists()


def test_mallory_gets_no_link_for_alices_account() -> None:
    account = posted(ACCOUNT).json()["data"]
    assert mallory().post(PATH, {"calendar_account": ACCOUNT}).json()["data"]["id"] != account["id"]


def test_missing_refresh_token_leaves_the_old_one_in_place(world: World) -> None:
    posted(CODE)
    posted({**ACCOUNT, "access_token": "by-hand"})
    account = CalendarAccount.objects.get()
    assert (account.credentials or {})["access_token"] == "by-hand"
    assert (account.credentials or {})["refresh_token"] == "refresh-0"
