"""Signing in with the company's account: staff who exist come in, and nothing else does."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client

from tenancy.models import AuditEntry, Staff
from tests.admin.world import PASSWORD
from tests.proxy import Canned
from tests.simulators.openid import CLIENT_ID, CLIENT_SECRET, OpenIdProvider

pytestmark = [pytest.mark.django_db, pytest.mark.once]

START, CALLBACK = "/admin/oidc/start/", "/admin/oidc/callback/"
CAROL = {"sub": "c-1", "email": "Carol@acme.example", "email_verified": True, "preferred_username": "carol"}


@pytest.fixture
def provider(settings: LazySettings) -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as provider:
        provider.redirect_uris = {f"http://testserver{CALLBACK}"}
        settings.OIDC_ISSUER = provider.issuer
        settings.OIDC_RP_CLIENT_ID, settings.OIDC_RP_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
        settings.OIDC_OP_AUTHORIZATION_ENDPOINT = f"{provider.issuer}/authorize"
        settings.OIDC_OP_TOKEN_ENDPOINT = f"{provider.issuer}/token"
        settings.OIDC_OP_USER_ENDPOINT = f"{provider.issuer}/userinfo"
        settings.OIDC_OP_JWKS_ENDPOINT = f"{provider.issuer}/jwks"
        yield provider


@pytest.fixture
def carol() -> Staff:
    return Staff.objects.create_superuser("carol", "carol@acme.example", PASSWORD)


def sign_in(provider: OpenIdProvider, person: dict[str, Any] = CAROL, *, client: Client | None = None) -> Client:
    """The whole way, as a browser goes it."""
    client = client or Client()
    there = client.get(START)
    back = provider.sign_in(there["Location"], person)
    client.get(back.removeprefix("http://testserver"))
    return client


def is_in(client: Client) -> bool:
    # The smallest page that only staff see.
    return client.get("/admin/jsi18n/").status_code == 200


def test_member_of_staff_comes_in_by_a_verified_e_mail(provider: OpenIdProvider, carol: Staff) -> None:
    client = Client()
    assert "Sign in with your company" in client.get("/admin/login/?next=/admin/").content.decode()
    assert is_in(sign_in(provider, client=client))
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor, entry.address) == ("signed_in", "carol", "127.0.0.1")
    assert CLIENT_SECRET not in str(client.session.items())


def test_browser_is_led_where_it_wanted_to_go_on_this_site_only(provider: OpenIdProvider, carol: Staff) -> None:
    for wanted, led in (("/admin/tenancy/company/", "/admin/tenancy/company/"), ("https://evil.example/", "/admin/")):
        client = Client()
        back = provider.sign_in(client.get(START, {"next": wanted})["Location"], CAROL)
        assert client.get(back.removeprefix("http://testserver"))["Location"] == led


@pytest.mark.parametrize(
    ("person", "because"),
    [
        ({**CAROL, "email_verified": False}, "the provider has not verified the e-mail"),
        ({**CAROL, "email_verified": "true"}, "a text is not a yes"),
        ({"sub": "c-1"}, "there is no e-mail"),
        ({**CAROL, "email": "mallory@acme.example"}, "nobody of that e-mail is staff"),
    ],
)
def test_who_is_no_member_of_staff_stays_outside(
    provider: OpenIdProvider, carol: Staff, person: dict[str, Any], because: str
) -> None:
    client = sign_in(provider, person)
    assert not is_in(client), because
    assert Staff.objects.count() == 1, "nobody is made"


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_staff_who_left_stay_outside(provider: OpenIdProvider, carol: Staff, change: dict[str, bool]) -> None:
    signed_in = sign_in(provider)
    assert is_in(signed_in)
    Staff.objects.update(**change)
    assert not is_in(signed_in), "a session that is open ends too"
    assert not is_in(sign_in(provider))


def test_two_of_one_e_mail_are_nobody(provider: OpenIdProvider, carol: Staff) -> None:
    Staff.objects.create_superuser("carol2", "CAROL@acme.example", PASSWORD)
    assert not is_in(sign_in(provider))


def test_another_claim_names_the_user(provider: OpenIdProvider, carol: Staff, settings: LazySettings) -> None:
    settings.OIDC_CLAIM = "preferred_username"
    assert is_in(sign_in(provider, {"sub": "c-1", "preferred_username": "carol"}))
    assert not is_in(sign_in(provider, {"sub": "c-1", "preferred_username": "Carol"}))
    assert not is_in(sign_in(provider, CAROL | {"preferred_username": ""}))


def test_provider_without_userinfo_says_it_in_the_token(
    provider: OpenIdProvider, carol: Staff, settings: LazySettings
) -> None:
    settings.OIDC_OP_USER_ENDPOINT = ""
    provider.claims = {"email": "carol@acme.example", "email_verified": True}
    assert is_in(sign_in(provider))
    assert provider.asked_for("/userinfo") == []


@pytest.mark.parametrize(
    ("claims", "because"),
    [
        ({"iss": "https://evil.example"}, "of another issuer"),
        ({"aud": "another-client"}, "for another client"),
        ({"aud": [CLIENT_ID, "another"], "azp": "another"}, "made for another client"),
        ({"exp": 1}, "expired"),
        ({"exp": None}, "good for ever"),
        ({"nonce": "another"}, "of another sign-in"),
        ({"nonce": None}, "of no sign-in"),
        ({"sub": "somebody-else"}, "userinfo speaks of another"),
    ],
)
def test_token_that_is_not_for_this_sign_in_is_refused(
    provider: OpenIdProvider, carol: Staff, claims: dict[str, Any], because: str
) -> None:
    provider.claims = claims
    assert not is_in(sign_in(provider)), because


def test_token_of_an_unpublished_key_is_refused(provider: OpenIdProvider, carol: Staff) -> None:
    provider.signed_by = "somebody else's"
    assert not is_in(sign_in(provider))


def test_answer_to_nobodys_question_is_refused(provider: OpenIdProvider, carol: Staff) -> None:
    attacker, victim = Client(), Client()
    back = provider.sign_in(attacker.get(START)["Location"], CAROL).removeprefix("http://testserver")
    victim.get(back)
    victim.get(START)
    victim.get(back)
    assert not is_in(victim), "a state that was given to another browser"
    attacker.get(back)
    assert is_in(attacker)


def test_code_is_good_once(provider: OpenIdProvider, carol: Staff) -> None:
    client = Client()
    back = provider.sign_in(client.get(START)["Location"], CAROL).removeprefix("http://testserver")
    client.get(back)
    client.post("/admin/logout/")
    client.get(back)
    assert not is_in(client)


def test_code_in_the_address_of_the_sign_in_form_is_not_looked_at(provider: OpenIdProvider, carol: Staff) -> None:
    Client().post("/admin/login/?code=x&state=y", {"username": "carol", "password": "wrong"})
    assert provider.asked == []


@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
def test_provider_that_fails_leads_back_with_a_sentence(provider: OpenIdProvider, carol: Staff, path: str) -> None:
    provider.fail(Canned(503, b"secret-canary"), path=path)
    client = Client()
    back = provider.sign_in(client.get(START)["Location"], CAROL)
    page = client.get(back.removeprefix("http://testserver"), follow=True)
    assert page.redirect_chain == [("/admin/login/", 302)]
    assert "That sign-in did not work." in page.content.decode()
    assert "canary" not in page.content.decode()


def test_person_who_does_not_agree_is_led_back(provider: OpenIdProvider, carol: Staff) -> None:
    client = Client()
    state = parse_qs(urlsplit(client.get(START)["Location"]).query)["state"][0]
    page = client.get(CALLBACK, {"error": "access_denied", "state": state}, follow=True)
    assert page.redirect_chain == [("/admin/login/", 302)]


def test_it_is_off_until_it_is_set_up() -> None:
    client = Client()
    assert client.get(START).status_code == client.get(CALLBACK, {"code": "x", "state": "y"}).status_code == 404
    assert "Sign in with your company" not in client.get("/admin/login/").content.decode()


def test_half_a_set_up_is_told(settings: LazySettings) -> None:
    settings.OIDC_ISSUER = "https://id.example"
    with pytest.raises(SystemCheckError, match="OIDC_CLIENT_ID, OIDC_CLIENT_SECRET, OIDC_AUTHORIZE_URL"):
        call_command("check")
