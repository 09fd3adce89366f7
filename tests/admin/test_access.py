"""Companies, keys, users, staff, feed tokens and Cal.com's secrets."""

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from icsfeeds.models import ICSToken
from integrations.models import CalcomSecret
from tenancy.models import API_KEY_PREFIX, ApiKey, Company, CrmUser, Staff
from tests.admin.world import (
    SECRETS,
    act,
    administrator,
    company,
    fill,
    list_of,
    operator,
    page_of,
)

pytestmark = pytest.mark.django_db

NEW_STAFF = {"username": "carol", "password1": "long-enough-4711", "password2": "long-enough-4711"}


@pytest.fixture
def client(db: None) -> Client:
    return operator()


def issued(client: Client) -> Any:
    return client.post(list_of(ApiKey) + "add/", {"company": str(company("acme").pk), "label": "CRM"}, follow=True)


def test_new_key_is_shown_once_and_only_its_digest_is_stored(client: Client) -> None:
    response = issued(client)
    (key,) = set(re.findall(API_KEY_PREFIX + "[0-9a-f]+", response.content.decode()))
    row = ApiKey.objects.get()
    assert row.digest == ApiKey.digest_of(key)
    assert (row.company, row.label, row.active) == (company("acme"), "CRM", True)
    assert "no-store" in response["Cache-Control"]
    for path in (list_of(ApiKey), page_of(row), page_of(row, "history"), "/admin/"):
        assert key not in client.get(path).content.decode()
    stored = [*response.cookies.values(), *(str(session.get_decoded()) for session in Session.objects.all())]
    assert not [text for text in stored if key in str(text)], "neither a cookie nor the session keeps it"


def test_deactivated_key_stays_listed(client: Client) -> None:
    issued(client)
    key = ApiKey.objects.get()
    act(client, "deactivate", key)
    key.refresh_from_db()
    assert key.active is False
    act(client, "activate", key)
    key.refresh_from_db()
    assert key.active is True


def test_key_stays_with_its_company(client: Client) -> None:
    issued(client)
    key = ApiKey.objects.get()
    client.post(page_of(key), {"company": str(company("globex").pk), "label": "renamed", "active": "on"})
    key.refresh_from_db()
    assert (key.company, key.label) == (company("acme"), "renamed")


def test_secret_is_stored_encrypted_and_never_rendered_back(client: Client) -> None:
    values = {"company": str(company("acme").pk), "secret": SECRETS["Cal.com secret"]}
    refused = client.post(list_of(CalcomSecret) + "add/", {**values, "company": "999"})
    assert refused.status_code == 200
    assert SECRETS["Cal.com secret"] not in refused.content.decode()
    response = client.post(list_of(CalcomSecret) + "add/", values, follow=True)
    secret = CalcomSecret.objects.get()
    assert secret.secret == SECRETS["Cal.com secret"]
    for html in (response.content.decode(), client.get(page_of(secret)).content.decode()):
        assert SECRETS["Cal.com secret"] not in html


def test_secret_is_replaced_not_edited(client: Client) -> None:
    fill(company("acme"), 1)
    secret = CalcomSecret.objects.get()
    assert client.post(page_of(secret), {"secret": "other"}).status_code == 403
    client.post(page_of(secret, "delete"), {"post": "yes"})
    assert not CalcomSecret.objects.exists()


def test_feed_token_is_made_without_showing_it(client: Client) -> None:
    user = fill(company("acme"), 1)
    values = {"user": str(user.pk), "label": "Phone", "include_synced": "on"}
    response = client.post(list_of(ICSToken) + "add/", values, follow=True)
    token = ICSToken.objects.get(label="Phone")
    assert (token.company_id, token.user_id, token.include_synced, token.active) == (
        user.company_id,
        user.pk,
        True,
        True,
    )
    assert token.digest == ICSToken.digest_of(token.encrypted_token)
    for html in (response.content.decode(), client.get(page_of(token)).content.decode()):
        assert token.encrypted_token not in html


def test_changed_feed_token_keeps_its_address(client: Client) -> None:
    user = fill(company("acme"), 1)
    token = ICSToken.objects.get()
    client.post(page_of(token), {"label": "renamed", "user": str(fill(company("globex"), 1).pk)})
    token.refresh_from_db()
    assert (token.label, token.active, token.user_id) == ("renamed", False, user.pk)
    assert token.encrypted_token == SECRETS["feed token"]


