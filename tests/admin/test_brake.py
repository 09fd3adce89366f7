"""Clearing the brake: first what would go, then exactly that."""

from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from busyblocks.models import BusyBlock
from calendars.models import Calendar, CalendarAccount
from tests.admin.world import MONDAY, act, messages_of, operator, page_of
from tests.calendars.mirror import MEMORY, ledger, mirrored_account, synced
from tests.contracts import memory

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(settings: LazySettings) -> CalendarAccount:
    """An account of which the brake holds two rows of "work" and one of "home"."""
    settings.CALENDAR_PROVIDERS = MEMORY
    server = memory.start()
    for calendar, number in (("work", 1), ("work", 2), ("work", 3), ("home", 4)):
        server.put(calendar, f"event-{number}", memory.entry("2026-03-02T09:00", title=f"Event {number}"))
    account = mirrored_account()
    synced(account)
    hold("Event 1", "Event 2", "Event 4")
    return account


@pytest.fixture
def client(db: None) -> Client:
    return operator()


def hold(*titles: str) -> None:
    BusyBlock.objects.filter(title__in=titles).update(absent_since=MONDAY)
    for calendar in Calendar.objects.all():
        calendar.held_count = BusyBlock.objects.filter(origin=calendar.origin, absent_since__isnull=False).count()
        calendar.save()


def confirmed(client: Client, page: Any, account: CalendarAccount) -> Any:
    """Press the page's button."""
    return act(client, "clear_the_brake", account, seen=page.context["seen"])


def test_page_shows_what_would_go_by_calendar_and_deletes_nothing(client: Client, account: CalendarAccount) -> None:
    page = act(client, "clear_the_brake", account)
    shown = {str(item.calendar): [block.title for block in item.rows] for item in page.context["held"]}
    assert shown == {"home": ["Event 4"], "work": ["Event 1", "Event 2"]}
    html = page.content.decode()
    assert "Event 1" in html
    assert "Event 3" not in html
    assert len(ledger(account)) == 4


def test_confirming_deletes_exactly_what_was_shown(client: Client, account: CalendarAccount) -> None:
    before = account.user.revision
    page = act(client, "clear_the_brake", account)
    response = confirmed(client, page, account)
    assert messages_of(response) == ["Held rows deleted: 3."]
    assert list(ledger(account)) == ["event-3"]
    assert not Calendar.objects.filter(held_count__gt=0).exists()
    account.user.refresh_from_db()
    assert account.user.revision > before


def test_what_was_held_meanwhile_has_to_be_looked_at_first(client: Client, account: CalendarAccount) -> None:
    page = act(client, "clear_the_brake", account)
    hold("Event 3")
    second = confirmed(client, page, account)
    assert messages_of(second) == ["What is held has changed meanwhile, so nothing was deleted. Look again."]
    assert "Event 3" in second.content.decode()
    assert len(ledger(account)) == 4
    confirmed(client, second, account)
    assert ledger(account) == {}


def test_invented_confirmation_deletes_nothing(client: Client, account: CalendarAccount) -> None:
    act(client, "clear_the_brake", account, seen="yes")
    assert len(ledger(account)) == 4


def test_confirming_twice_finds_nothing_the_second_time(client: Client, account: CalendarAccount) -> None:
    page = act(client, "clear_the_brake", account)
    confirmed(client, page, account)
    assert messages_of(confirmed(client, page, account)) == ["The brake holds nothing here."]


def test_other_accounts_keep_what_is_held(client: Client, account: CalendarAccount) -> None:
    other = mirrored_account(user="bob", email="bob@acme.example")
    synced(other)
    hold("Event 1")
    confirmed(client, act(client, "clear_the_brake", account), account)
    assert len(ledger(other)) == 4


def test_link_of_the_page_lists_what_is_held_of_the_calendar(client: Client, account: CalendarAccount) -> None:
    page = act(client, "clear_the_brake", account)
    urls = {str(item.calendar): item.url for item in page.context["held"]}
    listed = client.get(urls["work"]).context["cl"].result_list
    assert sorted(block.title for block in listed) == ["Event 1", "Event 2"]


def test_button_stands_on_the_row_only_while_something_is_held(client: Client, account: CalendarAccount) -> None:
    def buttons() -> list[str]:
        return [button["name"] for button in client.get(page_of(account)).context["buttons"]]

    assert "clear_the_brake" in buttons()
    confirmed(client, act(client, "clear_the_brake", account), account)
    assert "clear_the_brake" not in buttons()
