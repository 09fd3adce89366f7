"""The audit log: every change of accounts, tokens, keys and settings over the API and from a shell is written down."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient
from time_machine import travel

from busyblocks.models import Origin, WorkingHours
from calendars.models import Calendar, CalendarAccount
from icsfeeds.models import ICSToken
from icsfeeds.services import issue
from tenancy import audit
from tenancy.clients import address_of
from tenancy.models import ActorKind, ApiKey, AuditEntry, Company, CrmUser, Verb
from tests.calendars.mirror import MEMORY, mirrored_account
from tests.cast import client_for

MARCH = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
CANARY = "canary-3f1c-secret"
CALDAV = {
    "provider": "caldav",
    "email": "alice@acme.example",
    "provider_data": {"server_url": "https://dav.example", "username": "alice", "password": CANARY},
}
HOURS = {"working_hours": {"time_zone": "UTC", "windows": [{"days": ["mo"], "start": "09:00", "end": "17:00"}]}}

Call = Callable[[APIClient, dict[str, str]], Any]
# Path pattern and method → how to call it, and what then stands in the log: (what, of what, fields).
WRITES: dict[tuple[str, str], tuple[Call, tuple[str, str, list[str]]]] = {
    ("users/<user:user_unique_id>/calendar_accounts", "post"): (
        lambda api, at: api.post("/users/alice/calendar_accounts", {"calendar_account": CALDAV}),
        ("connected", "calendars.calendaraccount", []),
    ),
    ("users/<user:user_unique_id>/calendar_accounts/<str:id>", "put"): (
        lambda api, at: api.put(
            at["account"], {"calendar_account": {"name": "Work", "provider_data": {"password": CANARY}}}
        ),
        ("changed", "calendars.calendaraccount", ["credentials", "name"]),
    ),
    ("users/<user:user_unique_id>/calendar_accounts/<str:id>", "delete"): (
        lambda api, at: api.delete(at["account"]),
        ("deleted", "calendars.calendaraccount", []),
    ),
    ("users/<user:user_unique_id>/calendar_accounts/<str:account_id>/calendars/<str:id>", "put"): (
        lambda api, at: api.put(at["calendar"], {"calendar": {"sync_enabled": False}}),
        ("changed", "calendars.calendar", ["sync_enabled"]),
    ),
    ("users/<user:user_unique_id>/ics_tokens", "post"): (
        lambda api, at: api.post("/users/alice/ics_tokens", {"ics_token": {"label": "Phone"}}),
        ("created", "icsfeeds.icstoken", ["label"]),
    ),
    ("users/<user:user_unique_id>/ics_tokens/<str:id>", "put"): (
        lambda api, at: api.put(at["token"], {"ics_token": {"label": "Tablet", "include_synced": False}}),
        ("changed", "icsfeeds.icstoken", ["label"]),
    ),
    ("users/<user:user_unique_id>/ics_tokens/<str:id>", "delete"): (
        lambda api, at: api.delete(at["token"]),
        ("deleted", "icsfeeds.icstoken", []),
    ),
    ("users/<user:user_unique_id>/ics_tokens/<str:id>/rotate", "post"): (
        lambda api, at: api.post(f"{at['token']}/rotate"),
        ("rotated", "icsfeeds.icstoken", []),
    ),
    ("users/<user:user_unique_id>/ics_tokens/<str:id>/subscribe_links", "post"): (
        lambda api, at: api.post(f"{at['token']}/subscribe_links"),
        ("link_made", "icsfeeds.icstoken", []),
    ),
    ("users/<user:user_unique_id>/connect_links", "post"): (
        lambda api, at: api.post("/users/alice/connect_links"),
        ("link_made", "tenancy.crmuser", []),
    ),
    ("users/<str:user_unique_id>/register", "post"): (
        lambda api, at: api.post("/users/alice/register", {"user": {"name": "Alice"}}),
        ("changed", "tenancy.crmuser", ["name"]),
    ),
    ("users/<str:user_unique_id>", "put"): (
        lambda api, at: api.put("/users/alice", {"user": {"name": "Alice", "email": "alice@acme.example"}}),
        ("changed", "tenancy.crmuser", ["name"]),
    ),
    ("users/<user:user_unique_id>/working_hours", "delete"): (
        lambda api, at: api.delete("/users/alice/working_hours"),
        ("changed", "tenancy.crmuser", ["working_hours"]),
    ),
    ("users/<user:user_unique_id>/working_hours", "put"): (
        lambda api, at: api.put("/users/alice/working_hours", HOURS),
        ("changed", "tenancy.crmuser", ["working_hours"]),
    ),
}
# What changes the ledger is no setting, and is told by the ledger itself.
ELSEWHERE = ("busy_blocks", "meetings", "calendar/sync", "free_busy", "availability")


@pytest.fixture
def at(alice: CrmUser, settings: LazySettings) -> dict[str, str]:
    """Paths of alice's account, calendar and token."""
    settings.CALENDAR_PROVIDERS = MEMORY
    account = mirrored_account()
    calendar = Calendar.objects.create(
        account=account, origin=Origin.objects.create(user=alice, source="caldav"), external_id=f"https://{CANARY}"
    )
    token = issue(alice)
    WorkingHours.objects.create(user=alice, time_zone="UTC", windows=[])
    # Written by the service itself, before anybody came.
    AuditEntry.objects.all().expire()
    home = f"/users/alice/calendar_accounts/{account.unique_id}"
    return {
        "account": home,
        "calendar": f"{home}/calendars/{calendar.unique_id}",
        "token": f"/users/alice/ics_tokens/{token.unique_id}",
    }


