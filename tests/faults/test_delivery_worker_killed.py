"""Workers that are killed for real in the middle of a burst of bookings: none is lost, none counts twice."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from busyblocks.models import BusyBlock
from calendars.models import Meeting
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
