"""Asking for a sync: a row first, then a ring at the workers' door."""

import time
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from calendars.models import AccountRun, CalendarAccount, RunState, SyncRun
from calendars.models.sync_run import UNFINISHED
from calendars.services import doors, runs
from calendars.services.doorbell import ring
from tenancy.models import Company, CrmUser

SYNC_ACCOUNT = "calendars.tasks.sync_account"
FAN_OUT = "calendars.tasks.fan_out"
# A due account whose message was lost is due again after this.
POLL_AGAIN_AFTER = timedelta(seconds=60)
# Accounts that one beat sends on their way.
BEAT_LIMIT = 500
_FIRST_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.02, 0.25


def start_for_user(user: CrmUser, *, force_refresh: bool = False) -> SyncRun:
    """A run over the user's accounts, queued; already completed when there is none to sync."""
    accounts = CalendarAccount.objects.filter(user=user)
    return _start(SyncRun(company_id=user.company_id, user=user, force_refresh=force_refresh), accounts, "push")


def start_for_company(company: Company, *, force_refresh: bool = False) -> SyncRun:
    """A run over all accounts of the company, queued. Its tasks are sent by a task: they may be many."""
    accounts = CalendarAccount.objects.filter(company=company)
    return _start(SyncRun(company=company, force_refresh=force_refresh), accounts, "bulk")


def start_for_account(account: CalendarAccount, *, force_refresh: bool = False) -> SyncRun:
    """A run over this one account, queued."""
    accounts = CalendarAccount.objects.filter(pk=account.pk)
    run = SyncRun(company_id=account.company_id, user_id=account.user_id, force_refresh=force_refresh)
    return _start(run, accounts, "push")


def wait(run: SyncRun, *, seconds: float) -> SyncRun:
    """The run as soon as it is finished, or as it stands after `seconds`. Holds a thread and no transaction."""
    deadline = time.monotonic() + seconds
    pause = _FIRST_LOOK_SECONDS
    run.refresh_from_db()
    while run.status in UNFINISHED and (left := deadline - time.monotonic()) > 0:
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_LOOK_SECONDS)
        run.refresh_from_db()
    return run


def with_totals(rows: QuerySet[SyncRun]) -> QuerySet[SyncRun]:
    """Each run with accounts_done, events_created, …_updated, …_deleted, …_withheld and last_synced, in one query."""
    totals = {
        name: Coalesce(Sum(f"account_runs__{name}"), 0)
        for name in ("events_created", "events_updated", "events_deleted", "events_withheld")
    }
    return rows.annotate(
        accounts_done=Count("account_runs", filter=Q(account_runs__finished_at__isnull=False)),
        last_synced=Max("account_runs__account__last_synced_at"),
        **totals,
    )


def fan_out(run_pk: int) -> int:
    """Ring once for each account of the run that nobody rang for; how many. Twice or killed midway: the sweep."""
    pks = list(
        AccountRun.objects.filter(run=run_pk, finished_at=None, enqueued_at=None)
        .exclude(account=None)
        .values_list("pk", "account")
    )
    for start in range(0, len(pks), BEAT_LIMIT):
        some = pks[start : start + BEAT_LIMIT]
        AccountRun.objects.filter(pk__in=[pk for pk, _ in some]).update(enqueued_at=timezone.now())
        for _, account_pk in some:
            ring(SYNC_ACCOUNT, account_pk, queue="bulk")
    return len(pks)


def poll_due(now: datetime) -> int:
    """Send the accounts that are due on their way; how many. Two beats at once: each account goes with one."""
    with transaction.atomic():
        pks = list(
            CalendarAccount.objects.select_for_update(skip_locked=True)
            .due(now)
            .unleased(now)
            .order_by("next_attempt_at")
            .values_list("pk", flat=True)[:BEAT_LIMIT]
        )
        CalendarAccount.objects.filter(pk__in=pks).update(next_attempt_at=now + POLL_AGAIN_AFTER)
    large = doors.large(pks, now=now)
    for pk in pks:
        ring(SYNC_ACCOUNT, pk, now.isoformat(), queue="bulk" if pk in large else "poll")
    return len(pks)


def sweep(now: datetime) -> int:
    """Ring again for what no living worker holds, and close runs whose accounts are gone; how many were rung."""
    orphans = list(runs.orphaned(now).values_list("pk", "account", "run__user", "run__force_refresh")[:BEAT_LIMIT])
    AccountRun.objects.filter(pk__in=[pk for pk, *_ in orphans]).update(enqueued_at=now)
    large = doors.large((account_pk for _, account_pk, _, _ in orphans), now=now)
    large |= {account_pk for _, account_pk, user_pk, full in orphans if full or not user_pk}
    for account_pk in dict.fromkeys(account_pk for _, account_pk, _, _ in orphans):
        ring(SYNC_ACCOUNT, account_pk, queue="bulk" if account_pk in large else "push")
    AccountRun.objects.filter(finished_at=None, account=None).update(
        status=RunState.COMPLETED, finished_at=now, error="The account was disconnected."
    )
    nothing_open = ~Exists(AccountRun.objects.filter(run=OuterRef("pk"), finished_at=None))
    done = SyncRun.objects.filter(nothing_open, status__in=UNFINISHED)
    for run_pk in done.values_list("pk", flat=True)[:BEAT_LIMIT]:
        runs.finish_if_done(run_pk, now=now)
    return len(orphans)


def _start(run: SyncRun, accounts: QuerySet[CalendarAccount], queue: str) -> SyncRun:
    """Store the run and its parts, then ring. Accounts that never were connected are not part of it."""
    for tries_left in (2, 1, 0):
        try:
            pks = _store(run, accounts, enqueued_at=None if queue == "bulk" else timezone.now())
            break
        except IntegrityError:
            # Between our look and the commit somebody disconnected one of the accounts.
            if not tries_left:
                raise
            run.pk = None
    if queue == "bulk" and pks:
        transaction.on_commit(lambda: ring(FAN_OUT, run.pk, queue="bulk"))
    elif pks:
        large = set(pks) if run.force_refresh else doors.large(pks, now=timezone.now())
        for pk in pks:
            door = "bulk" if pk in large else queue
            transaction.on_commit(lambda pk=pk, door=door: ring(SYNC_ACCOUNT, pk, queue=door))  # type: ignore[misc]
    return run


def _store(run: SyncRun, accounts: QuerySet[CalendarAccount], *, enqueued_at: datetime | None) -> list[int]:
    """The run as a row, with one for each account; the accounts' keys."""
    with transaction.atomic():
        pks = list(
            accounts.filter(sync_enabled=True)
            .filter(Q(connected=True) | ~Q(last_error_code=""))
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        run.started_at = timezone.now()
        run.accounts_count = len(pks)
        if not pks:
            run.status = RunState.COMPLETED
            run.finished_at = run.started_at
        run.save()
        AccountRun.objects.bulk_create(
            [AccountRun(run=run, account_id=pk, enqueued_at=enqueued_at) for pk in pks], batch_size=2000
        )
    return pks
