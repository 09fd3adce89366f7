"""How far runs are: what whoever watches one is told, again and again, by one cheap query."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from calendars.models import AccountRun, Calendar, CalendarRun, RunState, SyncRun

FEW_ACCOUNTS = 20
# States of an account's part in which something is to be told.
WRONG = (RunState.FAILED, RunState.COMPLETED_WITH_ERRORS)


@dataclass(frozen=True, slots=True)
class Progress:
    """Some runs as they stand, taken together. Events are counted as they are committed, calendar by calendar."""

    accounts: int
    done: int
    failed: int
    created: int
    updated: int
    deleted: int
    withheld: int
    taken_up: bool
    finished: bool
    started_at: datetime
    # Of small runs only: where there are many accounts, they say enough.
    calendars: int = 0
    calendars_done: int = 0

    @property
    def changed(self) -> int:
        return self.created + self.updated + self.deleted

    @property
    def share(self) -> float:
        """How much of it is done, from 0 to 1."""
        if self.finished:
            return 1.0
        if self.calendars:
            return min(self.calendars_done / self.calendars, 1.0)
        return self.done / self.accounts if self.accounts else 0.0

    def left(self, now: datetime) -> timedelta | None:
        """How long the rest will take at the pace so far; None before anything is through."""
        if self.finished:
            return timedelta(0)
        return (now - self.started_at) / self.share * (1 - self.share) if self.share else None


def of(run_pks: Collection[int]) -> Progress:
    """Of these runs; there must be one. Two queries, and two more where there are few accounts."""
    runs = list(SyncRun.objects.filter(pk__in=run_pks).values_list("accounts_count", "started_at", "finished_at"))
    sums = {name: Coalesce(Sum(f"events_{name}"), 0) for name in ("created", "updated", "deleted", "withheld")}
    parts = AccountRun.objects.filter(run__in=run_pks).aggregate(
        done=Count("pk", filter=Q(finished_at__isnull=False)),
        failed=Count("pk", filter=Q(status__in=WRONG)),
        open=Count("pk", filter=Q(status=RunState.IN_PROGRESS)),
        **sums,
    )
    taken_up = bool(parts.pop("open") or parts["done"])
    accounts = sum(count for count, _, _ in runs)
    calendars = _calendars(run_pks) if accounts <= FEW_ACCOUNTS else {}
    return Progress(
        accounts=accounts,
        taken_up=taken_up,
        finished=all(finished_at is not None for _, _, finished_at in runs),
        started_at=min(started_at for _, started_at, _ in runs),
        **parts,
        **calendars,
    )


def _calendars(run_pks: Collection[int]) -> dict[str, int]:
    wanted = Calendar.objects.filter(account__account_runs__run__in=run_pks, sync_enabled=True)
    return {
        "calendars": wanted.order_by().count(),
        "calendars_done": CalendarRun.objects.filter(part__run__in=run_pks).order_by().count(),
    }
