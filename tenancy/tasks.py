"""What the workers do for whoever asks."""

from celery import shared_task
from django.utils import timezone

from tenancy import audit


@shared_task
def clear_old_audit_entries() -> None:
    """Beat: entries older than AUDIT_KEEP_DAYS go. Twice: the second finds none."""
    audit.clear_old(now=timezone.now())
