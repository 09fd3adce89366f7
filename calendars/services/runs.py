"""Runs of the mirror, from the worker's side: taking them up, and closing them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet

from calendars.models import AccountRun, RunState, SyncRun
from calendars.models.sync_run import UNFINISHED
from calendars.providers import ProviderError
from calendars.sync.lease import Lease

RING_AGAIN_FOR_WAITING = timedelta(seconds=60)
RING_AGAIN_FOR_TAKEN = timedelta(seconds=10)
# A company's run has a part for each of its accounts, and they go with it.
_CLEAR_BATCH = 50


def waiting(account_pk: int) -> QuerySet[AccountRun]:
    """What was asked for this account and is not finished: new requests, and those of a worker that died."""
    return AccountRun.objects.filter(account=account_pk, finished_at=None)


def take_up(lease: Lease) -> list[AccountRun]:
    """Everything that waits for the account, now under this lease: one sync answers all of it."""
    waiting(lease.account_pk).update(status=RunState.IN_PROGRESS, fence=lease.fence)
    taken = list(waiting(lease.account_pk).filter(fence=lease.fence).select_related("run"))
    SyncRun.objects.filter(pk__in=[item.run_id for item in taken], status=RunState.QUEUED).update(
        status=RunState.IN_PROGRESS
    )
    return taken


def close(
    account_runs: Iterable[AccountRun], failure: ProviderError | None, complaints: list[str], *, now: datetime
) -> None:
    """Say on each what came of it, and finish the runs that have nothing open any more. Safe to repeat."""
    if failure is not None:
        status, error = RunState.FAILED, f"{failure.reason} {failure.advice}"
    elif complaints:
        status, error = RunState.COMPLETED_WITH_ERRORS, " ".join(complaints)
    else:
        status, error = RunState.COMPLETED, ""
    run_pks = set()
    for account_run in account_runs:
        # A run that a later lease took over is that lease's to close.
        AccountRun.objects.filter(pk=account_run.pk, fence=account_run.fence, finished_at=None).update(
            status=status, error=error, finished_at=now
        )
        run_pks.add(account_run.run_id)
    for run_pk in run_pks:
        finish_if_done(run_pk, now=now)


def finish_if_done(run_pk: int, *, now: datetime) -> None:
    """Close the run when no account of it is open; the last of several workers to come here does it.

    The run is locked first, so that of two workers who close their last accounts at once one sees both closed.
    """
    with transaction.atomic():
        run = SyncRun.objects.select_for_update().filter(pk=run_pk, status__in=UNFINISHED).first()
        if run is None or run.account_runs.filter(finished_at=None).exists():
            return
        states = set(run.account_runs.values_list("status", flat=True))
        if states <= {RunState.COMPLETED.value}:
            run.status = RunState.COMPLETED
        elif states == {RunState.FAILED.value}:
            run.status = RunState.FAILED
        else:
            run.status = RunState.COMPLETED_WITH_ERRORS
        run.finished_at = now
        run.save(update_fields=["status", "finished_at"])


def orphaned(now: datetime) -> QuerySet[AccountRun]:
    """Unfinished parts of runs that no living worker holds and for which nobody rang lately.

    One that a worker had taken up lost that worker: it is rung for as soon as the lease has expired. One that still
    waits may only stand in a long queue, so its message gets more time.
    """
    taken_up = Q(status=RunState.IN_PROGRESS, enqueued_at__lt=now - RING_AGAIN_FOR_TAKEN)
    waits = Q(status=RunState.QUEUED, enqueued_at__lt=now - RING_AGAIN_FOR_WAITING)
    return (
        AccountRun.objects.filter(
            taken_up | waits | Q(enqueued_at=None, run__started_at__lt=now - RING_AGAIN_FOR_TAKEN)
        )
        .filter(finished_at=None)
        .exclude(account=None)
        .exclude(account__lease_until__gte=now)
        .order_by(F("enqueued_at").asc(nulls_first=True), "pk")
    )


def clear_old(*, now: datetime) -> int:
    """Delete the runs that were finished more than RUNS_KEEP_DAYS ago, with their parts; how many.

    0 days: they are kept for ever. In batches, so that no lock is held for long; twice at once is safe.
    """
    if not settings.RUNS_KEEP_DAYS:
        return 0
    old = SyncRun.objects.filter(finished_at__lt=now - timedelta(days=settings.RUNS_KEEP_DAYS)).order_by("started_at")
    count = 0
    while pks := list(old.values_list("pk", flat=True)[:_CLEAR_BATCH]):
        count += len(pks)
        SyncRun.objects.filter(pk__in=pks).delete()
    return count
