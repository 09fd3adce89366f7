"""The sync engine on a vendor that lives in memory: what a sync writes, what it must not, and what it says."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from time_machine import travel

from busyblocks.models import BusyBlock
from calendars.models import AccountRun, Calendar, CalendarAccount, SyncRun, WithheldEvent
from calendars.providers import ReconnectNeeded, ServerFault, Throttled, UnexpectedAnswer, Unreachable
from calendars.services import accounts, syncs
from calendars.sync import engine
from calendars.sync import lease as leases
from tests.calendars.mirror import MEMORY, MONDAY, last_run, ledger, mirrored_account, synced, titles
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: LazySettings) -> MemoryCalendarServer:
    settings.CALENDAR_PROVIDERS = MEMORY
    return memory.start()


@pytest.fixture
def account(server: MemoryCalendarServer) -> CalendarAccount:
    return mirrored_account()


def fill(server: MemoryCalendarServer, count: int, *, calendar: str = "work") -> None:
    for number in range(count):
        server.put(calendar, f"event-{number}", memory.entry("2026-03-02T09:00", title=f"Event {number}"))


def fresh(account: CalendarAccount) -> CalendarAccount:
    return CalendarAccount.objects.get(pk=account.pk)


def test_first_sync_mirrors_every_event(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    fill(server, 250)
    verdict = synced(account)
    assert verdict.changes.created == 250
    assert ledger(account) == server.ids("work")


def test_sync_with_nothing_new_makes_one_request_per_calendar_and_writes_no_row(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 3)
    fill(server, 3, calendar="private")
    synced(account)
    revision = fresh(account).user.revision
    server.requests = 0
    with CaptureQueriesContext(
        connection,
    ) as queries:
        synced(account)
    assert server.requests == 2
    writes = [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert not [sql for sql in writes if "busyblocks_busyblock" in sql]
    assert fresh(account).user.revision == revision


def test_poll_with_nothing_new_costs_ten_queries_and_one_for_each_calendar(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 3)
    fill(server, 3, calendar="private")
    synced(account)
    with CaptureQueriesContext(connection) as queries:
        engine.sync_account(account.pk, due_at=timezone.now())
    statements = [query["sql"] for query in queries]
    assert len(statements) == 10 + 2, statements
    # The lease, the attempt, the verdict and the lease again; and where each calendar stands.
    written = [sql.split('"')[1] for sql in statements if not sql.startswith("SELECT")]
    assert sorted(written) == ["calendars_calendar"] * 2 + ["calendars_calendaraccount"] * 4


@pytest.mark.parametrize("meanwhile", [{"cursor": ""}, {"sync_enabled": False}])
def test_calendar_that_was_changed_while_nothing_new_was_read_stays_as_it_was_put(
    server: MemoryCalendarServer, account: CalendarAccount, meanwhile: dict[str, Any]
) -> None:
    fill(server, 1)
    synced(account)

    def change(number: int) -> None:
        Calendar.objects.update(last_synced_at=None, **meanwhile)

    server.on_request = change
    synced(account)
    for calendar in Calendar.objects.values("last_synced_at", *meanwhile):
        assert calendar == {"last_synced_at": None, **meanwhile}


def test_one_changed_one_new_one_deleted_are_counted_as_such(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 10)
    synced(account)
    server.put("work", "event-1", memory.entry("2026-03-02T10:00", title="Moved"))
    server.put("work", "extra", memory.entry("2026-03-02T11:00", title="Extra"))
    server.delete("work", "event-2")
    changes = synced(account).changes
    assert (changes.created, changes.updated, changes.deleted) == (1, 1, 1)
    assert ledger(account) == server.ids("work")


def test_changed_event_keeps_its_public_id(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    fill(server, 1)
    synced(account)
    before = BusyBlock.objects.get()
    server.put("work", "event-0", memory.entry("2026-03-02T15:00", title="Afternoon"))
    synced(account)
    after = BusyBlock.objects.get()
    assert (after.unique_id, after.created_at, after.title) == (before.unique_id, before.created_at, "Afternoon")


def test_user_s_revision_moves_once_with_each_change(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    fill(server, 5)
    synced(account)
    fill(server, 5)
    server.put("work", "event-4", memory.entry("2026-03-02T15:00"))
    synced(account)
    assert fresh(account).user.revision == 2


def test_lost_cursor_is_read_again_in_full_without_deleting(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 30)
    synced(account)
    server.lose_cursors()
    server.put("work", "extra", memory.entry("2026-03-02T11:00"))
    changes = synced(account).changes
    assert (changes.created, changes.updated, changes.deleted, changes.held) == (1, 0, 0, 0)
    assert ledger(account) == server.ids("work")


def test_read_that_breaks_off_changes_nothing(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    fill(server, 10)
    synced(account)
    before = ledger(account)
    server.page_size = 2
    for number in range(10):
        server.put("work", f"event-{number}", memory.entry("2026-03-03T09:00", title="Changed"))
    server.fail_next(Unreachable("The connection was cut."), after_pages=3)
    verdict = synced(account)
    assert ledger(account) == before
    assert verdict.failure is not None
    synced(account)
    assert ledger(account) == server.ids("work")


def test_failing_server_is_said_on_the_account_and_tried_later(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 2)
    with travel(MONDAY, tick=False):
        synced(account)
        server.fail_next(Unreachable("The server did not answer."))
        synced(account)
        account = fresh(account)
        assert account.status == "error"
        assert account.last_error.startswith("The server did not answer.")
        assert account.last_synced_at == MONDAY
        assert account.next_attempt_at is not None
        assert timedelta(seconds=30) <= account.next_attempt_at - MONDAY <= timedelta(seconds=45)
    assert last_run(account).status == "failed"


def test_success_after_failures_clears_what_the_account_said(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    server.add_calendar("work")
    synced(account)
    server.fail_next(Unreachable("The server did not answer."))
    synced(account)
    synced(account)
    account = fresh(account)
    assert (account.status, account.last_error, account.failures) == ("active", "", 0)


def test_refused_credentials_stop_the_polling_until_connected_again(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    server.fail_next(ReconnectNeeded("The server refused the password."), on="calendars")
    synced(account)
    account = fresh(account)
    assert (account.connected, account.next_attempt_at, account.last_error_code) == (False, None, "reconnect_needed")
    assert not CalendarAccount.objects.due(MONDAY + timedelta(days=365)).exists()


def test_vendor_s_own_wait_holds_even_when_somebody_asks(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    server.add_calendar("work")
    with travel(MONDAY, tick=False) as clock:
        server.fail_next(Throttled("Too many requests.", retry_after=timedelta(minutes=7)))
        synced(account)
        server.requests = 0
        clock.shift(timedelta(minutes=5))
        synced(account)
        assert server.requests == 0
        clock.shift(timedelta(minutes=3))
        assert synced(account).succeeded


def test_own_pause_does_not_hold_when_somebody_asks(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    server.add_calendar("work")
    server.fail_next(Unreachable("The server did not answer."), on="calendars")
    synced(account)
    assert synced(account).succeeded


def test_one_calendar_that_fails_does_not_stop_the_others(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 1, calendar="broken")
    fill(server, 1, calendar="good")
    server.fail_next(UnexpectedAnswer("It answered nonsense."), calendar="broken")
    verdict = synced(account)
    assert verdict.complaints == ["broken: It answered nonsense."]
    assert ledger(account) == server.ids("good")
    assert last_run(account).status == "completed_with_errors"


def test_calendar_that_makes_its_server_fail_does_not_stop_the_others(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 1, calendar="broken")
    fill(server, 1, calendar="good")
    server.fail_next(ServerFault("It has a problem of its own (500)."), calendar="broken")
    verdict = synced(account)
    assert (verdict.failure, verdict.complaints) == (None, ["broken: It has a problem of its own (500)."])
    assert ledger(account) == server.ids("good")


def test_calendar_for_which_no_answer_comes_does_not_stop_the_others(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    for calendar in ("hanging", "good", "better"):
        fill(server, 1, calendar=calendar)
    for _ in range(2):
        server.fail_next(Unreachable("The server did not answer in time."), calendar="hanging")
        verdict = synced(account)
        assert (verdict.failure, verdict.complaints) == (None, ["hanging: The server did not answer in time."])
        assert ledger(account) == server.ids("good") | server.ids("better")


def test_server_that_answers_for_two_calendars_in_a_row_nothing_is_asked_for_no_third(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    for calendar in ("first", "second", "third", "fourth"):
        fill(server, 1, calendar=calendar)
    synced(account)
    for calendar in ("second", "third"):
        server.fail_next(Unreachable("The server did not answer in time."), calendar=calendar)
    before = server.requests
    verdict = synced(account)
    assert isinstance(verdict.failure, Unreachable)
    assert server.requests - before == 3
    # Next time the fourth has its turn before those two.
    for calendar in ("second", "third"):
        server.fail_next(Unreachable("The server did not answer in time."), calendar=calendar)
    server.put("fourth", "new", memory.entry("2026-03-02T09:00"))
    synced(account)
    assert "new" in ledger(account)


def test_fault_of_our_own_in_one_calendar_does_not_stop_the_others(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 1, calendar="odd")
    fill(server, 1, calendar="good")
    server.fail_next(AttributeError("a bug"), calendar="odd")
    verdict = synced(account)
    assert verdict.failure is None
    assert verdict.complaints == ["odd: Something went wrong inside this service; it has been logged."]
    assert ledger(account) == server.ids("good")


def test_vendor_that_throttles_again_and_again_is_left_alone_for_longer_than_it_asks(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    with travel(MONDAY, tick=False) as clock:
        for _ in range(9):
            CalendarAccount.objects.update(vendor_retry_at=None)
            server.fail_next(Throttled("Later.", retry_after=timedelta(seconds=1)), on="calendars")
            synced(account)
            clock.shift(timedelta(seconds=1))
        tried_again = fresh(account).next_attempt_at
        assert tried_again is not None
        assert tried_again - timezone.now() > timedelta(seconds=2 * 2**9 - 2)


def test_server_that_fails_for_every_calendar_is_down(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    for calendar in ("work", "private"):
        fill(server, 1, calendar=calendar)
        server.fail_next(ServerFault("It has a problem of its own (500)."), calendar=calendar)
    synced(account)
    assert fresh(account).last_error == "It has a problem of its own (500). It is tried again by itself."
    assert last_run(account).status == "failed"


def test_calendar_that_goes_on_failing_does_not_slow_the_others_down(
    server: MemoryCalendarServer, account: CalendarAccount, settings: LazySettings
) -> None:
    fill(server, 1, calendar="broken")
    with travel(MONDAY, tick=False):
        for _ in range(9):
            server.fail_next(UnexpectedAnswer("It answered nonsense."), calendar="broken")
            synced(account)
        next_attempt_at = fresh(account).next_attempt_at
    assert next_attempt_at is not None
    assert next_attempt_at - MONDAY <= settings.SYNC_INTERVAL * 1.1


def test_refused_account_says_the_same_however_often_it_is_asked(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    for _ in range(3):
        server.fail_next(ReconnectNeeded("The server refused the password."), on="calendars")
        synced(account)
    assert fresh(account).last_error == "The server refused the password. Connect the account again."


def test_account_switched_off_during_its_sync_stays_off(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    fill(server, 1)

    def switch_off(number: int) -> None:
        accounts.change(account, sync_enabled=False, now=timezone.now())

    server.on_request = switch_off
    synced(account)
    account = fresh(account)
    assert (account.status, account.next_attempt_at) == ("inactive", None)


def test_account_switched_off_while_its_run_waits_is_not_synced(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 1)
    syncs.start_for_account(account)
    accounts.change(account, sync_enabled=False, now=timezone.now())
    engine.sync_account(account.pk)
    assert (server.requests, ledger(account), fresh(account).status) == (0, {}, "inactive")
    assert last_run(account).status == "completed_with_errors"


def test_what_a_sync_found_out_by_old_credentials_is_not_said_of_new_ones(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 1)

    def reconnect(number: int) -> None:
        server.on_request = lambda number: None
        new = {"server_url": "memory://", "username": account.email, "password": "new"}
        accounts.change(account, provider_data=new, now=timezone.now())

    server.on_request = reconnect
    server.fail_next(Unreachable("The server did not answer."), calendar="work")
    with travel(MONDAY, tick=False):
        synced(account)
        account = fresh(account)
    assert (account.status, account.last_error, account.next_attempt_at) == ("active", "", MONDAY)
    assert account.discovered_at is None


@pytest.mark.parametrize("mirrored", [True, False], ids=["mirrored", "left out"])
def test_calendar_that_went_and_returns_is_mirrored_or_left_out_as_before(
    server: MemoryCalendarServer, account: CalendarAccount, settings: LazySettings, mirrored: bool
) -> None:
    fill(server, 1, calendar="work")
    fill(server, 1, calendar="wandering")
    with travel(MONDAY, tick=False) as clock:
        synced(account)
        if not mirrored:
            accounts.leave_out(Calendar.objects.get(external_id="wandering"), now=timezone.now())
        server.drop_calendar("wandering")
        for _ in range(3):
            CalendarAccount.objects.update(discovered_at=None)
            synced(account)
            clock.shift(settings.BRAKE_CONFIRM_AFTER)
        assert not Calendar.objects.filter(external_id="wandering").exists()
        server.put("wandering", "back", memory.entry("2026-03-02T09:00"))
        CalendarAccount.objects.update(discovered_at=None)
        synced(account)
    assert Calendar.objects.get(external_id="wandering").sync_enabled is mirrored
    assert ("back" in ledger(account)) is mirrored
    assert fresh(account).former_calendars == {}


def test_calendar_taken_in_during_a_sync_is_read_by_it(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    fill(server, 1, calendar="left-out")
    fill(server, 1, calendar="work")
    synced(account)
    left_out = accounts.leave_out(Calendar.objects.get(external_id="left-out"), now=timezone.now())

    def take_in(number: int) -> None:
        accounts.take_in(left_out, now=timezone.now())

    server.on_request = take_in
    synced(account)
    assert ledger(account) == server.ids("work") | server.ids("left-out")
    assert BusyBlock.objects.count() == 2


def test_withheld_event_keeps_its_old_row_and_is_reported(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 3)
    synced(account)
    server.put_unreadable("work", "event-1", "Its rule cannot be understood.")
    verdict = synced(account)
    assert (verdict.changes.withheld, titles(account)) == (1, ["Event 0", "Event 1", "Event 2"])
    assert WithheldEvent.objects.get().reason == "Its rule cannot be understood."


def test_withheld_event_that_is_mended_is_reported_no_more(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    server.put_unreadable("work", "event-1")
    synced(account)
    server.put("work", "event-1", memory.entry("2026-03-02T09:00", title="Mended"))
    synced(account)
    assert (titles(account), WithheldEvent.objects.count()) == (["Mended"], 0)


def test_value_that_the_database_refuses_withholds_that_one_event(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 20)
    backwards = replace(memory.entry("2026-03-02T09:00"), end_time=MONDAY - timedelta(days=1))
    server.put("work", "poison", backwards)
    verdict = synced(account)
    assert verdict.changes.withheld == 1
    assert set(server.ids("work")) - set(ledger(account)) == {"poison"}


def test_server_without_cursors_is_compared_by_etags(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    server.cursors = False
    fill(server, 30)
    synced(account)
    server.put("work", "event-3", memory.entry("2026-03-02T19:00"))
    server.delete("work", "event-4")
    changes = synced(account).changes
    assert (changes.created, changes.updated, changes.deleted) == (0, 1, 1)
    assert ledger(account) == server.ids("work")


def test_calendar_switched_off_during_the_read_is_left_alone(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    server.add_calendar("work")
    synced(account)
    fill(server, 5)

    def leave_out(number: int) -> None:
        Calendar.objects.update(sync_enabled=False)

    server.on_request = leave_out
    synced(account)
    assert ledger(account) == {}


def test_account_deleted_during_the_read_stays_deleted(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    """Row 25."""
    fill(server, 5)

    def disconnect(number: int) -> None:
        CalendarAccount.objects.filter(pk=account.pk).delete()

    server.on_request = disconnect
    syncs.start_for_account(account)
    assert engine.sync_account(account.pk) is None
    assert BusyBlock.objects.count() == 0


def test_second_worker_finds_the_lease_taken(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    fill(server, 5)
    others: list[object] = []
    server.on_request = lambda number: others.append(engine.sync_account(account.pk)) if number == 1 else None
    synced(account)
    assert others == [None]
    assert server.requests == 2


def test_worker_that_lost_its_lease_during_the_read_writes_nothing(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    server.add_calendar("work")
    synced(account)
    fill(server, 5)

    def steal(number: int) -> None:
        CalendarAccount.objects.filter(pk=account.pk).update(lease_owner="another", fence=99)

    server.on_request = steal
    syncs.start_for_account(account)
    assert engine.sync_account(account.pk) is None
    assert ledger(account) == {}
    assert AccountRun.objects.filter(finished_at=None).count() == 1


def test_request_that_arrives_during_a_sync_gets_a_pass_of_its_own(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 1)

    def ask(number: int) -> None:
        if number == 2:
            syncs.start_for_account(account)

    server.on_request = ask
    synced(account)
    assert server.requests == 3
    assert SyncRun.objects.filter(status="completed").count() == 2


def test_request_that_arrives_as_the_worker_leaves_is_not_left_to_the_sweep(
    server: MemoryCalendarServer, account: CalendarAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(server, 1)
    release = leases.release
    asked: list[SyncRun] = []

    def ask_before(lease: leases.Lease) -> None:
        # After the last look at what waits, and before the lease is given back: who rings now finds it taken.
        if not asked:
            asked.append(syncs.start_for_account(account))
            assert engine.sync_account(account.pk) is None
        release(lease)

    monkeypatch.setattr(leases, "release", ask_before)
    synced(account)
    asked[0].refresh_from_db()
    assert asked[0].status == "completed"


def test_two_requests_before_a_sync_are_answered_by_one(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    fill(server, 1)
    syncs.start_for_account(account)
    synced(account)
    assert (server.requests, SyncRun.objects.filter(status="completed").count()) == (2, 2)


def test_polled_message_that_comes_twice_syncs_once(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    fill(server, 1)
    with travel(MONDAY, tick=False) as clock:
        due_at = MONDAY
        clock.shift(timedelta(seconds=1))
        assert engine.sync_account(account.pk, due_at=due_at) is not None
        assert engine.sync_account(account.pk, due_at=due_at) is None


def test_due_account_that_cannot_be_tried_is_given_up_after_one_look(
    server: MemoryCalendarServer, account: CalendarAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE calendars_calendaraccount SET credentials = 'gAAAAA-not-ours'")
    looks: list[leases.Lease] = []
    release = leases.release

    def counted(lease: leases.Lease) -> None:
        looks.append(lease)
        assert len(looks) < 5
        release(lease)

    monkeypatch.setattr(leases, "release", counted)
    assert engine.sync_account(account.pk, due_at=timezone.now()) is not None
    assert len(looks) == 1


def test_forced_refresh_reads_everything_and_writes_only_what_differs(
    server: MemoryCalendarServer, account: CalendarAccount
) -> None:
    fill(server, 3)
    synced(account)
    BusyBlock.objects.filter(title="Event 1").update(title="Tampered")
    syncs.start_for_account(account, force_refresh=True)
    verdict = engine.sync_account(account.pk)
    assert verdict is not None
    assert (verdict.changes.updated, titles(account)) == (1, ["Event 0", "Event 1", "Event 2"])


def test_fault_of_our_own_is_said_and_closes_the_run(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    server.fail_next(ZeroDivisionError("secret detail"), on="calendars")
    synced(account)
    account = fresh(account)
    assert account.last_error_code == "internal_error"
    assert "secret detail" not in account.last_error
    assert last_run(account).status == "failed"


def test_unreadable_credentials_are_said_not_raised(server: MemoryCalendarServer, account: CalendarAccount) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE calendars_calendaraccount SET credentials = 'gAAAAA-not-ours'")
    synced(account)
    row = CalendarAccount.objects.defer("credentials").get(pk=account.pk)
    assert row.last_error_code == "misconfigured"
