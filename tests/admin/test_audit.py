"""What is done in the admin stands in the audit log, and each company reads its own."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.test import Client

from calendars.models import CalendarAccount
from calendars.services import syncs
from icsfeeds.models import ICSToken
from integrations.models import CalcomConnection, CalcomSecret, WebhookDelivery
from tenancy.models import AuditEntry, Company, CrmUser, Staff
from tests.admin.world import (
    PASSWORD,
    REGISTERED,
    SECRETS,
    act,
    administrator,
    company,
    fill,
    list_of,
    operator,
    page_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]

Do = Callable[[Client], Any]


def _one(model: type[Model]) -> Any:
    return model._default_manager.filter(pk__gt=0).order_by("pk").first()


def _acme() -> str:
    return str(company("acme").pk)


# What is done, and what stands in the log then: (what, of what, fields).
FORMS: dict[str, tuple[Do, tuple[str, str, list[str]]]] = {
    "a company's key set": (
        lambda client: client.post(
            page_of(company("acme")), {"url_id": "acme", "name": "Acme", "jwt_algorithm": "ES256"}
        ),
        ("changed", "tenancy.company", ["jwt_algorithm"]),
    ),
    "a new company": (
        lambda client: client.post(list_of(Company) + "add/", {"url_id": "initech", "jwt_algorithm": "RS256"}),
        ("created", "tenancy.company", ["url_id"]),
    ),
    "a new key": (
        lambda client: client.post(list_of(_model("ApiKey")) + "add/", {"company": _acme(), "label": "CRM"}),
        ("created", "tenancy.apikey", []),
    ),
    "a secret": (
        lambda client: client.post(
            list_of(CalcomSecret) + "add/", {"company": _acme(), "secret": SECRETS["Cal.com secret"]}
        ),
        ("created", "integrations.calcomsecret", ["company", "secret"]),
    ),
    "a removed secret": (
        lambda client: client.post(page_of(_one(CalcomSecret), "delete"), {"post": "yes"}),
        ("deleted", "integrations.calcomsecret", []),
    ),
    "another Cal.com key": (
        lambda client: client.post(page_of(_one(CalcomConnection)), {"api_key": SECRETS["Cal.com API key"] + "2"}),
        ("changed", "integrations.calcomconnection", ["api_key"]),
    ),
    "a user's e-mail": (
        lambda client: client.post(
            page_of(_one(CrmUser)), {"name": _one(CrmUser).name, "email": "new@acme.example", "time_zone": ""}
        ),
        ("changed", "tenancy.crmuser", ["email"]),
    ),
    "a staff member's rights": (
        lambda client: client.post(
            page_of(Staff.objects.get(username="acme-staff-0")), {"username": "acme-staff-0", "is_superuser": "on"}
        ),
        ("changed", "tenancy.staff", ["company", "first_name", "is_active", "is_superuser"]),
    ),
    "a staff member's password": (
        lambda client: client.post(
            f"/admin/tenancy/staff/{Staff.objects.get(username='acme-staff-0').pk}/password/",
            {"password1": "long-enough-4711", "password2": "long-enough-4711", "usable_password": "true"},
        ),
        ("changed", "tenancy.staff", ["password"]),
    ),
    "one's own password": (
        lambda client: client.post(
            "/admin/password_change/",
            {"old_password": PASSWORD, "new_password1": "long-enough-4711", "new_password2": "long-enough-4711"},
        ),
        ("changed", "tenancy.staff", ["password"]),
    ),
    "a group": (
        lambda client: client.post(list_of(Group) + "add/", {"name": "Readers"}),
        ("created", "auth.group", ["name"]),
    ),
    "an account's name": (
        lambda client: client.post(page_of(_one(CalendarAccount)), {"name": "renamed", "sync_enabled": "on"}),
        ("changed", "calendars.calendaraccount", ["name"]),
    ),
    "a disconnected account": (
        lambda client: client.post(page_of(_one(CalendarAccount), "delete"), {"post": "yes"}),
        ("deleted", "calendars.calendaraccount", []),
    ),
    "a feed's label": (
        lambda client: client.post(
            page_of(_one(ICSToken)), {"label": "renamed", "active": "on", "expires_at_0": "", "expires_at_1": ""}
        ),
        ("changed", "icsfeeds.icstoken", ["label"]),
    ),
}
# Every action of a list that changes an account, token, key or setting.
ACTIONS: dict[tuple[str, str], tuple[str, list[str]]] = {
    ("ApiKey", "deactivate"): ("changed", ["active"]),
    ("ApiKey", "delete_selected"): ("deleted", []),
    ("CalcomConnection", "delete_selected"): ("deleted", []),
    ("CalcomSecret", "delete_selected"): ("deleted", []),
    ("Calendar", "leave_out"): ("changed", ["sync_enabled"]),
    ("CalendarAccount", "clear_the_brake"): ("brake_cleared", []),
    ("CalendarAccount", "connect_again"): ("link_made", []),
    ("CalendarAccount", "delete_selected"): ("deleted", []),
    ("CalendarAccount", "pause"): ("changed", ["sync_enabled"]),
    ("CalendarAccount", "sync_now"): ("sync_asked", []),
    ("CalendarAccount", "sync_with_full_reread"): ("sync_asked", ["force_refresh"]),
    ("Company", "delete_selected"): ("deleted", []),
    ("CrmUser", "connect_link"): ("link_made", []),
    ("Company", "sync_companies"): ("sync_asked", []),
    ("CrmUser", "delete_selected"): ("deleted", []),
    ("CrmUser", "sync_users"): ("sync_asked", []),
    ("Group", "delete_selected"): ("deleted", []),
    ("ICSToken", "deactivate"): ("changed", ["active"]),
    ("ICSToken", "delete_selected"): ("deleted", []),
    ("ICSToken", "subscribe_link"): ("link_made", []),
    ("Staff", "delete_selected"): ("deleted", []),
    ("WebhookDelivery", "replay"): ("replayed", []),
}
# The way back of one above.
_BACK = {("ApiKey", "activate"), ("Calendar", "take_in"), ("CalendarAccount", "resume"), ("ICSToken", "activate")}
# They change the ledger, which tells of itself.
_LEDGER = {"Absence", "BusyBlock", "Meeting", "Origin"}


def _model(name: str) -> type[Model]:
    (found,) = (model for model in REGISTERED if model.__name__ == name)
    return found


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """A superuser, with a row of every kind, and an empty log."""
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: None)
    fill(company("acme"), 1)
    Group.objects.create(name="Readers of old")
    client = operator()
    AuditEntry.objects.all().expire()
    return client


@pytest.mark.parametrize("done", FORMS)
def test_form_is_written_down_with_who_sent_it(client: Client, done: str) -> None:
    do, (verb, model, fields) = FORMS[done]
    assert do(client).status_code in {200, 302}
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.target_model, entry.fields) == (verb, model, fields)
    assert (entry.actor_kind, entry.actor, entry.address) == ("staff", "operator", "127.0.0.1")
    for kind, secret in SECRETS.items():
        assert secret not in str(AuditEntry.objects.values().get()), kind


def test_every_action_is_known_here(client: Client) -> None:
    request = client.get("/admin/").wsgi_request
    found = {
        (model.__name__, name)
        for model in REGISTERED
        if model.__name__ not in _LEDGER
        for name in admin.site._registry[model].get_actions(request)
    }
    assert found == ACTIONS.keys() | _BACK


@pytest.mark.parametrize("action", ACTIONS, ids=" ".join)
def test_action_is_written_down(client: Client, action: tuple[str, str]) -> None:
    verb, fields = ACTIONS[action]
    row = _one(_model(action[0]))
    values = {"post": "yes"}
    if action[1] == "clear_the_brake":
        values["seen"] = act(client, action[1], row).context["seen"]
    act(client, action[1], row, **values)
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.target_model, entry.fields) == (verb, row._meta.label_lower, fields)
    assert (entry.actor_kind, entry.actor) == ("staff", "operator")


def test_refused_action_is_not_written_down(client: Client) -> None:
    reader = Staff.objects.create_user("reader", password=PASSWORD, company=company("acme"), is_staff=True)
    AuditEntry.objects.all().expire()
    theirs = Client()
    theirs.force_login(reader)
    AuditEntry.objects.all().expire()
    act(theirs, "deactivate", _one(_model("ApiKey")))
    act(theirs, "replay", _one(WebhookDelivery))
    assert not AuditEntry.objects.exists()


def test_signing_in_is_written_down_with_where_from(client: Client) -> None:
    Client(REMOTE_ADDR="192.0.2.7").post("/admin/login/", {"username": "operator", "password": PASSWORD})
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.actor, entry.address) == ("signed_in", "operator", "192.0.2.7")


def test_administrator_reads_what_was_done_in_the_own_company(client: Client) -> None:
    fill(company("globex"), 1)
    act(client, "pause", _one(CalendarAccount))
    theirs = administrator(company("globex"))
    acmes = administrator(company("acme"))
    assert "operator" not in theirs.get(list_of(AuditEntry)).content.decode()
    shown = acmes.get(list_of(AuditEntry)).content.decode()
    assert "operator" in shown
    assert "sync_enabled" in shown


def test_log_can_be_searched_and_filtered(client: Client) -> None:
    account = _one(CalendarAccount)
    act(client, "pause", account)
    act(client, "deactivate", _one(ICSToken))
    for query, count in (
        ({"q": "operator"}, 2),
        ({"q": str(account.unique_id)}, 1),
        ({"kind": "icsfeeds.icstoken"}, 1),
        ({"verb__exact": "changed"}, 2),
        ({"actor_kind__exact": "token"}, 0),
    ):
        assert client.get(list_of(AuditEntry), query).context["cl"].result_count == count, query


@pytest.mark.parametrize("page", ["add", "delete", "change"])
def test_nobody_writes_the_log(client: Client, page: str) -> None:
    act(client, "pause", _one(CalendarAccount))
    entry = AuditEntry.objects.get()
    path = list_of(AuditEntry) + "add/" if page == "add" else page_of(entry, page)
    assert client.post(path, {"post": "yes", "actor": "somebody else"}).status_code == 403
    assert AuditEntry.objects.get().actor == "operator"
