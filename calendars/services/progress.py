"""How far runs are: what whoever watches one is told, again and again, by one cheap query."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from calendars.models import AccountRun, RunState, SyncRun

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

    @property
    def changed(self) -> int:
        return self.created + self.updated + self.deleted

    def left(self, now: datetime) -> timedelta | None:
        """How long the rest will take at the pace so far; None before the first account is through."""
        if self.finished:
            return timedelta(0)
        if not self.done:
            return None
        return (now - self.started_at) / self.done * (self.accounts - self.done)


def of(run_pks: Collection[int]) -> Progress:
    """Of these runs; there must be one. Two queries."""
    runs = list(SyncRun.objects.filter(pk__in=run_pks).values_list("accounts_count", "started_at", "finished_at"))
    sums = {name: Coalesce(Sum(f"events_{name}"), 0) for name in ("created", "updated", "deleted", "withheld")}
    parts = AccountRun.objects.filter(run__in=run_pks).aggregate(
        done=Count("pk", filter=Q(finished_at__isnull=False)),
        failed=Count("pk", filter=Q(status__in=WRONG)),
        open=Count("pk", filter=Q(status=RunState.IN_PROGRESS)),
        **sums,
    )
    taken_up = bool(parts.pop("open") or parts["done"])
    return Progress(
        accounts=sum(count for count, _, _ in runs),
        taken_up=taken_up,
        finished=all(finished_at is not None for _, _, finished_at in runs),
        started_at=min(started_at for _, started_at, _ in runs),
        **parts,
    )
