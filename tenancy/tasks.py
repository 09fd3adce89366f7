"""What the workers do for whoever asks."""

from importlib import import_module

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from tenancy import audit


@shared_task
def clear_old_audit_entries() -> None:
    """Beat: entries older than AUDIT_KEEP_DAYS go. Twice: the second finds none."""
    audit.clear_old(now=timezone.now())


@shared_task
def clear_old_sessions() -> None:
    """Beat: sessions that have ended go. Twice: the second finds none."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
