"""What the demo asks of its own API at each start, with whatever was left there since the last one."""

from datetime import timedelta

import pytest
from django.utils import timezone

from calendars.models import CalendarAccount
from config.demo.client import SAMPLE_EMAIL, Client, Refused
from tenancy import tokens
from tenancy.callers import Scope
from tenancy.models import ApiKey, Company
from tests.calendars.mirror import MEMORY
from tests.contracts import memory

pytestmark = pytest.mark.django_db(transaction=True)
SAMPLE = {"username": "demo", "password": "right"}


@pytest.fixture
def client(live_server, settings):
    """The demo's client, of a service whose every calendar server wants the password `right`."""
    settings.CALENDAR_PROVIDERS = MEMORY
    memory.start(password="right").put("work", "one", memory.entry("2026-03-02T09:00"))
    company = Company.objects.create(url_id="my-company")
    token = tokens.issue(
        company, user_unique_id=None, scopes=[Scope.ADMIN], lifetime=timedelta(hours=1), now=timezone.now()
    )
    return Client(live_server.url, token, ApiKey.issue(company), "alice")


def start(client, *, anew=False):
    """The run of one start."""
    return client.sync(client.connect("memory://", **SAMPLE, anew=anew))


def connect_another(client, password):
    """An account that the user of the demo connects by themselves."""
    data = {"server_url": "memory://", "username": "alice", "password": password}
    body = {"provider": "caldav", "email": "alice@acme.example", "provider_data": data}
    client._send("POST", "/users/alice/calendar_accounts", body)


def emails():
    return sorted(CalendarAccount.objects.values_list("email", flat=True))


def test_first_start_connects_the_sample_account_and_later_ones_keep_it(client):
    assert start(client)["events_created"] == 1
    (before,) = CalendarAccount.objects.all()

    assert start(client)["events_created"] == 0
    assert CalendarAccount.objects.get().pk == before.pk


def test_another_account_that_fails_does_not_keep_the_demo_from_starting(client):
    start(client)
    connect_another(client, "wrong")

    assert start(client)["status"] == "completed_with_errors"
    assert emails() == ["alex@sample.invalid", "alice@acme.example"]


def test_sample_account_whose_password_was_changed_is_repaired_and_keeps_its_rows(client):
    start(client)
    account = CalendarAccount.objects.get()
    path = f"/users/alice/calendar_accounts/{account.unique_id}"
    client._send("PUT", path, {"provider_data": {"password": "wrong"}})
    client._send("POST", "/users/alice/calendar/sync")
    account.refresh_from_db()
    assert account.last_error_code

    assert start(client)["status"] == "completed"
    assert CalendarAccount.objects.get().pk == account.pk


def test_server_that_moved_takes_only_the_sample_account_with_it(client):
    start(client)
    connect_another(client, "right")

    start(client, anew=True)

    assert emails() == ["alex@sample.invalid", "alice@acme.example"]
    assert CalendarAccount.objects.get(email="alice@acme.example").connected


def test_sample_account_that_was_removed_comes_back_beside_others(client):
    connect_another(client, "right")

    start(client)

    assert SAMPLE_EMAIL in emails()


def test_samples_that_cannot_be_synced_end_the_start_with_the_reason(client):
    with pytest.raises(Refused, match="refused the user name or password"):
        client.sync(client.connect("memory://", username="demo", password="wrong", anew=False))
