"""The ledger. Rows written by hand change here as through the API; all others change at their source."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from unfold.decorators import display

from busyblocks import density, services
from busyblocks.admin import schedule
from busyblocks.entries import Entry, entry_of
from busyblocks.errors import RuleRefused, UnknownZone
from busyblocks.models import BusyBlock, FreeBusyType
from busyblocks.serializers import entry_from
from tenancy.admin.scope import AutocompleteFilter, CompanyScopedAdmin, take_over

_COLOURS = {
    FreeBusyType.FREE.label: "",
    FreeBusyType.BUSY.label: "success",
    FreeBusyType.BUSY_UNAVAILABLE.label: "danger",
    FreeBusyType.BUSY_TENTATIVE.label: "warning",
}


_NEW = (
    (None, {"fields": ("user", "title", "start_time", "end_time", "all_day", "time_zone")}),
    ("How it counts", {"fields": ("transparency", "status")}),
    ("What it says", {"fields": ("location", "description", "recurrence_rule")}),
)
# Where a row comes from and how it is called there.
_IDENTITY = (
    "source",
    "origin",
    "unique_id",
    "uid",
    "external_event_id",
    "sequence",
    "held",
    "absent_since",
    "created_at",
    "updated_at",
)


class BusyBlockForm(forms.ModelForm):
    """`entry`, once valid: what the services take."""

    entry: Entry

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return cleaned
        given = dict(cleaned) if self.instance.pk is None else {name: cleaned[name] for name in self.changed_data}
        if cleaned["all_day"]:
            # Dates as they were typed, in no zone.
            for name in {"start_time", "end_time"} & given.keys():
                given[name] = given[name].date()
        try:
            self.entry = entry_from(given, self._before())
            user = self.instance.user if self.instance.pk else cleaned["user"]
            density.check_user(user, self.entry, but=self.instance if self.instance.pk else None)
        except ValidationError as refusal:
            self._add_errors(refusal.detail)
        except RuleRefused as refusal:
            self.add_error("recurrence_rule", refusal.reason)
        except UnknownZone:
            self.add_error("time_zone", "Use an IANA time zone, for example Europe/Berlin.")
        return cleaned

    def _add_errors(self, detail: Any) -> None:
        """A serializer's refusals, each at its field."""
        for name, reasons in detail.items():
            words = [str(reason) for reason in (reasons if isinstance(reasons, list) else [reasons])]
            self.add_error(name if name in self.fields else None, words)

    def _before(self) -> Entry | None:
        """What is stored: the form writes into its own instance."""
        return entry_of(BusyBlock.objects.get(pk=self.instance.pk)) if self.instance.pk else None


class HeldFilter(admin.SimpleListFilter):
    title = "brake"
    parameter_name = "brake"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("held", "Held back")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[BusyBlock]) -> QuerySet[BusyBlock]:
        return queryset.filter(absent_since__isnull=False) if self.value() == "held" else queryset


@admin.register(BusyBlock)
class BusyBlockAdmin(CompanyScopedAdmin):
    """What makes this user busy, where did it come from, and what is held back by the brake?"""

    form = BusyBlockForm
    list_display = ("titled", "user", "company", "starts", "ends", "recurring", "counts_as", "source", "held")
    list_select_related = ("user", "company", "origin")
    list_filter = (
        "fbtype",
        "recurring",
        "all_day",
        ("user", AutocompleteFilter),
        HeldFilter,
        ("start_time", admin.DateFieldListFilter),
    )
    search_fields = ("title", "=unique_id", "=uid", "=external_event_id", "=user__unique_id")
    ordering = ("-id",)
    one_line = ("title", "location", "recurrence_rule")
    autocomplete_fields = ("user",)
    fieldsets = (
        (None, {"fields": ("user", "title", "start_time", "end_time", "all_day", "time_zone")}),
        ("How it counts", {"fields": ("transparency", "status", "counts_as")}),
        ("What it says", {"fields": ("location", "description")}),
        ("Recurrence", {"fields": ("recurrence_rule", "rdates", "exdates", "recurrence_id", "recurs_until")}),
        ("Identity", {"fields": _IDENTITY}),
    )
    readonly_fields = (
        "counts_as",
        "rdates",
        "exdates",
        "recurrence_id",
        "recurs_until",
        *_IDENTITY,
    )

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("schedule/", wrap(self.schedule), name="busyblocks_busyblock_schedule"),
            path("schedule/entries", wrap(self.schedule_entries), name="busyblocks_busyblock_schedule_entries"),
            *super().get_urls(),
        ]

    def schedule(self, request: HttpRequest) -> HttpResponse:
        """The schedule page; 403 for staff who may not see the ledger."""
        self._check_may_view(request)
        return schedule.page(request, self)

    def schedule_entries(self, request: HttpRequest) -> HttpResponse:
        """What the schedule page draws, as JSON."""
        self._check_may_view(request)
        return schedule.entries(request, self)

    def _check_may_view(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj is not None else _NEW

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("user", *self.readonly_fields)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _is_by_hand(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_by_hand(obj)

    @admin.display(description="Title", ordering="title")
    def titled(self, block: BusyBlock) -> str:
        return block.title or "(no title)"

    @admin.display(description="Starts", ordering="start_time")
    def starts(self, block: BusyBlock) -> Any:
        return block.start_time.date() if block.all_day else block.start_time

    @admin.display(description="Ends before", ordering="end_time")
    def ends(self, block: BusyBlock) -> Any:
        return block.end_time.date() if block.all_day else block.end_time

    @display(description="Counts as", label=_COLOURS, ordering="fbtype")
    def counts_as(self, block: BusyBlock) -> str:
        return FreeBusyType(block.fbtype).label

    @display(description="Brake", label={"held back": "warning"}, ordering="absent_since")
    def held(self, block: BusyBlock) -> str:
        return "held back" if block.absent_since else ""

    def save_model(self, request: HttpRequest, obj: BusyBlock, form: Any, change: bool) -> None:
        now = timezone.now()
        if change:
            block = services.change(BusyBlock.objects.get(pk=obj.pk), form.entry, now=now)
        else:
            block = services.create(obj.user, form.entry, now=now)
        take_over(obj, block)

    def delete_model(self, request: HttpRequest, obj: BusyBlock) -> None:
        services.delete(obj, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[BusyBlock]) -> None:
        for block in list(queryset):
            services.delete(block, now=timezone.now())


def _is_by_hand(block: BusyBlock | None) -> bool:
    return block is None or block.editable
