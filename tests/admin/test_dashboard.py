"""The first page: what needs a person, with the button that solves it, and what the last day brought."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils import timezone
from time_machine import travel

from calendars.models import CalendarAccount, Meeting, SyncHour, SyncRun
from calendars.services import hours, syncs
from config.charts import HEIGHT, chart
from icsfeeds import accesses
from icsfeeds import hours as read_hours
from icsfeeds.models import ICSToken, ReadHour
from integrations.models import DeliveryState, WebhookDelivery
from tenancy.models import AuditEntry, Company
from tests.admin.world import administrator, company, fill, operator, page_of
from tests.calendars.mirror import mirrored_account

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, 20, tzinfo=UTC)
HOUR = NOON.replace(minute=0)


def board(client: Client) -> Any:
    response = client.get("/admin/")
    assert response.status_code == 200
    return response.context


def charts(client: Client) -> dict[str, str]:
    """Title → the number beside the chart."""
    return {chart.title: chart.shown for chart in board(client)["charts"]}


def press(client: Client, label: str) -> Any:
    """Press the first button of this name on the first page, as a browser does; the page that follows."""
    items = [item for concern in board(client)["concerns"] for item in concern.items]
    (button, *_) = [item.button for item in items if item.button and str(item.button.label) == label]
    if not button.action:
        return client.get(button.url, follow=True)
    body = {"action": button.action, "_selected_action": button.pk, "index": 0, "select_across": 0, "from_row": 1}
    return client.post(button.url, body, follow=True)


@pytest.fixture
def acmes(monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: None)
    fill(company("acme"), 1)
    return administrator(company("acme"))


def test_account_that_fails_is_synced_by_its_button(acmes: Client) -> None:
    SyncRun.objects.all().delete()
    page = press(acmes, "Sync now")
    assert "Syncs started: 1." in page.content.decode()
    assert SyncRun.objects.get().status == "queued"


def test_account_to_connect_again_gets_a_link_for_its_owner(acmes: Client, settings: Any) -> None:
    settings.OAUTH = {**settings.OAUTH, "google": {**settings.OAUTH["google"], "client_id": "id", "client_secret": "s"}}
    CalendarAccount.objects.update(
        provider="google", last_error_code="reconnect_needed", last_error="The vendor refuses.", connected=False
    )
    page = press(acmes, "Connect again")
    (row,) = page.context["links"]
    assert row["link"].startswith("http://testserver/oauth/google/start?state=")
    assert AuditEntry.objects.filter(verb="link_made").count() == 1


def test_account_of_a_vendor_without_a_sign_in_page_is_connected_again_on_ours(acmes: Client) -> None:
    CalendarAccount.objects.update(last_error_code="reconnect_needed")
    page = press(acmes, "Connect again")
    (row,) = page.context["links"]
    assert acmes.get(row["link"].removeprefix("http://testserver")).status_code == 200
    assert AuditEntry.objects.get(verb="link_made").target_model == "calendars.calendaraccount"


def test_brake_shows_what_would_go_before_anything_does(acmes: Client) -> None:
    page = press(acmes, "See what would go")
    assert "Yes, delete these 1" in page.content.decode()


def test_failed_delivery_is_replayed_by_its_button(acmes: Client) -> None:
    press(acmes, "Replay")
    assert AuditEntry.objects.filter(verb="replayed").count() == 1
    assert not WebhookDelivery.objects.filter(state=DeliveryState.RECEIVED, attempts__gt=0).exists()


def test_booking_of_nobody_known_is_assigned_by_its_button(acmes: Client) -> None:
    soon = timezone.now() + timedelta(days=1)
    facts: dict[str, Any] = {"company": company("acme"), "source": "calcom", "start_time": soon, "end_time": soon}
    booking = Meeting.objects.create(**facts, title="Demo", organizer_email="new@acme.example")
    Meeting.objects.create(**facts, title="Called off", status="cancelled")
    Meeting.objects.create(**{**facts, "company": company("globex")}, title="Theirs")
    (concern,) = [one for one in board(acmes)["concerns"] if str(one.title) == "Bookings of nobody known"]
    assert (concern.count, concern.items[0].why) == (1, "Demo, new@acme.example")
    assert press(acmes, "Assign").request["PATH_INFO"] == page_of(booking)


def test_company_without_a_secret_gets_one_by_its_button(acmes: Client) -> None:
    company("acme").calcom_secrets.all().delete()
    page = press(acmes, "Add a secret")
    assert page.context["adminform"].form.initial["company"] == str(company("acme").pk)


def test_buttons_are_there_for_whoever_may_press_them(acmes: Client) -> None:
    staff = board(acmes)["user"]
    staff.groups.clear()
    staff.user_permissions.set(_permissions("view_calendaraccount", "view_webhookdelivery"))
    items = [item for concern in board(acmes)["concerns"] for item in concern.items]
    assert items
    assert [item.button for item in items if item.button] == []


def test_accounts_are_counted_by_provider_and_by_how_they_fare(acmes: Client) -> None:
    for number, state in enumerate([{}, {"sync_enabled": False}, {}]):
        account = mirrored_account(user=f"user{number}", email=f"user{number}@acme.example")
        CalendarAccount.objects.filter(pk=account.pk).update(**state)
    rows = {row.name: row for row in board(acmes)["providers"]}
    assert [(part.count, part.word) for part in rows["CalDAV"].parts] == [(2, "fine"), (1, "paused")]
    assert [(part.x, part.width) for part in rows["CalDAV"].parts] == [(0.0, 66.67), (66.67, 33.33)]
    assert rows["CalDAV"].text == "CalDAV: 2 fine, 1 paused"
    assert [(part.count, part.word) for part in rows["ICS address"].parts] == [(1, "failing")]
    listed = acmes.get(rows["CalDAV"].parts[1].url).context["cl"]
    assert listed.result_count == 1


def test_other_companies_are_in_no_number(acmes: Client) -> None:
    fill(company("globex"), 2)
    _a_day(company("globex"))
    theirs = board(acmes)
    assert sum(row.count for row in theirs["providers"]) == 1
    assert {chart.shown for chart in theirs["charts"] if chart.title != "Webhooks"} == {"0", "0.0"}
    assert len(theirs["runs"]) == 1
    assert "globex" not in acmes.get("/admin/").content.decode()
    assert not [tile for tile in theirs["tiles"] if "Queue" in str(tile.title)]


def _a_day(owner: Company) -> None:
    now = timezone.now()
    hours.note(owner.pk, failed=False, changed=5, took=timedelta(seconds=2), now=now)
    hours.note(owner.pk, failed=True, changed=2, took=timedelta(seconds=1), now=now - timedelta(hours=3))
    hours.write()
    ReadHour.objects.create(company=owner, hour=now.replace(minute=0, second=0, microsecond=0), reads=7)


def test_charts_tell_of_the_last_day() -> None:
    with travel(NOON, tick=False):
        client = operator()
        _a_day(company("acme"))
        hours.note(company("acme").pk, failed=True, changed=9, took=timedelta(0), now=NOON - timedelta(hours=24))
        hours.write()
        fill(company("acme"), 1)
        assert charts(client) == {
            "Events changed": "7",
            "Seconds for a sync": "1.5",
            "Syncs that failed": "1",
            "Webhooks": "1",
            "Feed reads": "7",
        }
        events = board(client)["charts"][0]
    assert events.text == "Events changed in the last 24 hours: 7. The most, 5, from 12:00 UTC."
    assert [bar.text for bar in events.bars if bar.height > 1] == ["09:00 UTC: 2", "12:00 UTC: 5"]
    assert events.bars[-1].height == HEIGHT


def test_chart_shows_what_is_little_beside_much() -> None:
    bars = chart("Events", {HOUR: 1000, HOUR - timedelta(hours=1): 1}, now=NOON).bars
    assert [bar.height for bar in bars[-3:]] == [1, 2, HEIGHT]
    assert [bar.y + bar.height for bar in bars] == [HEIGHT] * 24


def test_chart_of_nothing_is_flat() -> None:
    flat = chart("Events", {}, now=NOON, colour="bad")
    assert {bar.height for bar in flat.bars} == {1}
    assert (flat.shown, flat.colour, flat.text) == ("0", "plain", "Events in the last 24 hours: 0.")


def test_tiles_say_since_when_the_oldest_account_waits() -> None:
    client = operator()
    account = mirrored_account()
    since = timezone.now() - timedelta(minutes=7, seconds=9)
    CalendarAccount.objects.filter(pk=account.pk).update(next_attempt_at=since)
    tiles = {str(tile.title): tile for tile in board(client)["tiles"]}
    due = tiles["Accounts due for a sync"]
    assert (due.number, due.note, due.worries) == (1, "the first for 7 min", True)
    assert {"Queue “push”", "Queue “webhooks”", "Queue “poll”", "Queue “bulk”"} <= tiles.keys()


def test_every_sync_is_counted_in_its_hour() -> None:
    acme = company("acme")
    for changed, failed in ((3, False), (0, True)):
        hours.note(acme.pk, failed=failed, changed=changed, took=timedelta(milliseconds=1500), now=NOON)
        hours.write()
    hours.note(acme.pk, failed=False, changed=1, took=timedelta(0), now=NOON + timedelta(hours=1))
    hours.write()
    found = SyncHour.objects.order_by("hour").values_list("hour", "syncs", "failures", "events_changed", "milliseconds")
    assert list(found) == [(HOUR, 2, 1, 3, 3000), (HOUR + timedelta(hours=1), 1, 0, 1, 0)]
    assert hours.clear_old(now=HOUR + hours.KEPT + timedelta(minutes=1)) == 1
    assert SyncHour.objects.count() == 1


def test_reads_of_feeds_are_counted_with_their_tokens() -> None:
    fill(company("acme"), 2)
    first, second = ICSToken.objects.order_by("pk")
    for token, times in ((first, 3), (second, 2)):
        for _ in range(times):
            accesses.note(token.pk, agent="", now=NOON)
    accesses.note(10**9, agent="of a token that is gone", now=NOON)
    accesses.write()
    accesses.note(first.pk, agent="", now=NOON + timedelta(minutes=30))
    accesses.write()
    assert list(ReadHour.objects.values_list("company__url_id", "hour", "reads")) == [("acme", HOUR, 6)]
    assert read_hours.clear_old(now=HOUR + read_hours.KEPT + timedelta(minutes=1)) == 1


def _permissions(*names: str) -> Any:
    return Permission.objects.filter(codename__in=names)
