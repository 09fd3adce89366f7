"""What workers do for the integrations."""

from celery import shared_task
from django.utils import timezone

from integrations import deliveries
from integrations.calcom import reconciliation


@shared_task(name="integrations.tasks.handle_delivery")
def handle_delivery(*delivery_pks: int) -> None:
    """Work off deliveries. Twice is safe: each row is locked, and only one that still waits is handled."""
    for delivery_pk in delivery_pks:
        deliveries.work_off(delivery_pk, now=timezone.now())


@shared_task(name="integrations.tasks.sweep_unhandled_deliveries")
def sweep_unhandled_deliveries() -> int:
    """Ring for deliveries whose task was lost or is due again. Twice is safe: each is rung for once a minute."""
    return deliveries.sweep(now=timezone.now())


@shared_task(name="integrations.tasks.clear_old_deliveries")
def clear_old_deliveries() -> int:
    """Delete deliveries that were kept long enough. Twice is safe: what is gone is gone."""
    return deliveries.clear_old(now=timezone.now())


@shared_task(name="integrations.tasks.reconcile_calcom")
def reconcile_calcom() -> int:
    """Ring for each company whose bookings are to be read by now; how many. Twice is safe: each is rung for once."""
    return reconciliation.ring_for_due(now=timezone.now())


@shared_task(name="integrations.tasks.reconcile_company")
def reconcile_company(company_pk: int) -> None:
    """Mend what the webhooks of one company missed. Twice is safe: what is told again changes nothing."""
    reconciliation.reconcile(company_pk, now=timezone.now())
