"""The vendor's word that something changed: counted, rung for once, and never lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from calendars.models import Calendar, CalendarAccount, PushChannel
from calendars.providers import Throttled, Unreachable
from calendars.services import channels, push
from calendars.services.push import RING_AGAIN_AFTER, Message
from calendars.sync import engine, pace
from tests.calendars.mirror import MEMORY, mirrored_account, synced
from tests.calendars.test_accounts import calendar_of
from tests.contracts import memory
from tests.contracts.memory import MemoryCalendarServer
from tests.together import at_once

pytestmark = pytest.mark.django_db

Rung = list[tuple[Any, ...]]


@pytest.fixture
def server(settings: LazySettings) -> MemoryCalendarServer:
    settings.CALENDAR_PROVIDERS = MEMORY
    started = memory.start()
    started.add_calendar("work")
    return started


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> Rung:
    """What was rung for, and not done."""
    heard: Rung = []
    for module in (push, channels):
        monkeypatch.setattr(module, "ring", lambda *args, queue: heard.append((*args, queue)))
    return heard


@pytest.fixture
def account(server: MemoryCalendarServer) -> CalendarAccount:
    made = mirrored_account()
    synced(made)
    server.requests = 0
    return made


def told(account: CalendarAccount, times: int = 1) -> None:
    for _ in range(times):
        push.tell([account.pk], now=timezone.now())


def test_message_rings_at_the_door_for_urgent_work(account: CalendarAccount, rung: Rung) -> None:
    told(account)
    assert rung == [("calendars.tasks.sync_account", account.pk, "push")]


def test_message_to_an_account_that_has_to_be_read_as_a_whole_rings_where_that_keeps_nobody_waiting(
    account: CalendarAccount, rung: Rung
) -> None:
    Calendar.objects.update(cursor="")
    told(account)
    push.sweep(timezone.now() + RING_AGAIN_AFTER * 2)
    assert [queue for *_, queue in rung] == ["bulk", "bulk"]


def test_storm_of_messages_rings_once_and_makes_one_sync(
    account: CalendarAccount, server: MemoryCalendarServer, rung: Rung
) -> None:
    told(account, 1000)
    assert len(rung) == 1
    assert engine.sync_account(account.pk) is not None
    assert server.requests == 1
    assert engine.sync_account(account.pk) is None


def test_messages_that_arrive_during_a_sync_make_one_more(
    account: CalendarAccount, server: MemoryCalendarServer, rung: Rung
) -> None:
    server.on_request = lambda number: told(account, 10) if number == 1 else None
    told(account)
    engine.sync_account(account.pk)
    assert server.requests == 2
    assert not push.is_told(account.pk)


def test_message_about_a_change_brings_the_change(
    account: CalendarAccount, server: MemoryCalendarServer, rung: Rung
) -> None:
    server.put("work", "new", memory.entry("2026-03-02T09:00"))
    told(account)
    verdict = engine.sync_account(account.pk)
    assert verdict is not None
    assert verdict.changes.created == 1


@pytest.mark.parametrize("error", [Unreachable("Cut off."), Throttled("Later.", retry_after=timedelta(minutes=5))])
def test_failed_sync_has_seen_to_its_messages_and_is_tried_again_by_the_clock(
    account: CalendarAccount, server: MemoryCalendarServer, rung: Rung, error: Exception
) -> None:
    server.fail_next(error)
    told(account)
    engine.sync_account(account.pk)
    assert engine.sync_account(account.pk) is None
    assert CalendarAccount.objects.get().next_attempt_at is not None


def test_message_of_a_worker_that_died_is_still_there_for_the_sweep(
    account: CalendarAccount, server: MemoryCalendarServer, rung: Rung
) -> None:
    class Killed(BaseException):
        pass

    def die(number: int) -> None:
        raise Killed

    server.on_request = die
    told(account)
    with pytest.raises(Killed):
        engine.sync_account(account.pk)
    CalendarAccount.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    later = timezone.now() + RING_AGAIN_AFTER + timedelta(seconds=1)
    rung.clear()
    assert push.sweep(later) == 1
    assert push.sweep(later) == 0
    server.on_request = lambda number: None
    assert engine.sync_account(account.pk) is not None


def test_sweep_leaves_alone_what_is_being_synced_and_what_was_just_rung_for(
    account: CalendarAccount, rung: Rung
) -> None:
    told(account)
    assert push.sweep(timezone.now()) == 0
    later = timezone.now() + RING_AGAIN_AFTER * 2
    CalendarAccount.objects.update(lease_until=later + timedelta(seconds=1))
    assert push.sweep(later) == 0


@pytest.mark.parametrize("column", ["connected", "sync_enabled"])
def test_account_that_is_not_synced_hears_nothing(account: CalendarAccount, rung: Rung, column: str) -> None:
    CalendarAccount.objects.update(**{column: False})
    told(account)
    assert rung == []
    assert not push.is_told(account.pk)


def test_vendor_that_asked_for_silence_gets_it(account: CalendarAccount, rung: Rung) -> None:
    now = timezone.now()
    CalendarAccount.objects.update(vendor_retry_at=now + timedelta(hours=1))
    told(account)
    assert rung == []
    assert push.sweep(now + timedelta(minutes=30)) == 0
    assert push.sweep(now + timedelta(minutes=61)) == 1


@pytest.mark.django_db(transaction=True)
def test_messages_at_once_ring_once(server: MemoryCalendarServer, rung: Rung) -> None:
    account = mirrored_account()
    job: Callable[[], int] = lambda: push.tell([account.pk], now=timezone.now())  # noqa: E731
    assert sum(at_once([job] * 8)) == 1
    assert CalendarAccount.objects.get().push_told == 8


# Who may tell --------------------------------------------------------------------------------------------------------


@pytest.fixture
def channel(account: CalendarAccount) -> PushChannel:
    return PushChannel.objects.create(
        calendar=account.calendars.get(),
        provider="google",
        channel_id="channel-1",
        resource_id="resource-1",
        secret_digest=push.digest_of("right"),
        expires_at=timezone.now() + timedelta(days=7),
        opened_at=timezone.now(),
    )


@pytest.mark.parametrize(
    ("provider", "message", "believed"),
    [
        pytest.param("google", Message("channel-1", "right", "resource-1"), True, id="all of it fits"),
        pytest.param("google", Message("channel-1", "right"), True, id="vendors without resources"),
        pytest.param("google", Message("channel-1", "wrong", "resource-1"), False, id="another secret"),
        pytest.param("google", Message("channel-1", "", "resource-1"), False, id="no secret"),
        pytest.param("google", Message("channel-1", push.digest_of("right")), False, id="the digest itself"),
        pytest.param("google", Message("channel-1", "right", "resource-2"), False, id="another resource"),
        pytest.param("google", Message("channel-2", "right", "resource-1"), False, id="another channel"),
        pytest.param("google", Message("", "", ""), False, id="nothing"),
        pytest.param("outlook", Message("channel-1", "right", "resource-1"), False, id="another vendor's door"),
    ],
)
def test_message_is_believed_for_its_secret(
    channel: PushChannel, provider: str, message: Message, believed: bool
) -> None:
    assert (push.proven(provider, [message])[0] is not None) is believed


def test_thousand_messages_cost_one_query(channel: PushChannel, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        push.proven("google", [Message(f"channel-{number}", "x") for number in range(1000)])


# Pace ----------------------------------------------------------------------------------------------------------------


def test_account_whose_calendars_are_all_told_of_is_polled_slower(
    account: CalendarAccount, channel: PushChannel, settings: LazySettings
) -> None:
    settings.PUSH_URL = "https://calendar.example"
    synced(account)
    next_attempt = CalendarAccount.objects.get().next_attempt_at
    assert next_attempt is not None
    assert next_attempt > timezone.now() + settings.SYNC_INTERVAL_WITH_PUSH * 0.8


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda: PushChannel.objects.update(expires_at=timezone.now()), id="it ended"),
        pytest.param(lambda: PushChannel.objects.update(opened_at=None), id="it is not open yet"),
        pytest.param(lambda: calendar_of(CalendarAccount.objects.get()), id="another calendar has none"),
    ],
)
def test_account_with_a_calendar_that_nobody_tells_of_is_polled_as_ever(
    account: CalendarAccount, channel: PushChannel, settings: LazySettings, spoil: Callable[[], object]
) -> None:
    settings.PUSH_URL = "https://calendar.example"
    spoil()
    assert not channels.covers(account.pk, now=timezone.now())


def test_pace_with_push_and_without(settings: LazySettings) -> None:
    now = timezone.now()
    assert pace.after_success(now) < now + settings.SYNC_INTERVAL * 1.2
    assert pace.after_success(now, with_push=True) > now + settings.SYNC_INTERVAL_WITH_PUSH * 0.8