def routes(resolver: URLResolver, prefix: str = "") -> list[tuple[str, str]]:
    """Every path and writing method of the API."""
    found = []
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            found += routes(entry, path)
        elif isinstance(entry, URLPattern) and (actions := getattr(entry.callback, "actions", None)):
            found += [(path, method) for method in actions if method not in {"get", "head", "options"}]
    return found


def test_every_writing_operation_of_the_api_is_known_here() -> None:
    found = {(path, method) for path, method in routes(get_resolver()) if not any(word in path for word in ELSEWHERE)}
    assert found == set(WRITES)


@pytest.mark.django_db
@pytest.mark.parametrize("route", WRITES, ids=" ".join)
def test_change_over_the_api_is_written_down_with_its_sender(
    acme: Company, at: dict[str, str], route: tuple[str, str]
) -> None:
    call, (verb, model, fields) = WRITES[route]
    api = client_for(acme, "alice")
    with travel(MARCH, tick=False):
        response = call(api, at)
    assert response.status_code < 300, response.content
    entry = AuditEntry.objects.get()
    assert (entry.verb, entry.target_model, entry.fields) == (verb, model, fields)
    assert (entry.actor_kind, entry.actor, entry.address) == (ActorKind.TOKEN, "alice", "127.0.0.1")
    assert entry.api_key == ApiKey.objects.get().last_four
    assert (entry.company, entry.at) == (acme, MARCH)
    assert CANARY not in str(AuditEntry.objects.values().get())


