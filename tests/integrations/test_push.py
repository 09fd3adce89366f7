"""Channels at simulated vendors: opened, told on, renewed, closed; and what strangers can do at the doors."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from time_machine import travel

from calendars.models import Calendar, CalendarAccount, PushChannel
from calendars.oauth import Tokens
from calendars.providers import Unreachable
from calendars.services import accounts, channels, farewells
from calendars.sync import engine
from tenancy.models import Company, CrmUser
from tests.calendars.mirror import titles
from tests.contracts.contract import ALICE
from tests.integrations.google import simulated_google
from tests.integrations.outlook import simulated_graph
from tests.proxy import Canned
from tests.simulators.google import GoogleSimulator
from tests.simulators.google.events import timed
from tests.simulators.graph import GraphSimulator

pytestmark = pytest.mark.django_db

PUSH_URL = "https://calendar.example"


@pytest.fixture
def google(settings: Settings) -> Iterator[GoogleSimulator]:
    settings.PUSH_URL = PUSH_URL
    with simulated_google(settings) as running:
        yield running


@pytest.fixture
def graph(settings: Settings) -> Iterator[GraphSimulator]:
    settings.PUSH_URL = PUSH_URL
    settings.CALENDAR_PROVIDERS = {"outlook": "integrations.outlook.provider.OutlookProvider"}
    with simulated_graph(settings) as running:
        running.subscriptions.handshakes = False
        yield running


def mirrored(provider: str, tokens: Tokens) -> CalendarAccount:
    """alice's account, synced once, before anybody rang."""
    company, _ = Company.objects.get_or_create(url_id="acme")
    alice, _ = CrmUser.objects.get_or_create(company=company, unique_id="alice")
    account = accounts.connect(alice, provider=provider, email=ALICE, tokens=tokens, now=timezone.now())
    verdict = engine.sync_account(account.pk, due_at=timezone.now() + timedelta(seconds=1))
    assert verdict is not None
    assert verdict.succeeded, verdict
    return account


@pytest.fixture
def at_google(google: GoogleSimulator) -> CalendarAccount:
    access, refresh = google.grant(ALICE)
    return mirrored("google", Tokens(access_token=access, refresh_token=refresh))


@pytest.fixture
def at_microsoft(graph: GraphSimulator) -> CalendarAccount:
    tokens = Tokens(access_token=graph.sign_in.access_token(), refresh_token=graph.sign_in.refresh_token())
    return mirrored("outlook", tokens)


def tended() -> int:
    """One beat: everything that needs care gets it."""
    return channels.ring_due(timezone.now())


def google_message(google: GoogleSimulator, changes: dict[str, str] | None = None, *, number: int = -1) -> Any:
    return Client().post("/push/google", headers=google.push.messages[number] | (changes or {}))


def graph_message(*notifications: dict[str, Any]) -> Any:
    return Client().post("/push/outlook", {"value": list(notifications)}, content_type="application/json")


def notification(graph: GraphSimulator, **changes: Any) -> dict[str, Any]:
    (live,) = graph.subscriptions.live.values()
    return {"subscriptionId": live.id, "clientState": live.facts["clientState"], "changeType": "updated", **changes}


# Google --------------------------------------------------------------------------------------------------------------


def test_channel_is_opened_once_at_our_address_until_the_end_that_google_names(
    google: GoogleSimulator, at_google: CalendarAccount
) -> None:
    tended()
    (channel,) = google.push.open.values()
    row = PushChannel.objects.get()
    assert channel.address == f"{PUSH_URL}/push/google"
    assert (row.channel_id, row.resource_id, row.expires_at) == (channel.id, channel.resource_id, channel.expires_at)
    assert channel.token
    assert channel.token not in str(PushChannel.objects.values().get())
    assert tended() == 0
    assert len(google.push.open) == 1


def test_service_without_an_https_address_opens_none(
    google: GoogleSimulator, at_google: CalendarAccount, settings: Settings
) -> None:
    settings.PUSH_URL = ""
    assert tended() == 0
    assert google.push.open == {}


def test_message_of_google_brings_the_change(google: GoogleSimulator, at_google: CalendarAccount) -> None:
    tended()
    google.put(ALICE, "standup", timed("2026-03-20T09:00", summary="Standup"))
    assert titles(at_google) == []
    assert google_message(google).status_code == 204
    assert titles(at_google) == ["Standup"]


