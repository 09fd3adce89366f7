"""What the workers do for the ledger. Each may run twice, or die: readers expand what is not prepared."""

from celery import shared_task
from django.utils import timezone

from busyblocks import prepared

# Users of one run: a few seconds of work.
_USERS = 50


@shared_task
def prepare_due() -> None:
    """Beat: prepare the series of users whose horizon is missing, stale or too near. Twice at once: once each."""
    now = timezone.now()
    for user_pk in prepared.due(now, limit=_USERS):
        prepared.prepare(user_pk, now=now)


@shared_task
def sweep_occurrences() -> None:
    """Beat: forget occurrences of rows that are gone. Twice: the second finds none."""
    prepared.sweep()