@pytest.mark.django_db(transaction=True)
def test_change_that_cannot_be_written_down_does_not_happen(
    acme: Company, at: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _rows()
    monkeypatch.setattr(AuditEntry.objects, "create", _fail)
    api = client_for(acme, "alice")
    api.raise_request_exception = False
    for route, (call, _) in WRITES.items():
        assert call(api, at).status_code == 500, route
        assert _rows() == before, route


@pytest.mark.django_db
def test_change_that_changes_nothing_is_not_written_down(acme: Company, at: dict[str, str]) -> None:
    api = client_for(acme, "alice")
    assert api.put(at["token"], {"ics_token": {"label": ""}}).status_code == 200
    assert api.put(at["account"], {"calendar_account": {"sync_enabled": True}}).status_code == 200
    assert api.put("/users/alice", {"user": {"email": "alice@acme.example"}}).status_code == 200
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_refused_change_is_not_written_down(globex: Company, at: dict[str, str]) -> None:
    mallory = client_for(globex)
    assert mallory.delete(at["token"]).status_code == 404
    assert mallory.put(at["account"], {"calendar_account": {"name": "mine"}}).status_code == 404
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db
def test_token_of_the_company_has_no_user(acme: Company, at: dict[str, str]) -> None:
    client_for(acme).delete(at["token"])
    entry = AuditEntry.objects.get()
    assert (entry.actor_kind, entry.actor) == (ActorKind.TOKEN, "")


@pytest.mark.django_db
def test_account_that_waits_for_its_vendor_is_created_and_asking_again_is_no_change(
    acme: Company, alice: CrmUser
) -> None:
    body = {"calendar_account": {"provider": "google", "email": "alice@acme.example"}}
    for _ in range(2):
        client_for(acme, "alice").post("/users/alice/calendar_accounts", body)
    assert AuditEntry.objects.get().verb == Verb.CREATED


@pytest.mark.django_db
def test_commands_are_written_down_with_the_shells_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "root")
    call_command("create_company", "acme", "--calcom-secret", CANARY, verbosity=0)
    call_command("issue_token", "acme", "--user", "alice")
    found = list(AuditEntry.objects.order_by("pk").values_list("actor_kind", "actor", "verb", "target_model"))
    assert found == [
        ("shell", "root", "created", "tenancy.company"),
        ("shell", "root", "created", "integrations.calcomsecret"),
        ("shell", "root", "created", "tenancy.apikey"),
        ("shell", "root", "issued", "tenancy.company"),
    ]
    assert CANARY not in str(list(AuditEntry.objects.values()))


@pytest.mark.django_db
def test_work_of_nobody_is_the_services_own(alice: CrmUser) -> None:
    issue(alice)
    assert AuditEntry.objects.get().actor_kind == ActorKind.SERVICE


@pytest.mark.django_db
def test_log_is_only_added_to(alice: CrmUser) -> None:
    issue(alice)
    entry = AuditEntry.objects.get()
    for attempt in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(actor="nobody"),
    ):
        with pytest.raises(TypeError, match="only added to"):
            attempt()
    assert AuditEntry.objects.get().actor == ""


@pytest.mark.django_db
def test_entries_outlive_their_company(acme: Company, alice: CrmUser) -> None:
    issue(alice)
    acme.delete()
    assert AuditEntry.objects.get().company is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("keep_days", "left"),
    [(0, 3), (30, 2), (10, 1)],
    ids=["0 keeps all", "what is 30 days old stays", "older goes"],
)
def test_old_entries_go(settings: LazySettings, alice: CrmUser, keep_days: int, left: int) -> None:
    settings.AUDIT_KEEP_DAYS = keep_days
    for age in (timedelta(days=31), timedelta(days=30), timedelta(days=1)):
        with travel(MARCH - age, tick=False):
            audit.record(alice, Verb.CHANGED, "name")
    assert audit.clear_old(now=MARCH) == 3 - left
    assert AuditEntry.objects.count() == left


@pytest.mark.parametrize(
    ("behind_proxy", "forwarded", "address"),
    [
        (False, "203.0.113.9", "127.0.0.1"),
        (True, "203.0.113.9", "203.0.113.9"),
        (True, "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        (True, "", "127.0.0.1"),
    ],
    ids=["anybody can write a header", "the proxy's word", "the last is the proxy's", "no header"],
)
def test_address_is_the_networks_word(settings: LazySettings, behind_proxy: bool, forwarded: str, address: str) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if behind_proxy else None
    assert address_of({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": forwarded}) == address


def _fail(**_: Any) -> None:
    raise RuntimeError("the disk is full")


def _rows() -> list[Any]:
    return [list(model.objects.order_by("pk").values()) for model in (CalendarAccount, Calendar, ICSToken)] + [
        list(CrmUser.objects.values("pk", "name", "email"))
    ]