def test_closed_feed_opens_again(client: Client) -> None:
    fill(company("acme"), 1)
    token = ICSToken.objects.get()
    act(client, "deactivate", token)
    assert list(client.get(list_of(ICSToken), {"usable": "no"}).context["cl"].result_list) == [token]
    act(client, "activate", token)
    assert list(client.get(list_of(ICSToken), {"usable": "yes"}).context["cl"].result_list) == [token]
    client.post(page_of(token, "delete"), {"post": "yes"})
    assert not ICSToken.objects.exists()


def test_saving_a_user_bumps_the_revision_and_keeps_what_workers_wrote(client: Client) -> None:
    user = fill(company("acme"), 1)
    values = {"name": "Alice", "email": "alice@acme.example", "time_zone": "Europe/Berlin"}
    CrmUser.objects.filter(pk=user.pk).update(revision=41)
    client.post(page_of(user), {**values, "unique_id": "somebody else"})
    user.refresh_from_db()
    assert (user.name, user.time_zone, user.revision) == ("Alice", "Europe/Berlin", 42)
    assert user.unique_id == "acme-user-0"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../../etc/passwd", "/etc/localtime"])
def test_users_zone_is_an_iana_name(client: Client, zone: str) -> None:
    user = fill(company("acme"), 1)
    response = client.post(page_of(user), {"name": "Alice", "time_zone": zone})
    assert "time_zone" in response.context["adminform"].form.errors


def test_deleting_a_user_says_what_goes_along(client: Client) -> None:
    user = fill(company("acme"), 1)
    html = client.get(page_of(user, "delete")).content.decode()
    assert "Busy blocks: 2" in html
    client.post(page_of(user, "delete"), {"post": "yes"})
    assert not CrmUser.objects.exists()


def test_new_staff_of_a_company_administer_it_and_nothing_else(client: Client) -> None:
    fill(company("acme"), 1)
    fill(company("globex"), 1)
    client.post(list_of(Staff) + "add/", {**NEW_STAFF, "company": str(company("globex").pk)})
    carol = Client()
    assert carol.login(username="carol", password="long-enough-4711")
    html = carol.get(list_of(CrmUser)).content.decode()
    assert "globex" in html
    assert "acme" not in html


@pytest.mark.parametrize(
    ("values", "because"),
    [
        ({}, "would see nothing"),
        ({"company": "acme", "is_superuser": "on"}, "sees all companies anyway"),
        ({"company": "acme", "password2": "another-4711"}, "the passwords differ"),
    ],
)
def test_staff_are_for_one_company_or_for_all(client: Client, values: dict[str, str], because: str) -> None:
    if "company" in values:
        values = {**values, "company": str(company(values["company"]).pk)}
    response = client.post(list_of(Staff) + "add/", {**NEW_STAFF, **values})
    assert response.status_code == 200, because
    assert not Staff.objects.filter(username="carol").exists()


def test_company_administrator_changes_no_staff(db: None) -> None:
    fill(company("acme"), 1)
    client = administrator(company("acme"))
    colleague = Staff.objects.get(username="acme-staff-0")
    own = Staff.objects.get(username="admin-of-acme")
    for staff in (colleague, own):
        assert client.post(page_of(staff), {"username": "root", "is_superuser": "on"}).status_code == 403
        assert client.post(f"/admin/tenancy/staff/{staff.pk}/password/", {"password1": "x"}).status_code == 403
        assert "MD5" not in client.get(page_of(staff)).content.decode().upper()
    assert not Staff.objects.filter(is_superuser=True).exists()


def test_company_administrator_keeps_the_companys_address(db: None) -> None:
    client = administrator(company("acme"))
    values = {"url_id": "stolen", "name": "Acme Ltd", "jwt_algorithm": "ES256"}
    client.post(page_of(company("acme")), values)
    acme = Company.objects.get()
    assert (acme.url_id, acme.name, acme.jwt_algorithm) == ("acme", "Acme Ltd", "ES256")


def test_company_administrator_makes_and_removes_no_company(db: None) -> None:
    client = administrator(company("acme"))
    assert client.get(list_of(Company) + "add/").status_code == 403
    assert client.post(page_of(company("acme"), "delete"), {"post": "yes"}).status_code == 403


def test_superuser_removes_a_company_with_all_that_is_its(client: Client) -> None:
    fill(company("acme"), 2)
    fill(company("globex"), 1)
    client.post(page_of(company("acme"), "delete"), {"post": "yes"})
    assert list(Company.objects.values_list("url_id", flat=True)) == ["globex"]


def test_autocomplete_takes_a_nul() -> None:
    asked = {"app_label": "icsfeeds", "model_name": "icstoken", "field_name": "user", "term": "a\0"}
    assert operator().get("/admin/autocomplete/", asked).status_code == 200
