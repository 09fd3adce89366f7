"""Feeds at an address: what is asked, what a bad answer may not do, and that the address stays a secret."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from time_machine import travel

from calendars.models import Calendar, CalendarAccount
from calendars.providers import (
    BadProviderData,
    CalendarGone,
    CalendarState,
    Connection,
    CursorLost,
    Delta,
    ProviderError,
    ReconnectNeeded,
    Snapshot,
    UnexpectedAnswer,
    Unreachable,
)
from calendars.services import accounts
from integrations.http import TooLarge
from integrations.ics.provider import CALENDAR, IcsProvider
from tenancy.models import CrmUser
from tests.calendars.mirror import ledger, synced, titles
from tests.calendars.people import alice
from tests.contracts.contract import Read, calendar_object, component, event
from tests.proxy import Canned, Proxy

START = "DTSTART:20260320T090000Z"
TWO = calendar_object(component("a", START, "SUMMARY:A"), component("b", START, "SUMMARY:B"))
CANARY = "canary-4711"


@pytest.fixture
def server(settings: Settings) -> Iterator[Proxy]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
    with Proxy() as running:
        yield running


def serves(server: Proxy, body: str | bytes, status: int = 200, **headers: str) -> None:
    content = body.encode() if isinstance(body, str) else body
    server.answer = lambda ask: Canned(status, content, headers)


def url_of(server: Proxy) -> str:
    return f"{server.url}{CANARY}/basic.ics?key={CANARY}"


def provider(server: Proxy, **facts: Any) -> IcsProvider:
    return IcsProvider(Connection(email="alice@acme.example", credentials={"url": url_of(server)}, **facts))


def read(server: Proxy, cursor: str = "", **facts: Any) -> Read:
    return Read.of(provider(server).changes(CalendarState(external_id=CALENDAR, cursor=cursor, **facts)))


def test_feed_is_asked_for_with_its_whole_address_and_an_honest_name(server: Proxy) -> None:
    serves(server, TWO)
    assert set(read(server).resources) == {"a", "b"}
    (ask,) = server.asked
    assert ask.path == f"/{CANARY}/basic.ics?key={CANARY}"
    assert ask.headers["User-Agent"].startswith("crm-calendar-sync/")


def test_second_reading_asks_by_etag_and_date_and_believes_304(server: Proxy) -> None:
    validators = {"ETag": '"1"', "Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}
    server.answer = lambda ask: Canned(200, TWO.encode(), validators)
    first = read(server)
    server.answer = lambda ask: Canned(304)
    second = read(server, first.cursor)
    assert isinstance(second.end, Delta)
    assert (second.pages, second.cursor) == (0, first.cursor)
    asked = server.asked[-1].headers
    assert (asked["If-None-Match"], asked["If-Modified-Since"]) == ('"1"', "Sun, 01 Mar 2026 12:00:00 GMT")


def test_304_to_a_question_without_conditions_is_no_answer(server: Proxy) -> None:
    serves(server, "", 304)
    with pytest.raises(UnexpectedAnswer):
        read(server)


def test_feed_that_is_rewritten_at_every_read_changes_nothing(server: Proxy) -> None:
    serves(server, TWO, ETag='"1"')
    first = read(server)
    rewritten = TWO.replace("20260101T000000Z", "20260202T020202Z").replace("PRODID:-//Example", "PRODID:-//Other")
    serves(server, rewritten, ETag='"2"')
    second = read(server, first.cursor)
    assert isinstance(second.end, Delta)
    assert second.pages == 0
    server.answer = lambda ask: Canned(304)
    read(server, second.cursor)
    assert server.asked[-1].headers["If-None-Match"] == '"2"'


def test_list_and_reading_share_one_request(server: Proxy) -> None:
    serves(server, TWO, ETag='"1"')
    first = provider(server)
    assert [calendar.external_id for calendar in first.calendars()] == [CALENDAR]
    cursor = Read.of(first.changes(CalendarState(external_id=CALENDAR))).cursor
    assert len(server.asked) == 1
    server.answer = lambda ask: Canned(304)
    second = provider(server, state=first.state())
    second.calendars()
    assert isinstance(Read.of(second.changes(CalendarState(external_id=CALENDAR, cursor=cursor))).end, Delta)
    assert len(server.asked) == 2


def test_full_reading_after_an_unchanged_list_asks_without_conditions(server: Proxy) -> None:
    serves(server, TWO, ETag='"1"')
    first = provider(server)
    first.calendars()
    second = provider(server, state=first.state())
    server.answer = lambda ask: Canned(304) if "If-None-Match" in ask.headers else Canned(200, TWO.encode())
    second.calendars()
    assert isinstance(Read.of(second.changes(CalendarState(external_id=CALENDAR))).end, Snapshot)


def test_calendar_is_called_as_the_feed_says_or_as_its_host(server: Proxy) -> None:
    serves(server, calendar_object("X-WR-CALNAME:Team", "X-WR-TIMEZONE:W. Europe Standard Time"))
    (named,) = provider(server).calendars()
    assert (named.name, named.time_zone) == ("Team", "Europe/Berlin")
    serves(server, calendar_object("X-WR-TIMEZONE:Nowhere"))
    (unnamed,) = provider(server).calendars()
    assert (unnamed.name, unnamed.time_zone) == ("127.0.0.1", "")


@pytest.mark.parametrize(
    ("canned", "expected"),
    [
        pytest.param(Canned(206, TWO.encode()), UnexpectedAnswer, id="a part of it"),
        pytest.param(Canned(200, TWO.encode()[:-16]), UnexpectedAnswer, id="cut off"),
        pytest.param(Canned(204), UnexpectedAnswer, id="no content"),
        pytest.param(Canned(401), ReconnectNeeded, id="a password is asked for"),
        pytest.param(Canned(404), CalendarGone, id="not there"),
        pytest.param(Canned(410), CalendarGone, id="gone"),
        pytest.param(Canned(200, TWO.encode(), {"Content-Encoding": "gzip"}), Unreachable, id="no gzip"),
    ],
)
@pytest.mark.parametrize("listing", [True, False])
def test_bad_answer_is_a_failure_and_never_an_empty_calendar(
    server: Proxy, canned: Canned, expected: type[ProviderError], listing: bool
) -> None:
    server.answer = lambda ask: canned
    with pytest.raises(ProviderError) as caught:
        provider(server).calendars() if listing else read(server)
    assert isinstance(caught.value, expected)
    assert CANARY not in caught.value.reason


def test_feed_that_is_too_large_is_cut_at_the_cap(server: Proxy, settings: Settings) -> None:
    settings.ICS_MAX_BYTES = 1024
    serves(server, calendar_object(*[component(str(number), START) for number in range(50)]))
    with pytest.raises(TooLarge):
        read(server)


def test_redirects_to_other_sites_are_followed_for_a_while(server: Proxy) -> None:
    with Proxy() as elsewhere:
        serves(elsewhere, TWO)
        there = elsewhere.url.replace("127.0.0.1", "localhost")
        serves(server, "", 302, Location=f"{there}moved.ics")
        assert set(read(server).resources) == {"a", "b"}
        serves(elsewhere, "", 302, Location=f"{there}again.ics")
        with pytest.raises(UnexpectedAnswer):
            read(server)


def test_redirect_into_our_own_network_is_refused(server: Proxy, settings: Settings) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["localhost"]
    serves(server, "", 302, Location="http://169.254.169.254/latest/meta-data/")
    credentials = {"url": url_of(server).replace("127.0.0.1", "localhost")}
    with pytest.raises(ProviderError) as caught:
        IcsProvider(Connection(email="a@b.example", credentials=credentials)).calendars()
    assert caught.value.code == "address_refused"


def test_password_is_sent_to_its_own_site_only(server: Proxy) -> None:
    with Proxy() as elsewhere:
        serves(server, "", 302, Location=elsewhere.url)
        credentials = {"url": server.url, "username": "alice", "password": CANARY}
        with pytest.raises(UnexpectedAnswer):
            IcsProvider(Connection(email="a@b.example", credentials=credentials)).calendars()
        assert server.asked[0].headers["Authorization"].startswith("Basic ")
        assert elsewhere.asked == []


def test_cursor_of_another_address_is_lost(server: Proxy) -> None:
    serves(server, TWO)
    cursor = read(server).cursor
    moved = IcsProvider(Connection(email="a@b.example", credentials={"url": f"{server.url}other.ics"}))
    with pytest.raises(CursorLost):
        Read.of(moved.changes(CalendarState(external_id=CALENDAR, cursor=cursor)))


def test_one_event_that_is_not_understood_is_withheld_and_the_others_are_read(server: Proxy) -> None:
    serves(
        server, calendar_object(component("good", START), component("bad", "DTSTART;TZID=Nowhere/Land:20260320T090000"))
    )
    found = read(server)
    assert set(found.resources) == {"good"}
    assert set(found.withheld) == {"bad"}
    assert isinstance(found.end, Snapshot)


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("webcal://127.0.0.1:9/x.ics?k=1", "https://127.0.0.1:9/x.ics?k=1"),
        ("WEBCALS://127.0.0.1/x.ics", "https://127.0.0.1/x.ics"),
        (" https://127.0.0.1/x.ics#top ", "https://127.0.0.1/x.ics"),
        ("127.0.0.1/x.ics", "https://127.0.0.1/x.ics"),
        ("http://127.0.0.1/a%2Fb.ics?q=a%26b", "http://127.0.0.1/a%2Fb.ics?q=a%26b"),
    ],
)
def test_address_as_it_is_stored(server: Proxy, given: str, stored: str) -> None:
    assert IcsProvider.credentials_from({"url": given}, email="a@b.example") == {"url": stored}


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({}, "url"),
        ({"url": ""}, "url"),
        ({"url": 7}, "url"),
        ({"url": "ftp://example.com/x.ics"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "https://u:p@example.com/x.ics"}, "url"),
        ({"url": "https://169.254.169.254/x.ics"}, "url"),
        ({"url": "https://10.0.0.1/x.ics"}, "url"),
        ({"url": "https://example.com/" + "x" * 3000}, "url"),
        ({"url": "https://127.0.0.1/", "username": "a:b", "password": "p"}, "username"),
        ({"url": "https://127.0.0.1/", "password": ["p"]}, "password"),
    ],
)
def test_address_that_cannot_be_used_names_its_field(server: Proxy, data: dict[str, Any], field: str) -> None:
    with pytest.raises(BadProviderData) as caught:
        IcsProvider.credentials_from(data, email="a@b.example")
    assert caught.value.field == field


# From end to end -----------------------------------------------------------------------------------------------------


def connected(server: Proxy) -> CalendarAccount:
    body = {"provider": "ics", "email": "alice@acme.example", "provider_data": {"url": url_of(server)}}
    response = alice().post("/users/alice/calendar_accounts", {"calendar_account": body})
    assert response.status_code == 201, response.content
    assert response.json()["data"]["attributes"]["connected"] is True
    assert CANARY.encode() not in response.content
    return CalendarAccount.objects.get()


@pytest.mark.django_db
def test_feed_becomes_busy_time_and_a_second_sync_writes_nothing(server: Proxy) -> None:
    serves(server, TWO, ETag='"1"')
    account = connected(server)
    assert synced(account).changes.created == 2
    assert titles(account) == ["A", "B"]
    server.forget()
    revision = CrmUser.objects.get().revision
    server.answer = lambda ask: Canned(304)
    verdict = synced(account)
    assert verdict.succeeded
    assert (verdict.changes.created, verdict.changes.updated, verdict.changes.deleted) == (0, 0, 0)
    assert len(server.asked) == 1
    assert CrmUser.objects.get().revision == revision


@pytest.mark.django_db
def test_event_that_is_not_in_the_feed_any_more_goes(server: Proxy) -> None:
    serves(server, TWO)
    account = connected(server)
    synced(account)
    serves(server, event("a", START, "SUMMARY:A2"))
    verdict = synced(account)
    assert (verdict.changes.updated, verdict.changes.deleted) == (1, 1)
    assert titles(account) == ["A2"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "canned",
    [
        Canned(200, calendar_object().encode()),
        Canned(200, b"<html></html>"),
        Canned(206, calendar_object().encode()),
        Canned(404),
        Canned(410),
        Canned(500),
    ],
)
def test_nothing_is_deleted_by_a_bad_answer_however_often_it_comes(server: Proxy, canned: Canned) -> None:
    serves(server, TWO)
    account = connected(server)
    synced(account)
    server.answer = lambda ask: canned
    now = timezone.now()
    for hours in (0, 1, 2) if canned.body != calendar_object().encode() else (0,):
        with travel(now + timedelta(hours=hours), tick=False):
            assert not synced(account).succeeded
    assert set(ledger(account)) == {"a", "b"}
    assert CalendarAccount.objects.get().last_error
    assert Calendar.objects.count() == 1


@pytest.mark.django_db
def test_brake_is_released_by_the_next_full_reading_of_an_unchanged_feed(server: Proxy) -> None:
    server.answer = lambda ask: (
        Canned(304)
        if ask.headers.get("If-None-Match") == '"2"'
        else Canned(200, calendar_object().encode(), {"ETag": '"2"'})
    )
    serving = server.answer
    serves(server, TWO, ETag='"1"')
    account = connected(server)
    synced(account)
    server.answer = serving
    now = timezone.now()
    synced(account)
    assert set(ledger(account)) == {"a", "b"}
    with travel(now + timedelta(minutes=11), tick=False):
        synced(account)
    assert ledger(account) == {}


@pytest.mark.django_db
def test_new_zone_of_the_feed_moves_its_floating_events(server: Proxy) -> None:
    floating = component("a", "DTSTART:20260320T090000")
    serves(server, calendar_object("X-WR-TIMEZONE:Europe/Berlin", floating))
    account = connected(server)
    synced(account)
    before = ledger(account)
    serves(server, calendar_object("X-WR-TIMEZONE:Asia/Tokyo", floating))
    with travel(timezone.now() + timedelta(minutes=20), tick=False):
        assert synced(account).changes.updated == 1
    assert ledger(account) != before


@pytest.mark.django_db
def test_two_feeds_of_one_user_are_two_accounts_and_the_same_one_is_a_reconnect(
    server: Proxy, settings: Settings
) -> None:
    account = connected(server)
    assert connected(server).pk == account.pk
    other = {"provider": "ics", "email": "alice@acme.example", "provider_data": {"url": f"{server.url}other.ics"}}
    alice().post("/users/alice/calendar_accounts", {"calendar_account": other})
    assert CalendarAccount.objects.count() == 2


@pytest.mark.django_db
def test_address_stands_nowhere_but_encrypted(
    server: Proxy, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    serves(server, TWO)
    account = connected(server)
    synced(account)
    serves(server, "", 500)
    synced(account)
    client = alice()
    seen = client.get("/users/alice/calendar_accounts").content
    seen += client.get(f"/users/alice/calendar_accounts/{account.unique_id}/calendars").content
    account = CalendarAccount.objects.get()
    calendar = Calendar.objects.get()
    public = replace(provider(server).connection, credentials={})
    words = f"{account.provider_state} {calendar.external_id} {calendar.cursor} {account.last_error} {public}"
    written = f"{seen.decode()} {words} {caplog.text} {capsys.readouterr().err}"
    assert CANARY not in written
    accounts.disconnect(account, now=timezone.now())
