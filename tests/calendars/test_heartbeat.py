"""A lease outlives a slow vendor, and no longer than its worker."""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.conf import LazySettings
from django.db import DatabaseError
from django.utils import timezone

from calendars.models import CalendarAccount
from calendars.sync import lease as leases
from calendars.sync.heartbeat import heartbeat
from calendars.sync.lease import LeaseLost
from tests.calendars.mirror import mirrored_account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _quick(settings: LazySettings) -> None:
    settings.SYNC_LEASE = timedelta(seconds=0.2)


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released once after each renewal."""
    done = threading.Semaphore(0)
    renew = leases.renew

    def counted(lease: leases.Lease, *, now: datetime) -> None:
        try:
            renew(lease, now=now)
        finally:
            done.release()

    monkeypatch.setattr(leases, "renew", counted)
    return done


def test_lease_is_renewed_while_the_vendor_is_slow(beats: threading.Semaphore) -> None:
    account = mirrored_account()
    lease = leases.acquire(account.pk, now=timezone.now())
    assert lease is not None
    with heartbeat(lease, clock=timezone.now) as checkpoint:
        for _ in range(6):
            assert beats.acquire(timeout=20)
        checkpoint()
        until = CalendarAccount.objects.get().lease_until
    assert until is not None
    assert until > timezone.now() - timedelta(seconds=20)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("heartbeat-")]


def test_lost_lease_is_said_at_the_next_checkpoint(beats: threading.Semaphore) -> None:
    account = mirrored_account()
    lease = leases.acquire(account.pk, now=timezone.now())
    assert lease is not None
    CalendarAccount.objects.update(lease_owner="another", fence=99)
    with heartbeat(lease, clock=timezone.now) as checkpoint:
        assert beats.acquire(timeout=20)
        with pytest.raises(LeaseLost):
            _ask_until_it_raises(checkpoint)


def _ask_until_it_raises(checkpoint: Callable[[], None]) -> None:
    while True:
        checkpoint()


def test_beat_that_the_database_fails_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    account = mirrored_account()
    lease = leases.acquire(account.pk, now=timezone.now())
    assert lease is not None
    tried = threading.Semaphore(0)

    def fails(*_: object, **__: object) -> None:
        tried.release()
        raise DatabaseError

    monkeypatch.setattr(leases, "renew", fails)
    with heartbeat(lease, clock=timezone.now) as checkpoint:
        assert tried.acquire(timeout=20)
        assert tried.acquire(timeout=20)
        checkpoint()
