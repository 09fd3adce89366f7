"""What the workers do for the mirror. Each may run twice, or die: the rows decide, the sweep finishes."""

from datetime import datetime

from celery import shared_task
from django.utils import timezone

from calendars.services import channels, clocks, farewells, hours, people, push, runs, syncs
from calendars.sync import engine


@shared_task
def sync_account(account_pk: int, due_at: str | None = None) -> None:
    """Sync one account. Twice at once: the second finds the lease taken; twice in a row: nothing waits any more."""
    engine.sync_account(account_pk, due_at=datetime.fromisoformat(due_at) if due_at else None)


@shared_task
def fan_out(run_pk: int) -> None:
    """Send a company's run to the workers. Twice: only what was not sent yet."""
    syncs.fan_out(run_pk)


@shared_task
def poll_due_accounts() -> None:
    """Beat: send the accounts that are due. Twice at once: each account once."""
    syncs.poll_due(timezone.now())


@shared_task
def sweep_unfinished_runs() -> None:
    """Beat: whatever a dead worker, a lost message or a lost broker left behind."""
    syncs.sweep(timezone.now())


@shared_task
def say_farewell(farewell_pk: int) -> None:
    """Revoke what a disconnected account was granted. Twice at once: one does it."""
    farewells.say(farewell_pk, now=timezone.now())


@shared_task
def sweep_farewells() -> None:
    """Beat: revocations that are due again, or whose message was lost."""
    farewells.sweep(timezone.now())


@shared_task
def match_waiting_bookings() -> int:
    """Beat: bookings whose host became known some other way, or in the very moment of the booking. Twice is safe."""
    return people.match_waiting(now=timezone.now())


@shared_task
def tend_channels(calendar_pk: int) -> None:
    """Open, renew or close a calendar's push channels. Twice at once: one does it."""
    channels.tend(calendar_pk, now=timezone.now())


@shared_task
def tend_push_channels() -> None:
    """Beat: calendars whose push channels need care. Twice: each calendar is claimed by the one that tends it."""
    channels.ring_due(timezone.now())


@shared_task
def sweep_push_messages() -> None:
    """Beat: accounts whose vendor told of changes, and whose message or worker was lost."""
    push.sweep(timezone.now())


@shared_task
def mend_stamps() -> None:
    """Beat: moments that a clock which was ahead wrote into rows. Twice: the second finds none."""
    clocks.mend(timezone.now())


@shared_task
def clear_old_hours() -> None:
    """Beat: counts that no dashboard shows any more. Twice: the second finds none."""
    hours.clear_old(now=timezone.now())


@shared_task
def clear_old_runs() -> None:
    """Beat: runs that were finished more than RUNS_KEEP_DAYS ago go. Twice: the second finds none."""
    runs.clear_old(now=timezone.now())
