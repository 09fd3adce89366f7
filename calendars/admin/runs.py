"""Runs of the mirror: what was asked for, how far it is, what came of it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.text import Truncator
from unfold.admin import TabularInline
from unfold.decorators import display

from calendars.admin import run_pages
from calendars.models import AccountRun, RunState, SyncRun
from calendars.services import progress, syncs
from tenancy.admin.scope import ReadOnlyAdmin, without_secrets

_COLOURS = {
    RunState.QUEUED.label: "",
    RunState.IN_PROGRESS.label: "info",
    RunState.COMPLETED.label: "success",
    RunState.COMPLETED_WITH_ERRORS.label: "warning",
    RunState.FAILED.label: "danger",
}
_SUMS = ("events_created", "events_updated", "events_deleted", "events_withheld")


class AccountRunInline(TabularInline):
    """Each account's part of the run."""

    model = AccountRun
    per_page = 50
    extra = max_num = 0
    can_delete = False
    show_change_link = True
    verbose_name_plural = "accounts of this run"
    fields = ("account", "status", *_SUMS, "error", "finished_at")
    readonly_fields = fields
    ordering = ("pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccountRun]:
        return without_secrets(super().get_queryset(request).select_related("account"), ["account"])

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(SyncRun)
class SyncRunAdmin(ReadOnlyAdmin):
    """Which runs are under way, which failed, and what did they change?"""

    list_display = (
        "started_at",
        "company",
        "whose",
        "state",
        "progress",
        "created",
        "updated",
        "deleted",
        "withheld",
        "took",
    )
    list_select_related = ("company", "user")
    list_filter = ("status", "force_refresh", ("started_at", admin.DateFieldListFilter))
    search_fields = ("=unique_id", "=user__unique_id")
    ordering = ("-id",)
    fields = (
        "company",
        "whose",
        "state",
        "force_refresh",
        "progress",
        "created",
        "updated",
        "deleted",
        "withheld",
        "started_at",
        "finished_at",
        "took",
        "unique_id",
    )
    readonly_fields = fields
    inlines = (AccountRunInline,)
    change_form_outer_before_template = "admin/run_progress.html"
    change_form_before_template = "admin/run_calendars.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[SyncRun]:
        return syncs.with_totals(super().get_queryset(request))

    def get_urls(self) -> list[URLPattern]:
        own = path(
            "<path:object_id>/progress/",
            self.admin_site.admin_view(self.progress_view),
            name="calendars_syncrun_progress",
        )
        return [own, *super().get_urls()]

    def progress_view(self, request: HttpRequest, object_id: str) -> JsonResponse:
        """How far the run is, for the page's script; 404 for a run that is not theirs."""
        run = self.get_object(request, object_id)
        if run is None or not self.has_view_permission(request, run):
            raise Http404
        found = run_pages.told(progress.of([run.pk]), at=timezone.now())
        return JsonResponse(found, headers={"Cache-Control": "no-store"})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        run = kwargs.get("obj")
        if run is not None:
            rows, unshown = run_pages.calendars_of(AccountRun.objects.filter(run=run))
            context |= {
                "progress": run_pages.told(progress.of([run.pk]), at=timezone.now()),
                "progress_url": reverse("admin:calendars_syncrun_progress", args=[run.pk]),
                "calendar_rows": rows,
                "calendars_unshown": unshown,
            }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="Of", ordering="user")
    def whose(self, run: SyncRun) -> str:
        return str(run.user) if run.user is not None else "the whole company"

    @display(description="Status", label=_COLOURS, ordering="status")
    def state(self, run: SyncRun) -> str:
        return RunState(run.status).label

    @admin.display(description="Accounts done")
    def progress(self, run: Any) -> str:
        return f"{run.accounts_done} of {run.accounts_count}"

    @admin.display(description="Created")
    def created(self, run: Any) -> int:
        return int(run.events_created)

    @admin.display(description="Updated")
    def updated(self, run: Any) -> int:
        return int(run.events_updated)

    @admin.display(description="Deleted")
    def deleted(self, run: Any) -> int:
        return int(run.events_deleted)

    @admin.display(description="Withheld")
    def withheld(self, run: Any) -> int:
        return int(run.events_withheld)

    @admin.display(description="Seconds")
    def took(self, run: SyncRun) -> str:
        return f"{(run.finished_at - run.started_at).total_seconds():.1f}" if run.finished_at else "not finished"


@admin.register(AccountRun)
class AccountRunAdmin(ReadOnlyAdmin):
    """Which accounts fail in the runs, and for what reason?"""

    company_lookup = "run__company"
    list_display = ("account", "run", "state", *_SUMS, "why", "finished_at")
    list_select_related = ("run__company", "account")
    list_filter = ("status", ("finished_at", admin.DateFieldListFilter))
    search_fields = ("account__email", "=run__unique_id", "error")
    ordering = ("-id",)
    fields = ("run", "account", "state", *_SUMS, "error", "finished_at")
    readonly_fields = fields
    change_form_before_template = "admin/run_calendars.html"

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        part = kwargs.get("obj")
        if part is not None:
            rows, unshown = run_pages.calendars_of(AccountRun.objects.filter(pk=part.pk))
            context |= {"calendar_rows": rows, "calendars_unshown": unshown}
        return super().render_change_form(request, context, *args, **kwargs)

    @display(description="Status", label=_COLOURS, ordering="status")
    def state(self, part: AccountRun) -> str:
        return RunState(part.status).label

    @admin.display(description="Why")
    def why(self, part: AccountRun) -> str:
        return Truncator(part.error).chars(80)
