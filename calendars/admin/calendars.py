"""The calendars of the accounts, and what could not be read from them."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator

from busyblocks.models import BusyBlock
from calendars.models import Calendar, ProviderName, WithheldEvent
from calendars.services import accounts as services
from tenancy.admin.scope import CompanyScopedAdmin, ReadOnlyAdmin, list_url


class HeldFilter(admin.SimpleListFilter):
    title = "brake"
    parameter_name = "brake"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("held", "Deletions held back")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Calendar]) -> QuerySet[Calendar]:
        return queryset.filter(held_count__gt=0) if self.value() == "held" else queryset


@admin.register(Calendar)
class CalendarAdmin(CompanyScopedAdmin):
    """Which calendars are mirrored, when were they last read, and what is wrong with them?

    The vendor names them, so nobody adds, edits or deletes one here: a calendar is left out, or taken in again.
    """

    company_lookup = "account__company"
    list_display = (
        "named",
        "account",
        "user",
        "sync_enabled",
        "last_synced_at",
        "held_deletions",
        "missing_since",
        "reason",
    )
    list_select_related = ("account__user", "account__company")
    list_filter = ("sync_enabled", HeldFilter, "account__provider", ("missing_since", admin.EmptyFieldListFilter))
    search_fields = ("name", "account__email", "=account__user__unique_id")
    ordering = ("-id",)
    actions = ("leave_out", "take_in")
    fields = (
        "account",
        "user",
        "name",
        "remote_id",
        "time_zone",
        "primary",
        "sync_enabled",
        "last_synced_at",
        "last_error",
        "missing_since",
        "told_until",
        "held_deletions",
        "rows",
        "unique_id",
        "created_at",
    )
    readonly_fields = fields

    def get_detail_actions(self, request: HttpRequest, obj: Calendar) -> tuple[str, ...]:
        return ("leave_out",) if obj.sync_enabled else ("take_in",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="Name", ordering="name")
    def named(self, calendar: Calendar) -> str:
        return calendar.name or "(no name)"

    @admin.display(description="User", ordering="account__user")
    def user(self, calendar: Calendar) -> str:
        return str(calendar.account.user)

    @admin.display(description="Held back", ordering="held_count")
    def held_deletions(self, calendar: Calendar) -> int | None:
        return calendar.held_count or None

    @admin.display(description="Why")
    def reason(self, calendar: Calendar) -> str:
        return Truncator(calendar.last_error).chars(80)

    @admin.display(description="The vendor's id")
    def remote_id(self, calendar: Calendar) -> str:
        # The address of a remote feed opens it to whoever knows it.
        return "not shown" if calendar.account.provider == ProviderName.ICS else calendar.external_id

    @admin.display(description="Changes are told until")
    def told_until(self, calendar: Calendar) -> datetime | None:
        """None: it is polled only."""
        open_channels = calendar.push_channels.filter(opened_at__isnull=False, expires_at__gt=timezone.now())
        latest: datetime | None = open_channels.aggregate(latest=Max("expires_at"))["latest"]
        return latest

    @admin.display(description="Busy blocks")
    def rows(self, calendar: Calendar) -> str:
        count = BusyBlock.objects.filter(origin=calendar.origin_id).count()
        url = f"{list_url(BusyBlock)}?origin__id__exact={calendar.origin_id}"
        return format_html('<a href="{}" class="text-link">{}</a>', url, count)

    @admin.action(description="Leave out", permissions=["change"])
    def leave_out(self, request: HttpRequest, calendars: QuerySet[Calendar]) -> None:
        """Their rows go; they stay listed, and can be taken in again."""
        chosen = list(calendars.filter(sync_enabled=True).annotate(count=Count("origin__rows")))
        for calendar in chosen:
            services.leave_out(calendar, now=timezone.now())
        rows = sum(calendar.count for calendar in chosen)
        text = f"Calendars left out: {len(chosen)}. Busy blocks deleted: {rows}."
        self.message_user(request, text, messages.SUCCESS)

    @admin.action(description="Take in again", permissions=["change"])
    def take_in(self, request: HttpRequest, calendars: QuerySet[Calendar]) -> None:
        chosen = list(calendars.filter(sync_enabled=False))
        for calendar in chosen:
            services.take_in(calendar, now=timezone.now())
        self.message_user(request, f"Calendars taken in, to be read in full: {len(chosen)}.", messages.SUCCESS)


@admin.register(WithheldEvent)
class WithheldEventAdmin(ReadOnlyAdmin):
    """Which remote events could not be understood, and why? What the ledger had of them is kept as it was."""

    company_lookup = "calendar__account__company"
    list_display = ("short_reason", "calendar", "account", "user", "created_at")
    list_select_related = ("calendar__account__user", "calendar__account__company")
    list_filter = (("created_at", admin.DateFieldListFilter),)
    search_fields = ("reason", "=external_event_id", "=calendar__account__user__unique_id", "calendar__account__email")
    ordering = ("-id",)
    fields = ("calendar", "account", "user", "external_event_id", "reason", "etag", "created_at")
    readonly_fields = fields

    @admin.display(description="Why")
    def short_reason(self, event: WithheldEvent) -> str:
        return Truncator(event.reason).chars(120)

    @admin.display(description="Account", ordering="calendar__account")
    def account(self, event: WithheldEvent) -> str:
        return str(event.calendar.account)

    @admin.display(description="User", ordering="calendar__account__user")
    def user(self, event: WithheldEvent) -> str:
        return str(event.calendar.account.user)
