"""What is large waits in a queue of its own: nobody's changes stand behind it."""

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from calendars.models import AccountRun, CalendarAccount
from calendars.services import accounts, push, syncs
from tenancy.models import Company, CrmUser
from tests.contracts.contract import ALICE, event
from tests.faults.workers import until, worker
from tests.servers import CalDAVServer, radicale

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]


def connected(user: CrmUser, server: CalDAVServer) -> CalendarAccount:
    return accounts.connect(user, provider="caldav", email=ALICE, provider_data=server.credentials, now=timezone.now())


def test_message_is_seen_to_while_another_company_s_backfill_waits(
    broker: str, alice: CrmUser, settings: LazySettings, tmp_path: Path
) -> None:
    """Row 26: what is large waits in a queue of its own."""
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    globex = Company.objects.create(url_id="globex-of-backfills")
    others = [CrmUser.objects.create(company=globex, unique_id=f"user-{number}") for number in range(20)]
    with radicale() as server:
        server.write_events("work", {"one": event("one", "DTSTART:20260320T080000Z")})
        account = connected(alice, server)
        CalendarAccount.objects.filter(pk=account.pk).update(last_synced_at=timezone.now())
        for user in others:
            connected(user, server)
        # Each way to ask for what is large: by company, by user, from the start, by beat, and again by the sweep.
        company_run = syncs.start_for_company(globex)
        for user in others:
            syncs.start_for_user(user)
        syncs.start_for_user(alice, force_refresh=True)
        AccountRun.objects.filter(run__company=globex).update(enqueued_at=timezone.now().replace(year=2020))
        syncs.sweep(timezone.now())
        CalendarAccount.objects.filter(user__in=others).update(next_attempt_at=timezone.now())
        syncs.poll_due(timezone.now())
        # No worker serves "bulk": a backfill that never ends.
        with worker(tmp_path / "worker.log", queues="push,poll,webhooks"):
            push.tell([account.pk], now=timezone.now())
            until(lambda: not push.is_told(account.pk), what="the sync that the message asked for")
    assert not CalendarAccount.objects.filter(user__in=others).exclude(last_attempt_at=None).exists()
    assert AccountRun.objects.filter(run=company_run, finished_at=None).count() == len(others)
