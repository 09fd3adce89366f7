"""Workers that are killed for real: SIGKILL, on a real database, a real broker and a real CalDAV server."""

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.utils import timezone

from busyblocks.models import BusyBlock
from calendars.models import AccountRun, CalendarAccount, SyncRun
from calendars.services import accounts, syncs
from tenancy.models import CrmUser
from tests.benchmarks.mirror import event
from tests.faults.workers import until, worker
from tests.proxy import Proxy
from tests.servers import radicale

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
EVENTS = 5_000


def test_sync_of_5000_events_is_finished_by_another_worker(
    broker: str, alice: CrmUser, settings: LazySettings, tmp_path: Path
) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    log = tmp_path / "worker.log"
    with radicale() as server, Proxy(server.port) as proxy:
        server.write_events("work", {f"event-{number}": event(number) for number in range(EVENTS)})
        account = accounts.connect(
            alice,
            provider="caldav",
            email="alice@acme.example",
            provider_data={**server.credentials, "server_url": proxy.url},
            now=timezone.now(),
        )
        with worker(log) as first:
            run = syncs.start_for_user(alice)
            until(lambda: len(proxy.asked) >= EVENTS // 200, what="the first worker reads")
            first.kill()
        assert AccountRun.objects.get(run=run).finished_at is None
        assert BusyBlock.objects.count() == 0

        def finished() -> bool:
            syncs.sweep(timezone.now())
            return not SyncRun.objects.filter(pk=run.pk, finished_at=None).exists()

        with worker(log):
            until(finished, what=f"another worker finishes the run; its log: {log.read_text()[-2000:]}", seconds=90)
    totals = syncs.with_totals(SyncRun.objects.filter(pk=run.pk)).get()
    assert (totals.status, totals.events_created) == ("completed", EVENTS)
    rows = BusyBlock.objects.filter(origin__calendar__account=account)
    assert set(rows.values_list("external_event_id", flat=True)) == {f"event-{number}.ics" for number in range(EVENTS)}
    assert rows.count() == EVENTS
    assert CalendarAccount.objects.get().status == "active"
