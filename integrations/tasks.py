"""What workers do for the integrations."""

from celery import shared_task
from django.utils import timezone

from integrations import deliveries


@shared_task(name="integrations.tasks.handle_delivery")
def handle_delivery(delivery_pk: int) -> None:
    """Work off one delivery. Twice is safe: the row is locked, and only one that still waits is handled."""
    deliveries.work_off(delivery_pk, now=timezone.now())


@shared_task(name="integrations.tasks.sweep_unhandled_deliveries")
def sweep_unhandled_deliveries() -> int:
    """Ring for deliveries whose task was lost or is due again. Twice is safe: each is rung for once a minute."""
    return deliveries.sweep(now=timezone.now())
