"""The connect page and its links: whose they are, what they never show, and how they fail."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from calendars.models import CalendarAccount
from calendars.providers import AddressRefused, CalendarGone, ReconnectNeeded, Throttled, UnexpectedAnswer, Unreachable
from calendars.services import accounts
from tenancy import page_links
from tenancy.callers import Scope
from tenancy.models import AuditEntry, Company, CrmUser
from tests.cast import client_for
from tests.contracts import memory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TYPED = {
    "server_url": "https://dav.example/",
    "username": "alice",
    "password": "canary-password",
    "email": "alice@acme.example",
}


@pytest.fixture(autouse=True)
def _sunday(settings: Settings) -> Any:
    settings.CALENDAR_PROVIDERS = dict.fromkeys(
        ("apple", "caldav", "google", "ics"), "tests.contracts.memory.MemoryProvider"
    )
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def server() -> memory.MemoryCalendarServer:
    found = memory.start()
    found.add_calendar("work", name="Work")
    return found


def link_of(user: CrmUser, **values: Any) -> str:
    return page_links.issue(user, now=NOW, **values).text


def path(page: str, user: CrmUser, *arguments: Any) -> str:
    return reverse(page, args=[link_of(user), *arguments])


def connected(user: CrmUser) -> CalendarAccount:
    data = {"server_url": "https://dav.example/", "username": user.unique_id, "password": "canary-password"}
    return accounts.connect(user, provider="caldav", email=user.email, provider_data=data, now=NOW)


def test_api_hands_out_a_link_that_opens_the_users_page(client: Client, acme: Company, alice: CrmUser):
    api = client_for(acme, alice)
    answer = api.post("/users/alice/connect_links", {"connect_link": {"expires_in": 600}})
    said = answer.json()["data"]
    assert answer.status_code == 201
    assert (said["type"], said["id"]) == ("connect_link", "alice")
    assert said["attributes"]["expires_at"] == "2026-03-01T12:10:00Z"
    page = client.get(said["attributes"]["url"].removeprefix("http://testserver"))
    assert "Calendars of alice" in page.text


@pytest.mark.parametrize(
    ("who", "scopes", "status"),
    [
        ("alice", [Scope.READ], 403),
        ("bob", [Scope.READ, Scope.WRITE], 403),
        ("bob", [Scope.ADMIN], 201),
    ],
)
def test_link_is_handed_to_those_who_may_change_the_user(
    acme: Company, alice: CrmUser, who: str, scopes: list[Scope], status: int
):
    answer = client_for(acme, who, scopes).post("/users/alice/connect_links")
    assert answer.status_code == status


@pytest.mark.parametrize(
    "body", [{"expires_in": 59}, {"expires_in": 31 * 86_400}, {"return_to": "https://evil.example/"}]
)
def test_link_lives_a_minute_to_thirty_days_and_leads_back_to_known_hosts(
    acme: Company, alice: CrmUser, body: dict[str, Any]
):
    answer = client_for(acme, alice).post("/users/alice/connect_links", body)
    assert answer.status_code == 422
    assert next(iter(body)) in answer.json()["errors"][0]["source"]["pointer"]


def test_page_leads_back_to_where_the_person_came_from(client: Client, acme: Company, alice: CrmUser, settings: Any):
    settings.OAUTH_RETURN_HOSTS = ["crm.example"]
    body = {"return_to": "https://crm.example/settings"}
    url = client_for(acme, alice).post("/users/alice/connect_links", body).json()["data"]["attributes"]["url"]
    assert 'href="https://crm.example/settings"' in client.get(url.removeprefix("http://testserver")).text


def test_page_shows_nothing_of_others(client: Client, alice: CrmUser, bob: CrmUser, mallory: CrmUser):
    for user in (alice, bob, mallory):
        connected(user)
    text = client.get(path("connect", alice)).text
    assert "alice@acme.example" in text
    assert "bob@" not in text
    assert "mallory" not in text


@pytest.mark.parametrize("page", ["connect-choose", "connect-again", "connect-go", "connect-disconnect"])
def test_accounts_of_others_are_not_there(client: Client, alice: CrmUser, bob: CrmUser, mallory: CrmUser, page: str):
    for other in (bob, mallory):
        account = connected(other)
        for method in (client.get, client.post):
            assert method(path(page, alice, account.unique_id), {"password": "x"}).status_code == 404
        assert CalendarAccount.objects.filter(pk=account.pk).exists()


def test_link_of_one_feed_opens_no_account(client: Client, alice: CrmUser):
    token = alice.ics_tokens.create(company=alice.company, digest="1", encrypted_token="x")
    link = link_of(alice, feed=token.unique_id)
    assert client.get(reverse("connect", args=[link])).status_code == 404
    assert client.get(reverse("connect-disconnect", args=[link, connected(alice).unique_id])).status_code == 404


@pytest.mark.parametrize(
    ("error", "field", "words"),
    [
        (ReconnectNeeded("401"), "password", "does not accept this user name and password"),
        (Unreachable("refused"), "server_url", "No server answered at this address"),
        (AddressRefused("private"), "server_url", "does not lead to a server on the internet"),
        (UnexpectedAnswer("html"), "server_url", "but no calendar"),
        (CalendarGone("404"), "server_url", "but no calendar"),
        (Throttled("slow"), "__all__", "asks us to wait"),
    ],
)
def test_failed_trial_stands_beside_its_field_and_stores_nothing(
    client: Client, alice: CrmUser, server: memory.MemoryCalendarServer, error: Exception, field: str, words: str
):
    server.fail_next(error, on="calendars")
    response = client.post(path("connect-new", alice, "caldav"), TYPED)
    assert words in str(response.context["form"].errors[field])
    assert "canary-password" not in response.text
    assert not CalendarAccount.objects.exists()


def test_wrong_address_is_told_without_asking_anybody(client: Client, alice: CrmUser, settings: Settings):
    settings.CALENDAR_PROVIDERS = {"caldav": "integrations.caldav.provider.CalDAVProvider"}
    for address in ("ftp://dav.example", "https://user:pass@dav.example", "https://127.0.0.1/"):
        response = client.post(path("connect-new", alice, "caldav"), {**TYPED, "server_url": address})
        assert "server_url" in response.context["form"].errors


def test_account_without_calendars_is_not_connected(client: Client, alice: CrmUser):
    memory.start()
    response = client.post(path("connect-new", alice, "caldav"), TYPED)
    assert "server_url" in response.context["form"].errors


def test_second_trial_at_the_same_time_is_asked_to_wait(
    client: Client, alice: CrmUser, server: memory.MemoryCalendarServer
):
    seen: list[str] = []

    def meanwhile(number: int) -> None:
        server.on_request = lambda number: None
        seen.append(client.post(path("connect-new", alice, "caldav"), TYPED).text)

    server.on_request = meanwhile
    assert client.post(path("connect-new", alice, "caldav"), TYPED).status_code == 302
    assert "asks us to wait" in seen[0]


def test_new_password_mends_the_account_and_keeps_its_rows(
    client: Client, alice: CrmUser, server: memory.MemoryCalendarServer
):
    account = connected(alice)
    CalendarAccount.objects.update(last_error_code="reconnect_needed", connected=False)
    assert "Connect again" in client.get(path("connect", alice)).text
    response = client.post(path("connect-again", alice, account.unique_id), {"password": "new-password"})
    account.refresh_from_db()
    assert response.status_code == 302
    assert account.connected
    kept = {"server_url": "https://dav.example/", "username": "alice", "password": "new-password"}
    assert account.credentials == kept


def test_form_sent_twice_connects_once(client: Client, alice: CrmUser, server: memory.MemoryCalendarServer):
    for _ in range(2):
        assert client.post(path("connect-new", alice, "caldav"), TYPED).status_code == 302
    assert CalendarAccount.objects.count() == 1


def test_form_of_an_account_that_was_disconnected_meanwhile_is_told_so(
    client: Client, alice: CrmUser, server: memory.MemoryCalendarServer
):
    account = connected(alice)
    paths = [path(page, alice, account.unique_id) for page in ("connect-choose", "connect-again", "connect-disconnect")]
    accounts.disconnect(account, now=NOW)
    for address in paths:
        response = client.post(address, {"password": "x"})
        assert response.status_code == 404
        assert "not there any more" in response.text


def test_unregistered_vendors_are_not_offered(client: Client, alice: CrmUser):
    text = client.get(path("connect", alice)).text
    assert "Gmail" not in text
    assert client.get(path("connect-new", alice, "google")).status_code == 404
    assert client.get(path("connect-new", alice, "nonsense")).status_code == 404


def test_calendars_that_the_form_did_not_show_stay_as_they_are(
    client: Client,
    alice: CrmUser,
    server: memory.MemoryCalendarServer,
    django_capture_on_commit_callbacks: Any,
):
    server.add_calendar("home", name="Home")
    with django_capture_on_commit_callbacks(execute=True):
        client.post(path("connect-new", alice, "caldav"), TYPED)
    account = CalendarAccount.objects.get()
    work, home = account.calendars.order_by("-name")
    client.post(path("connect-choose", alice, account.unique_id), {"shown": [str(work.unique_id)]})
    assert list(account.calendars.order_by("-name").values_list("sync_enabled", flat=True)) == [False, True]
    shown = [str(work.unique_id), str(home.unique_id)]
    client.post(path("connect-choose", alice, account.unique_id), {"shown": shown, "on": shown})
    assert list(account.calendars.values_list("sync_enabled", flat=True)) == [True, True]


def test_queries_do_not_grow_with_accounts(client: Client, alice: CrmUser):
    page = path("connect", alice)
    counts = []
    for number in range(2):
        data = {"server_url": f"https://dav{number}.example/", "username": "a", "password": "p"}
        accounts.connect(alice, provider="caldav", email=f"{number}@acme.example", provider_data=data, now=NOW)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(page)
        counts.append(len(queries))
    assert counts == [3, 3]


def test_who_did_it_stands_in_the_audit_log(client: Client, alice: CrmUser, server: memory.MemoryCalendarServer):
    client.post(path("connect-new", alice, "caldav"), TYPED)
    entry = AuditEntry.objects.get(verb="connected")
    assert (entry.actor_kind, entry.actor) == ("link", "alice")
