"""Asking for a sync while something else is at the account; PostgreSQL's locks, which SQLite does not have."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.utils import timezone

from calendars.models import AccountRun, CalendarAccount
from calendars.services import accounts, syncs
from calendars.sync import lease as leases
from tests.calendars.mirror import MEMORY, mirrored_account
from tests.contracts import memory

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def account(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> CalendarAccount:
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: None)
    settings.CALENDAR_PROVIDERS = MEMORY
    memory.start()
    return mirrored_account()


@contextmanager
def being_applied(account: CalendarAccount) -> Iterator[None]:
    """While the block runs, another worker's transaction mirrors the account."""
    begun, over = threading.Event(), threading.Event()

    def apply() -> None:
        try:
            lease = leases.acquire(account.pk, now=timezone.now())
            assert lease is not None
            with transaction.atomic():
                leases.lock(lease)
                begun.set()
                over.wait(30)
        finally:
            connection.close()

    thread = threading.Thread(target=apply)
    thread.start()
    assert begun.wait(30)
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_asking_for_a_sync_does_not_wait_for_the_one_that_writes(account: CalendarAccount) -> None:
    with being_applied(account), connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '1s'")
        syncs.start_for_company(account.company)
        cursor.execute("SET lock_timeout = 0")
    assert AccountRun.objects.filter(account=account, finished_at=None).count() == 1


def test_lease_cannot_be_taken_from_the_one_that_writes(account: CalendarAccount) -> None:
    with being_applied(account), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT id FROM calendars_calendaraccount FOR NO KEY UPDATE SKIP LOCKED) AS free"
        )
        assert cursor.fetchone() == (0,)


def test_account_that_is_disconnected_while_a_company_s_run_is_stored_is_no_part_of_it(
    account: CalendarAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = mirrored_account(user="bob", email="bob@acme.example")
    create = AccountRun.objects.bulk_create

    def disconnect_first(*args: Any, **kwargs: Any) -> Any:
        if CalendarAccount.objects.filter(pk=bob.pk).exists():
            thread = threading.Thread(target=disconnect)
            thread.start()
            thread.join()
        return create(*args, **kwargs)

    def disconnect() -> None:
        try:
            accounts.disconnect(bob, now=timezone.now())
        finally:
            connection.close()

    monkeypatch.setattr(AccountRun.objects, "bulk_create", disconnect_first)
    run = syncs.start_for_company(account.company)
    assert run.accounts_count == 1
    assert list(AccountRun.objects.values_list("account", flat=True)) == [account.pk]
