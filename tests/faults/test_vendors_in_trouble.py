"""Vendors in trouble: a cursor lost in the middle of a read, a storm of refusals, a day without messages."""

import os
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.utils import timezone
from time_machine import travel

from busyblocks.models import BusyBlock
from calendars.models import Calendar, CalendarAccount, PushChannel
from calendars.providers import CursorLost, Throttled
from calendars.services import push, syncs
from calendars.sync import engine
from tests.calendars.mirror import MEMORY, MONDAY, ledger, mirrored_account, synced
from tests.contracts import memory

pytestmark = pytest.mark.django_db

# `make faults`: the thousand that the storm is about.
STORM = 1000 if "FAULT_RUNS" in os.environ else 20


@pytest.fixture(autouse=True)
def _workers_that_hear_every_ring(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.CALENDAR_PROVIDERS = MEMORY

    def ring(task: str, account_pk: int, due_at: str | None = None, *, queue: str) -> None:
        engine.sync_account(account_pk, due_at=timezone.now() if due_at else None)

    monkeypatch.setattr(syncs, "ring", ring)
    monkeypatch.setattr(push, "ring", ring)


def beat() -> None:
    """As often as it takes until nothing is due any more."""
    while syncs.poll_due(timezone.now()):
        pass


@pytest.mark.parametrize("of_the_full_read", [False, True], ids=["of the changes", "of the full read after it"])
def test_cursor_lost_on_page_3_of_5_never_shows_a_shrunken_calendar(of_the_full_read: bool) -> None:
    """Row 17."""
    server = memory.start(page_size=4)
    for number in range(20):
        server.put("work", f"event-{number}", memory.entry("2026-03-02T09:00", title="Before"))
    account = mirrored_account()
    synced(account)
    for number in range(20):
        server.put("work", f"event-{number}", memory.entry("2026-03-02T09:00", title="After"))
    seen: list[set[tuple[int, str]]] = []

    def look(number: int) -> None:
        seen.append({(BusyBlock.objects.count(), title) for title in BusyBlock.objects.values_list("title", flat=True)})

    server.on_request = look
    server.fail_next(CursorLost("Gone."), after_pages=2)
    if of_the_full_read:
        server.fail_next(CursorLost("Gone."), after_pages=2)
    verdict = synced(account)
    assert verdict.succeeded is not of_the_full_read
    # Three pages until it was lost, and then five, or three again.
    assert len(seen) == (6 if of_the_full_read else 8)
    assert all(what == {(20, "Before")} for what in seen)
    assert synced(account).succeeded
    assert ledger(account) == server.ids("work")
    assert set(BusyBlock.objects.values_list("title", flat=True)) == {"After"}


def test_storm_of_429_over_many_accounts_leaves_the_healthy_ones_alone() -> None:
    """Row 19: a thousand accounts at one vendor, each told to wait; those at another are synced as ever."""
    healthy, storm = memory.start(), memory.start(for_username="storm")
    healthy.put("work", "event", memory.entry("2026-03-02T09:00"))
    storm.put("work", "event", memory.entry("2026-03-02T09:00"))
    with travel(MONDAY, tick=False) as clock:
        accounts = [mirrored_account(email=f"user-{number}@acme.example") for number in range(STORM)]
        throttled = accounts[: STORM * 9 // 10]
        for account in throttled:
            account.credentials = {"username": "storm", "password": "secret"}
            account.save()
            storm.fail_next(Throttled("Later (429).", retry_after=timedelta(minutes=30)), on="calendars")
        beat()
        assert (storm.requests, BusyBlock.objects.count()) == (len(throttled), STORM - len(throttled))
        assert CalendarAccount.objects.filter(last_error_code="throttled").count() == len(throttled)
        # Somebody who presses the button does not break the silence.
        syncs.start_for_account(throttled[0])
        engine.sync_account(throttled[0].pk)
        for _ in range(4):
            clock.shift(timedelta(minutes=6))
            beat()
            synced_now = CalendarAccount.objects.filter(last_synced_at=timezone.now())
            assert synced_now.count() == STORM - len(throttled)
        assert storm.requests == len(throttled)
        clock.shift(timedelta(minutes=10))
        beat()
    assert BusyBlock.objects.count() == STORM
    assert not CalendarAccount.objects.exclude(last_error="").exists()


def test_day_without_a_single_message_delays_changes_by_no_more_than_the_slow_poll(settings: LazySettings) -> None:
    """Row 23: the vendor's messages stop, its channels say nothing of it; polling goes on underneath."""
    settings.PUSH_URL = "https://calendar.example"
    server = memory.start()
    server.put("work", "event-0", memory.entry("2026-03-02T09:00"))
    with travel(MONDAY, tick=False) as clock:
        account = mirrored_account()
        synced(account)
        PushChannel.objects.create(
            calendar=Calendar.objects.get(),
            provider="google",
            channel_id="channel",
            secret_digest=push.digest_of("secret"),
            opened_at=timezone.now(),
            expires_at=timezone.now() + timedelta(days=7),
        )
        synced(account)
        server.requests = 0
        step = timedelta(minutes=11)
        for hour in range(24):
            server.put("work", f"event-{hour + 1}", memory.entry("2026-03-02T09:00"))
            for _ in range(settings.SYNC_INTERVAL_WITH_PUSH * 1.1 // step + 1):
                clock.shift(step)
                beat()
            assert ledger(account) == server.ids("work")
    # With the list of calendars, which is asked for every now and then: seldom for all that.
    assert server.requests < 24 * 60 / 10
