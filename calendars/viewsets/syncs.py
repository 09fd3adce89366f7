"""Asking for a sync, and looking at the runs: `…/calendar/sync`, `/calendar/syncs`."""

import re
from typing import Any

from django.db.models import Prefetch, QuerySet
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from calendars.models import AccountRun, SyncRun
from calendars.models.sync_run import UNFINISHED, RunState
from calendars.serializers.sync_run import SyncRequestSerializer, SyncRunSerializer, sentences
from calendars.services import syncs
from tenancy.permissions import IsCompanyAdmin, MayReachUser
from tenancy.serializers import utc_text
from tenancy.viewsets import TenantViewSet

# RFC 7240 §4.3; nobody holds a request longer than this.
LONGEST_WAIT_SECONDS = 30
_WAIT = re.compile(r'(?:^|,)\s*wait\s*=\s*"?(\d{1,9})"?\s*(?=[;,]|$)', re.IGNORECASE)
# How many failed accounts a run tells about.
_SHOWN = 100


def seconds_to_wait(prefer: str) -> int | None:
    """`wait` of a Prefer header, at most 30; None when it does not ask."""
    asked = _WAIT.search(prefer)
    return min(int(asked[1]), LONGEST_WAIT_SECONDS) if asked else None


def shown(runs: QuerySet[SyncRun]) -> QuerySet[SyncRun]:
    """The runs with their sums and the first failures, in a constant number of queries."""
    failed = AccountRun.objects.exclude(error="").select_related("account").order_by("pk")
    return (
        syncs.with_totals(runs)
        .select_related("user")
        .prefetch_related(
            Prefetch(
                "account_runs",
                failed.defer("account__credentials", "account__provider_state")[:_SHOWN],
                to_attr="failed_shown",
            )
        )
    )


class SyncRunViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """Runs, newest first. A token of one user sees the runs of that user."""

    queryset = SyncRun.objects.order_by("-started_at", "-pk")
    serializer_class = SyncRunSerializer
    resource_name = "sync_run"
    filterable = {"status": "status", "user_unique_id": "user__unique_id"}
    sortable = {name: name for name in ("started_at", "finished_at", "status", "accounts_count")}

    def get_queryset(self) -> QuerySet[SyncRun]:
        rows: QuerySet[SyncRun] = super().get_queryset()
        if not self.caller.is_admin:
            rows = rows.filter(user__unique_id=self.caller.user_unique_id, user__isnull=False)
        return shown(rows)


class UserSyncViewSet(TenantViewSet):
    """POST starts a sync of one user's accounts and answers at once, or with `Prefer: wait=SECONDS` when it is done."""

    queryset = SyncRun.objects.all()
    serializer_class = SyncRequestSerializer
    resource_name = "sync_run"
    body_name = "sync"
    message = "Calendar sync initiated"

    def create(self, request: Request, **kwargs: Any) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        run = self.start(force_refresh=body.validated_data["force_refresh"])
        wait = seconds_to_wait(request.headers.get("Prefer", ""))
        if wait:
            syncs.wait(run, seconds=wait)
        response = Response(answer(shown(SyncRun.objects.all()).get(pk=run.pk), message=self.message))
        if wait is not None:
            response["Preference-Applied"] = f"wait={wait}"
        return response

    def start(self, *, force_refresh: bool) -> SyncRun:
        return syncs.start_for_user(self.user_to_write(), force_refresh=force_refresh)


class CompanySyncViewSet(UserSyncViewSet):
    """The same for every user of the company."""

    permission_classes = (MayReachUser, IsCompanyAdmin)
    message = "Global calendar sync initiated"

    def start(self, *, force_refresh: bool) -> SyncRun:
        return syncs.start_for_company(self.company, force_refresh=force_refresh)


def answer(run: Any, *, message: str) -> dict[str, Any]:
    """The documented answer to a sync, with what the SDK's two services read beside it.

    `synced_at` is when the run finished, or started while it has not; `status` says in_progress until it finished.
    """
    return {
        "message": message,
        "data": {
            "sync_id": str(run.unique_id),
            "accounts_count": run.accounts_count,
            "status": RunState.IN_PROGRESS.value if run.status in UNFINISHED else run.status,
            "started_at": utc_text(run.started_at),
            "eventsCreated": run.events_created,
            "eventsUpdated": run.events_updated,
            "eventsDeleted": run.events_deleted,
            "lastSyncAt": utc_text(run.last_synced) if run.last_synced else None,
        },
        "success": run.status != RunState.FAILED,
        "synced_events": run.events_created + run.events_updated + run.events_deleted,
        "synced_at": utc_text(run.finished_at or run.started_at),
        "errors": sentences(run),
    }