def test_first_message_only_says_that_the_channel_is_open(google: GoogleSimulator, at_google: CalendarAccount) -> None:
    tended()
    asked = len(google.asked)
    assert google.push.messages[0]["X-Goog-Resource-State"] == "sync"
    assert google_message(google, number=0).status_code == 204
    assert len(google.asked) == asked


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Goog-Channel-Token": "wrong"},
        {"X-Goog-Channel-Token": ""},
        {"X-Goog-Channel-ID": "unknown"},
        {"X-Goog-Channel-ID": "x" * 5000},
        {"X-Goog-Resource-ID": "another"},
    ],
)
def test_forged_message_at_googles_door_does_nothing(
    google: GoogleSimulator, at_google: CalendarAccount, changes: dict[str, str]
) -> None:
    """Row 24."""
    tended()
    google.put(ALICE, "standup", timed("2026-03-20T09:00"))
    asked = len(google.asked)
    response = google_message(google, changes)
    assert (response.status_code, len(google.asked)) == (404, asked)


def test_channel_near_its_end_is_followed_by_another_and_then_closed(
    google: GoogleSimulator, at_google: CalendarAccount
) -> None:
    tended()
    (old,) = google.push.open
    open_at_stop: list[int] = []
    google.before(lambda: open_at_stop.append(len(google.push.open)), path="/channels/stop")
    with travel(timezone.now() + timedelta(days=6, hours=1), tick=False):
        tended()
    (new,) = google.push.open
    assert new != old
    assert open_at_stop == [2]
    assert PushChannel.objects.get().channel_id == new


def test_calendar_that_cannot_be_watched_is_polled_and_not_asked_about_all_the_time(
    google: GoogleSimulator, at_google: CalendarAccount
) -> None:
    google.push.unwatchable.add(ALICE)
    assert tended() == 1
    assert tended() == 0
    assert not PushChannel.objects.exists()
    assert Calendar.objects.get().push_retry_at is not None


def test_vendor_in_trouble_is_asked_again_later_and_leaves_no_row(
    google: GoogleSimulator, at_google: CalendarAccount
) -> None:
    google.fail(Canned(500), path="/watch")
    assert tended() == 1
    assert not PushChannel.objects.exists()
    assert tended() == 0
    with travel(timezone.now() + timedelta(minutes=16), tick=False):
        tended()
    assert PushChannel.objects.count() == 1


@pytest.mark.parametrize("column", ["sync_enabled"])
def test_calendar_that_is_left_out_has_its_channel_closed(
    google: GoogleSimulator, at_google: CalendarAccount, column: str
) -> None:
    tended()
    accounts.leave_out(Calendar.objects.get(), now=timezone.now())
    tended()
    assert google.push.open == {}
    assert not PushChannel.objects.exists()


def test_disconnected_account_has_its_channels_closed_and_its_grant_revoked(
    google: GoogleSimulator, at_google: CalendarAccount
) -> None:
    tended()
    google.oauth.expire_access_tokens()
    accounts.disconnect(at_google, now=timezone.now())
    farewells.sweep(timezone.now())
    assert google.push.open == {}
    assert all(grant.revoked for grant in google.oauth.grants)


# Microsoft -----------------------------------------------------------------------------------------------------------


def test_handshake_gives_the_token_back_decoded_and_as_plain_text(db: None) -> None:
    token = "Validation: <script>alert(1)</script> &+%20 ü"
    response = Client().post(f"/push/outlook?{urlencode({'validationToken': token})}")
    assert (response.status_code, response.content.decode()) == (200, token)
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_endless_validation_token_is_refused(db: None) -> None:
    assert Client().post(f"/push/outlook?validationToken={'x' * 5000}").status_code == 400


def test_subscription_is_opened_once_with_both_addresses(graph: GraphSimulator, at_microsoft: CalendarAccount) -> None:
    tended()
    (live,) = graph.subscriptions.live.values()
    assert live.facts["notificationUrl"] == live.facts["lifecycleNotificationUrl"] == f"{PUSH_URL}/push/outlook"
    row = PushChannel.objects.get()
    assert row.channel_id == live.id
    assert live.facts["clientState"] not in str(PushChannel.objects.values().get())
    assert tended() == 0


def test_message_of_graph_brings_the_change(graph: GraphSimulator, at_microsoft: CalendarAccount) -> None:
    tended()
    graph.alice.put("work", "standup", "2026-03-20T09:00", subject="Standup")
    assert graph_message(notification(graph)).status_code == 202
    assert len(titles(at_microsoft)) == 1


