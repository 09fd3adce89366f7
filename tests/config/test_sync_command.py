"""`manage.py sync` and `manage.py status`: what an operator and a script read, and the exit codes."""

import io
import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from time_machine import travel

from calendars.admin import health
from calendars.models import AccountRun, Calendar, CalendarAccount, SyncRun
from calendars.services import progress, queues, syncs
from config.management.bar import Bar
from config.management.tables import table
from tenancy.models import Company
from tests.admin import world
from tests.calendars.mirror import MEMORY, MONDAY, mirrored_account
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: LazySettings) -> MemoryCalendarServer:
    """Two calendars: one with an event, one with none."""
    settings.CALENDAR_PROVIDERS = MEMORY
    server = memory.start()
    server.put("work", "event", memory.entry("2026-03-02T09:00"))
    return server


@pytest.fixture(autouse=True)
def _rings_are_heard_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test's own transaction never commits."""
    monkeypatch.setattr("django.db.transaction.on_commit", lambda call: call())


@pytest.fixture
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages go nowhere, as without a worker."""
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: None)


def said(*command: str) -> tuple[str, int]:
    """What the command printed, and its exit code."""
    out = StringIO()
    try:
        call_command(*command, stdout=out, stderr=out)
    except CommandError as error:
        return f"{out.getvalue()}{error}", error.returncode
    return out.getvalue(), 0


def sync(*arguments: str) -> tuple[list[dict[str, Any]], int]:
    out = StringIO()
    code = 0
    try:
        call_command("sync", *arguments, "--json", stdout=out, stderr=StringIO())
    except CommandError as error:
        code = error.returncode
    return json.loads(out.getvalue())["runs"], code


# sync ---------------------------------------------------------------------------------------------------------------


def test_everything_is_synced_and_summed_up(server: MemoryCalendarServer) -> None:
    mirrored_account()
    mirrored_account(url_id="globex", user="mallory", email="mallory@globex.example")
    text, code = said("sync")
    assert code == 0
    assert "acme, all users: completed. Accounts: 1 of 1, failed: 0. Events created: 1," in text
    assert "globex, all users: completed." in text


@pytest.mark.parametrize(
    ("arguments", "synced"),
    [
        ((), {"alice", "bob", "mallory"}),
        (("--company", "acme"), {"alice", "bob"}),
        (("--company", "acme", "--user", "bob"), {"bob"}),
        (("--account", "ALICE"), {"alice"}),
        (("--company", "acme", "--account", "ALICE"), {"alice"}),
    ],
)
def test_only_what_was_named_is_synced(
    server: MemoryCalendarServer, arguments: tuple[str, ...], synced: set[str]
) -> None:
    alice = mirrored_account()
    mirrored_account(user="bob", email="bob@acme.example")
    mirrored_account(url_id="globex", user="mallory", email="mallory@globex.example")
    runs, code = sync(*(str(alice.unique_id) if word == "ALICE" else word for word in arguments))
    assert code == 0
    found = CalendarAccount.objects.exclude(last_synced_at=None).values_list("user__unique_id", flat=True)
    assert set(found) == synced
    assert sum(run["accounts_done"] for run in runs) == len(synced)


def test_full_sync_reads_everything_again(server: MemoryCalendarServer) -> None:
    mirrored_account()
    sync()
    (run,), _ = sync("--full")
    assert run["full"] is True
    assert SyncRun.objects.filter(force_refresh=True).count() == 1


def test_failed_account_is_named_with_its_reason_and_an_exit_code(server: MemoryCalendarServer) -> None:
    mirrored_account()
    server.password = "changed"
    text, code = said("sync", "--company", "acme")
    assert code == 3
    assert "failed: 1" in text
    assert "caldav alice@acme.example: " in text
    assert "secret" not in text


def test_sync_that_nobody_takes_up_ends_with_an_exit_code_of_its_own(
    server: MemoryCalendarServer, nobody_works: None
) -> None:
    mirrored_account()
    clock = iter(range(0, 1000, 10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("config.management.commands.sync.time.monotonic", lambda: next(clock))
        patch.setattr("config.management.commands.sync.time.sleep", lambda seconds: None)
        text, code = said("sync", "--wait", "60")
    assert code == 4
    assert "is a worker running?" in text
    assert SyncRun.objects.get().status == "queued"


def test_sync_that_is_only_asked_for_does_not_wait(server: MemoryCalendarServer, nobody_works: None) -> None:
    mirrored_account()
    (run,), code = sync("--wait", "0")
    assert (run["status"], code) == ("queued", 0)


@pytest.mark.parametrize(
    ("arguments", "sentence", "code"),
    [
        (("--company", "nobody"), "There is no company nobody.", 1),
        (("--company", "acme", "--user", "carol"), "no user carol", 1),
        (("--user", "alice"), "needs --company", 2),
        (("--user", "alice", "--account", "x", "--company", "acme"), "leave --user out", 2),
        (("--account", "no-uuid"), "There is no account no-uuid", 1),
        (("--company", "globex", "--account", "ALICE"), "There is no account", 1),
    ],
)
def test_what_cannot_be_synced_is_explained(
    globex: Company, arguments: tuple[str, ...], sentence: str, code: int
) -> None:
    alice = mirrored_account()
    text, found = said("sync", *(str(alice.unique_id) if word == "ALICE" else word for word in arguments))
    assert sentence in text
    assert found == code
    assert not SyncRun.objects.exists()


def test_progress_counts_what_is_through_and_says_how_long_the_rest_takes(nobody_works: None) -> None:
    accounts = [mirrored_account(user=f"user{n}", email=f"user{n}@acme.example") for n in range(4)]
    with travel(MONDAY, tick=False):
        run = syncs.start_for_company(accounts[0].company)
    assert progress.of([run.pk]).left(MONDAY) is None, "nothing is known of the pace yet"
    AccountRun.objects.filter(account=accounts[0]).update(
        status="completed", finished_at=MONDAY, events_created=7, events_withheld=1
    )
    now = progress.of([run.pk])
    assert (now.done, now.accounts, now.changed, now.withheld, now.finished) == (1, 4, 7, 1, False)
    assert now.left(MONDAY + timedelta(seconds=10)) == timedelta(seconds=30)


def test_progress_of_a_large_run_is_as_cheap_as_of_a_small_one(
    nobody_works: None, django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = [mirrored_account(user=f"user{n}", email=f"user{n}@acme.example") for n in range(5)]
    run = syncs.start_for_company(accounts[0].company)
    with django_assert_num_queries(4):
        assert progress.of([run.pk]).accounts == 5
    monkeypatch.setattr(progress, "FEW_ACCOUNTS", 4)
    with django_assert_num_queries(2):
        assert progress.of([run.pk]).accounts == 5


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_stands_on_a_terminal_only() -> None:
    terminal, pipe = Terminal(), StringIO()
    for stream in (terminal, pipe):
        bar = Bar(stream)
        bar.show(1, 2, "accounts")
        bar.clear()
    assert "[###############...............] 1/2 accounts" in terminal.getvalue()
    assert pipe.getvalue() == ""


# status -------------------------------------------------------------------------------------------------------------


def test_status_is_a_table_of_companies() -> None:
    with travel(MONDAY, tick=False):
        mirrored_account()
        CalendarAccount.objects.update(last_synced_at=MONDAY - timedelta(minutes=5))
        Company.objects.create(url_id="globex")
        text, code = said("status")
    lines = text.splitlines()
    assert lines[0].split()[:4] == ["company", "accounts", "fine", "failing"]
    assert lines[2].split()[:4] == ["acme", "1", "1", "."]
    assert "5 min ago" in lines[2]
    assert lines[3].split()[:2] == ["globex", "."]
    assert "Accounts due: 1, the first since 0 s ago." in text
    assert code == 0


def test_status_counts_what_needs_a_person_and_says_so_when_asked() -> None:
    world.fill(world.company("acme"), 2)
    world.company("globex")
    out = StringIO()
    call_command("status", "--json", stdout=out)
    acme, globex = json.loads(out.getvalue())["companies"]
    assert (acme["accounts"], acme["health"]["failing"], acme["deliveries_failed"]) == (2, 2, 2)
    assert (acme["needs_a_person"], globex["needs_a_person"]) == (4, 0)
    assert said("status", "--check")[1] == 3
    assert said("status", "--check", "--company", "globex")[1] == 0


def test_status_of_a_company_that_is_not_there() -> None:
    text, code = said("status", "--company", "nobody")
    assert (code, "There is no company nobody." in text) == (1, True)


def test_word_of_an_account_is_the_same_in_python_and_in_the_database() -> None:
    accounts = [mirrored_account(user=f"user{n}", email=f"user{n}@acme.example") for n in range(7)]
    states: list[dict[str, Any]] = [
        {},
        {"sync_enabled": False, "last_error_code": "unreachable"},
        {"last_error_code": "reconnect_needed", "connected": False},
        {"last_error_code": "unreachable"},
        {"connected": False},
        {},
        {"last_error_code": "deletions_held"},
    ]
    for account, state in zip(accounts, states, strict=True):
        CalendarAccount.objects.filter(pk=account.pk).update(**state)
    for held in (accounts[5], accounts[6]):
        origin = world.Origin.objects.create(user=held.user, source="caldav")
        Calendar.objects.create(account=held, origin=origin, external_id=str(held.pk), held_count=3)
    rows = health.with_word(health.with_held_count(CalendarAccount.objects.order_by("pk")))
    told = [(account.word, health.health_of(account)) for account in rows]
    assert [first for first, _ in told] == [second for _, second in told]
    assert [word for word, _ in told] == [
        "fine",
        "paused",
        "connect again",
        "failing",
        "waits to be connected",
        "deletions held back",
        "failing",
    ]


def test_broker_that_does_not_answer_is_not_waited_for(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert queues.lengths() is None


@pytest.mark.services
def test_queue_lengths_are_those_of_the_broker(broker: str) -> None:
    before = queues.lengths()
    assert before is not None
    # Nobody works here, so the message stays.
    syncs.ring(syncs.FAN_OUT, 0, queue="bulk")
    after = queues.lengths()
    assert after is not None
    assert after["bulk"] == before["bulk"] + 1
    assert {name: after[name] for name in ("push", "poll", "webhooks")} == {
        name: before[name] for name in ("push", "poll", "webhooks")
    }


def test_table_puts_numbers_to_the_right() -> None:
    assert table(["who", "count"], [["a", 12], ["bcd", None]]).splitlines() == [
        "who  count",
        "---  -----",
        "a       12",
        "bcd      .",
    ]


def test_overdue_leaves_out_what_somebody_syncs() -> None:
    account = mirrored_account()
    now = timezone.now()
    assert queues.overdue(CalendarAccount.objects.all(), now=now).count == 1
    CalendarAccount.objects.filter(pk=account.pk).update(lease_until=now + timedelta(seconds=5))
    assert queues.overdue(CalendarAccount.objects.all(), now=now) == queues.Overdue(0, None)
