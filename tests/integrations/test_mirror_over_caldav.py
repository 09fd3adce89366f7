"""The whole way: a real server's calendars into the ledger, over the wire, with everything that happens to servers."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from calendars.models import CalendarAccount, WithheldEvent
from calendars.providers import ReconnectNeeded
from calendars.services import accounts, syncs
from calendars.sync.mirror import Changes
from tenancy.models import CrmUser
from tests.calendars.mirror import ledger, synced, titles
from tests.contracts.contract import event
from tests.proxy import Canned, Proxy
from tests.servers import CalDAVServer, radicale, xandikos

EVENTS = {f"e{number:02}": event(f"u{number}", "DTSTART:20260320T090000Z", "SUMMARY:Before") for number in range(24)}


@pytest.fixture(scope="module", params=[radicale, xandikos], ids=["radicale", "xandikos"])
def server(request: pytest.FixtureRequest) -> Iterator[CalDAVServer]:
    with request.param() as running:
        running.make_calendar("work")
        yield running


@pytest.fixture
def proxy(server: CalDAVServer, settings: Settings) -> Iterator[Proxy]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    server.empty("work")
    server.put_events("work", EVENTS)
    with Proxy(server.port) as running:
        yield running


@pytest.fixture
def account(alice: CrmUser, server: CalDAVServer, proxy: Proxy) -> CalendarAccount:
    given = {"server_url": proxy.url, "username": server.username, "password": server.password}
    return accounts.connect(
        alice, provider="caldav", email="alice@acme.example", provider_data=given, now=timezone.now()
    )


pytestmark = pytest.mark.django_db


def test_first_sync_mirrors_every_event(account: CalendarAccount) -> None:
    assert synced(account).succeeded
    assert set(ledger(account)) == {f"{name}.ics" for name in EVENTS}


def test_deletions_that_the_server_names_apply_however_many_they_are(
    account: CalendarAccount, server: CalDAVServer
) -> None:
    synced(account)
    server.delete_events("work", list(EVENTS)[1:])
    assert synced(account).succeeded
    assert list(ledger(account)) == ["e00.ics"]


def test_revoked_app_password_stops_the_polling_keeps_the_rows_and_is_mended_by_a_new_one(
    account: CalendarAccount, proxy: Proxy, server: CalDAVServer
) -> None:
    """Row 27."""
    synced(account)
    proxy.answer = lambda ask: Canned(401, headers={"WWW-Authenticate": 'Basic realm="calendars"'})
    assert isinstance(synced(account).failure, ReconnectNeeded)
    account.refresh_from_db()
    assert (account.connected, account.status, account.next_attempt_at) == (False, "error", None)
    assert "Connect the account again" in account.last_error
    assert len(ledger(account)) == 24
    asked = len(proxy.asked)
    syncs.poll_due(timezone.now() + timedelta(days=30))
    assert len(proxy.asked) == asked
    proxy.answer = lambda ask: None
    given = {"server_url": proxy.url, "username": server.username, "password": server.password}
    accounts.change(account, provider_data=given, now=timezone.now())
    assert synced(account).changes == Changes()
    account.refresh_from_db()
    assert (account.connected, account.status, account.last_error) == (True, "active", "")


def test_server_that_is_down_loses_nothing_and_the_account_says_why(
    account: CalendarAccount, proxy: Proxy, server: CalDAVServer
) -> None:
    synced(account)
    server.stop()
    try:
        assert not synced(account).succeeded
    finally:
        server.start()
    account.refresh_from_db()
    assert len(ledger(account)) == 24
    assert account.last_error_code == "unreachable"
    assert account.last_error
    assert account.next_attempt_at is not None
    assert account.next_attempt_at > timezone.now()
    assert synced(account).succeeded


@pytest.mark.parametrize("name", ["h#s", "#", "50%23"])
def test_event_is_mirrored_whatever_its_address_is(account: CalendarAccount, server: CalDAVServer, name: str) -> None:
    server.put_events("work", {name: event("odd", "DTSTART:20260320T100000Z", "SUMMARY:Odd")})
    assert synced(account).succeeded
    assert f"{name}.ics" in ledger(account)
    server.put_events("work", {name: event("odd", "DTSTART:20260321T100000Z", "SUMMARY:Moved")})
    assert synced(account).succeeded
    assert "Moved" in titles(account)
    server.delete_events("work", [name])
    assert synced(account).succeeded
    assert f"{name}.ics" not in ledger(account)


def test_event_that_cannot_be_read_any_more_keeps_its_row(account: CalendarAccount, server: CalDAVServer) -> None:
    synced(account)
    server.put_events("work", {"e03": event("u3", "DTSTART:20260320T090000Z", "RRULE:FREQ=MINUTELY", "SUMMARY:Bomb")})
    synced(account)
    assert "e03.ics" in ledger(account)
    assert "Bomb" not in titles(account)
    withheld = WithheldEvent.objects.filter(calendar__account=account)
    assert list(withheld.values_list("external_event_id", flat=True)) == ["e03.ics"]