def test_of_mixed_messages_only_the_true_ones_count_and_one_sync_follows(
    graph: GraphSimulator, at_microsoft: CalendarAccount
) -> None:
    """Row 24."""
    tended()
    true = notification(graph)
    forged = notification(graph, clientState="wrong")
    before = CalendarAccount.objects.get().push_told
    assert graph_message(forged, forged, {"subscriptionId": ["x"]}, "text").status_code == 202  # type: ignore[arg-type]
    assert CalendarAccount.objects.get().push_told == before
    assert graph_message(forged, true, true, true).status_code == 202
    assert CalendarAccount.objects.get().push_told == before + 1


@pytest.mark.parametrize("body", ["", "{", "[]", '{"value": {}}', '{"value": null}', "[" * 5000])
def test_nonsense_at_microsofts_door_is_taken_and_forgotten(db: None, body: str) -> None:
    assert Client().post("/push/outlook", body, content_type="application/json").status_code == 202


def test_subscription_near_its_end_is_renewed_in_place(graph: GraphSimulator, at_microsoft: CalendarAccount) -> None:
    tended()
    before = PushChannel.objects.get()
    with travel(timezone.now() + timedelta(days=6, hours=1), tick=False):
        tended()
    after = PushChannel.objects.get()
    assert after.channel_id == before.channel_id
    assert after.expires_at > before.expires_at


def test_subscription_that_graph_forgot_is_opened_again(graph: GraphSimulator, at_microsoft: CalendarAccount) -> None:
    tended()
    before = PushChannel.objects.get()
    graph.subscriptions.live.clear()
    with travel(timezone.now() + timedelta(days=6, hours=1), tick=False):
        tended()
    assert PushChannel.objects.get().channel_id != before.channel_id


def test_removed_subscription_is_opened_again_and_the_calendar_read(
    graph: GraphSimulator, at_microsoft: CalendarAccount
) -> None:
    tended()
    said = notification(graph, lifecycleEvent="subscriptionRemoved")
    graph.subscriptions.live.clear()
    graph.alice.put("work", "standup", "2026-03-20T09:00")
    graph_message(said)
    assert len(titles(at_microsoft)) == 1
    assert PushChannel.objects.get().channel_id in graph.subscriptions.live


def test_subscription_that_wants_to_be_reauthorized_is_renewed(
    graph: GraphSimulator, at_microsoft: CalendarAccount
) -> None:
    tended()
    asked = len(graph.asked)
    graph_message(notification(graph, lifecycleEvent="reauthorizationRequired"))
    assert [ask.method for ask in graph.asked[asked:]] == ["PATCH"]
    assert PushChannel.objects.get().expires_at > timezone.now() + timedelta(days=6)


def test_missed_messages_are_made_up_for_by_a_sync(graph: GraphSimulator, at_microsoft: CalendarAccount) -> None:
    tended()
    graph.alice.put("work", "standup", "2026-03-20T09:00")
    graph_message(notification(graph, lifecycleEvent="missed"))
    assert len(titles(at_microsoft)) == 1


def test_forged_lifecycle_event_closes_nothing(graph: GraphSimulator, at_microsoft: CalendarAccount) -> None:
    tended()
    before = PushChannel.objects.get()
    graph_message(notification(graph, lifecycleEvent="subscriptionRemoved", clientState="wrong"))
    assert PushChannel.objects.get().expires_at == before.expires_at


def test_subscription_is_ended_with_its_calendar(graph: GraphSimulator, at_microsoft: CalendarAccount) -> None:
    tended()
    accounts.leave_out(Calendar.objects.get(), now=timezone.now())
    tended()
    assert graph.subscriptions.live == {}


@pytest.mark.parametrize("door", ["/push/google", "/push/outlook"])
def test_doors_open_to_posts_only(db: None, door: str) -> None:
    assert Client().get(door).status_code == 405


def test_database_in_trouble_is_not_said_to_be_understood(
    google: GoogleSimulator, at_google: CalendarAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    tended()

    def fail(*args: Any, **kwargs: Any) -> None:
        raise Unreachable("The database is away.")

    monkeypatch.setattr("integrations.push.push.tell", fail)
    client = Client(raise_request_exception=False)
    assert (
        client.post("/push/google", headers=google.push.messages[0] | {"X-Goog-Resource-State": "exists"}).status_code
        >= 500
    )
