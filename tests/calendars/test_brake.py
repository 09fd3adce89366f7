"""Deletions that a full read only implies are held back when they are many."""

from datetime import timedelta

import pytest
from django.conf import LazySettings
from time_machine import travel

from calendars.models import Calendar, CalendarAccount
from calendars.sync import brake
from calendars.sync.brake import is_suspicious
from tests.calendars.mirror import MEMORY, MONDAY, last_run, ledger, mirrored_account, synced
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: LazySettings) -> MemoryCalendarServer:
    settings.CALENDAR_PROVIDERS = MEMORY
    server = memory.start()
    for number in range(100):
        server.put("work", f"event-{number}", memory.entry("2026-03-02T09:00", title=f"Event {number}"))
    return server


@pytest.fixture
def account(server: MemoryCalendarServer) -> CalendarAccount:
    return mirrored_account()


@pytest.mark.parametrize(
    ("absent", "total", "held", "because"),
    [
        (0, 100, False, "nothing is absent"),
        (20, 30, False, "twenty rows may always go"),
        (21, 84, False, "a quarter may go"),
        (21, 83, True, "more than twenty rows and more than a quarter"),
        (100, 1000, False, "many rows, but a tenth of the calendar"),
        (3, 3, True, "all of a small calendar"),
        (1, 1, True, "the only row"),
    ],
)
def test_brake_holds(absent: int, total: int, held: bool, because: str) -> None:
    assert is_suspicious(absent, total) is held, because


def test_server_that_comes_back_empty_deletes_nothing(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    synced(account)
    before = ledger(account)
    server.empty("work")
    verdict = synced(account)
    assert (verdict.changes.held, ledger(account)) == (100, before)
    account.refresh_from_db()
    assert (account.status, account.last_error_code) == ("error", "deletions_held")
    assert "does not show 100 entries" in account.last_error
    assert last_run(account).status == "completed_with_errors"
    assert brake.held_rows(account).count() == 100


def test_server_that_recovers_finds_everything_still_there(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    synced(account)
    truth = dict(server._calendars["work"].items)
    server.empty("work")
    synced(account)
    server._calendars["work"].items.update(truth)
    changes = synced(account).changes
    assert (changes.created, changes.updated, changes.deleted, changes.held) == (0, 0, 0, 0)
    account.refresh_from_db()
    assert (account.status, brake.held_rows(account).count(), Calendar.objects.get().held_count) == ("active", 0, 0)
    assert ledger(account) == server.ids("work")


def test_second_full_read_too_soon_releases_nothing(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    with travel(MONDAY, tick=False) as clock:
        synced(account)
        server.empty("work")
        synced(account)
        clock.shift(timedelta(minutes=9, seconds=59))
        assert synced(account).changes.held == 100


def test_second_full_read_ten_minutes_later_releases_the_brake(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    with travel(MONDAY, tick=False) as clock:
        synced(account)
        server.empty("work")
        synced(account)
        clock.shift(timedelta(minutes=10))
        changes = synced(account).changes
        assert (changes.deleted, changes.held, ledger(account)) == (100, 0, {})


def test_row_missing_for_the_first_time_waits_its_own_ten_minutes(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    with travel(MONDAY, tick=False) as clock:
        synced(account)
        truth = dict(server._calendars["work"].items)
        server.empty("work")
        server._calendars["work"].items["event-0"] = truth["event-0"]
        synced(account)
        clock.shift(timedelta(minutes=11))
        server.empty("work")
        changes = synced(account).changes
        assert (changes.deleted, changes.held, set(ledger(account))) == (99, 1, {"event-0"})


def test_new_events_still_land_while_deletions_are_held(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    synced(account)
    server.empty("work")
    server.put("work", "new", memory.entry("2026-03-02T17:00"))
    changes = synced(account).changes
    assert (changes.created, changes.held, len(ledger(account))) == (1, 100, 101)


def test_few_absent_rows_go_at_once(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    synced(account)
    for number in range(20):
        del server._calendars["work"].items[f"event-{number}"]
    server.lose_cursors()
    changes = synced(account).changes
    assert (changes.deleted, changes.held) == (20, 0)


def test_deletions_that_a_delta_names_are_facts(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    synced(account)
    for number in range(100):
        server.delete("work", f"event-{number}")
    changes = synced(account).changes
    assert (changes.deleted, changes.held, ledger(account)) == (100, 0, {})


def test_administrator_s_word_releases_the_brake_at_once(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    synced(account)
    server.empty("work")
    synced(account)
    revision = account.user.revision
    assert brake.clear(account) == 100
    account.user.refresh_from_db()
    assert (ledger(account), account.user.revision > revision) == ({}, True)
    assert brake.clear(account) == 0


def test_calendar_that_vanishes_keeps_its_rows_until_a_later_listing_agrees(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    with travel(MONDAY, tick=False) as clock:
        synced(account)
        server.drop_calendar("work")
        clock.shift(timedelta(minutes=16))
        synced(account)
        assert len(ledger(account)) == 100
        account.refresh_from_db()
        assert "does not list this calendar" in account.last_error
        clock.shift(timedelta(minutes=5))
        synced(account)
        assert len(ledger(account)) == 100
        clock.shift(timedelta(minutes=5))
        assert synced(account).succeeded
        assert (ledger(account), Calendar.objects.count()) == ({}, 0)


def test_calendar_that_returns_has_lost_nothing(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    with travel(MONDAY, tick=False) as clock:
        synced(account)
        kept = server._calendars["work"]
        server.drop_calendar("work")
        clock.shift(timedelta(minutes=16))
        synced(account)
        server._calendars["work"] = kept
        clock.shift(timedelta(minutes=1))
        verdict = synced(account)
        assert (verdict.succeeded, ledger(account)) == (True, server.ids("work"))
