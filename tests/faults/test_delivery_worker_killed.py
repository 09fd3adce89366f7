"""Workers that are killed for real in the middle of a burst of bookings: none is lost, none counts twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from busyblocks.models import BusyBlock
from calendars.models import Meeting, MeetingUid
from integrations import deliveries
from integrations.models import DeliveryState, WebhookDelivery
from tenancy.models import Company, CrmUser
from tests.faults.workers import until, worker
from tests.integrations.calcom import compact, delivery

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]
BOOKINGS = 300


def handled() -> int:
    return WebhookDelivery.objects.filter(state=DeliveryState.HANDLED).count()


def test_burst_of_bookings_is_finished_by_another_worker(broker: str, alice: CrmUser, tmp_path: Path) -> None:
    company = Company.objects.get()
    log = tmp_path / "worker.log"
    for number in range(BOOKINGS):
        deliveries.receive(
            company.pk,
            compact(delivery("BOOKING_CREATED", f"b{number}")),
            content_type="application/json",
            signed=False,
            now=timezone.now(),
        )
    with worker(log) as first:
        until(lambda: handled() >= 20, what="the first worker handles some")
        first.kill()
    assert 0 < handled() < BOOKINGS

    def finished() -> bool:
        # A minute later beat rings again for what waits.
        deliveries.sweep(now=timezone.now() + timedelta(minutes=2))
        return handled() == BOOKINGS

    with worker(log):
        until(finished, what=f"another worker handles the rest; its log: {log.read_text()[-2000:]}", seconds=90)
    assert (Meeting.objects.count(), BusyBlock.objects.count()) == (BOOKINGS, BOOKINGS)
    assert set(Meeting.objects.values_list("sequence", "user")) == {(0, alice.pk)}


GATE = 4711


@contextmanager
def gate(table: str, event: str) -> Iterator[None]:
    """Whoever does that to the table waits inside its transaction, until the block ends."""
    with connection.cursor() as cursor:
        cursor.execute(f"""
            CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END $$;
            CREATE TRIGGER gate BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION gate();
            SELECT pg_advisory_lock({GATE});
        """)
        try:
            yield
        finally:
            cursor.execute(f"SELECT pg_advisory_unlock({GATE})")
            until(lambda: not waiting_at_the_gate(granted=True), what="the dead worker's transaction ends")
            cursor.execute("DROP FUNCTION gate CASCADE")


def waiting_at_the_gate(*, granted: bool = False) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND granted = %s", [GATE, granted]
        )
        return bool(cursor.fetchone()[0])


def test_worker_killed_before_and_after_handling_leaves_nothing_half_done(
    broker: str, alice: CrmUser, tmp_path: Path
) -> None:
    log = tmp_path / "worker.log"
    deliveries.receive(
        Company.objects.get().pk,
        compact(delivery("BOOKING_CREATED")),
        content_type="application/json",
        signed=False,
        now=timezone.now(),
    )
    # Between storing and handling: before the booking's first row; between handling and marking: after its last.
    for table, event in ((MeetingUid, "INSERT"), (WebhookDelivery, "UPDATE")):
        with worker(log) as dying:
            with gate(table._meta.db_table, event):
                # Its ring may have been lost with the worker before it.
                deliveries.announce(WebhookDelivery.objects.values_list("pk", flat=True).get(), ring=deliveries._ring)
                until(waiting_at_the_gate, what=f"a worker is in the middle; its log: {log.read_text()[-2000:]}")
                dying.kill()
            assert (handled(), Meeting.objects.count(), MeetingUid.objects.count()) == (0, 0, 0)

    def finished() -> bool:
        deliveries.sweep(now=timezone.now() + timedelta(minutes=2))
        return handled() == 1

    with worker(log):
        until(finished, what="another worker handles it", seconds=90)
    assert (Meeting.objects.count(), BusyBlock.objects.count(), Meeting.objects.get().sequence) == (1, 1, 0)
    assert WebhookDelivery.objects.get().attempts == 1
