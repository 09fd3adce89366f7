"""What the workers do for the feeds."""

from celery import shared_task
from django.utils import timezone

from icsfeeds import hours


@shared_task
def clear_old_hours() -> None:
    """Beat: counts that no dashboard shows any more. Twice: the second finds none."""
    hours.clear_old(now=timezone.now())
