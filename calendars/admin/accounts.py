"""Calendar accounts: how they fare, and what an operator does about it."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, QuerySet
from django.forms import Form
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import mark_safe
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from calendars.admin import brake, health
from calendars.admin.syncs import start, too_many
from calendars.models import Calendar, CalendarAccount
from calendars.services import accounts as services
from calendars.services import grants, syncs
from tenancy import audit, page_links
from tenancy.admin.scope import CompanyScopedAdmin, change_url, take_over
from tenancy.models import Verb

_LINE = mark_safe("<br>")


@admin.register(CalendarAccount)
class CalendarAccountAdmin(CompanyScopedAdmin):
    """Which accounts are mirrored, which are not, why, and when is the next try?

    Accounts are connected through the API. Deleting one is disconnecting it: its rows and secrets go with it.
    """

    list_display = (
        "email",
        "user",
        "company",
        "provider",
        "health",
        "last_synced_at",
        "next_attempt_at",
        "held_deletions",
        "reason",
    )
    list_select_related = ("user", "company")
    list_filter = (health.HealthFilter, "provider", ("last_synced_at", admin.DateFieldListFilter))
    search_fields = ("email", "name", "=user__unique_id", "user__name")
    ordering = ("-id",)
    actions = ("sync_now", "sync_with_full_reread", "connect_again", "clear_the_brake", "pause", "resume")
    fieldsets = (
        (None, {"fields": ("user", "company", "provider", "email", "name", "sync_enabled")}),
        (
            "How it fares",
            {
                "fields": (
                    "health",
                    "connected",
                    "last_error",
                    "failures",
                    "last_attempt_at",
                    "last_synced_at",
                    "next_attempt_at",
                    "held_deletions",
                    "calendars",
                )
            },
        ),
        ("Identity", {"fields": ("unique_id", "external_user_id", "token_expires_at", "created_at", "updated_at")}),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        names = [name for _, options in self.fieldsets for name in options["fields"]]
        return tuple(name for name in names if name not in {"name", "sync_enabled"})

    def get_queryset(self, request: HttpRequest) -> QuerySet[CalendarAccount]:
        return health.with_held_count(super().get_queryset(request).defer("credentials", "provider_state"))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if "delete_selected" in actions:
            function, name, _ = actions["delete_selected"]
            actions["delete_selected"] = (function, name, "Disconnect")
        return actions

    def get_detail_actions(self, request: HttpRequest, obj: Any) -> tuple[str, ...]:
        brakes = ("clear_the_brake",) if obj.held else ()
        if not obj.sync_enabled:
            return ("resume", "connect_again", *brakes)
        return ("sync_now", "sync_with_full_reread", "connect_again", *brakes, "pause")

    # Columns ------------------------------------------------------------------------------------------------------

    @display(description="Health", label=health.COLOURS)
    def health(self, account: CalendarAccount) -> str:
        return health.health_of(account)

    @admin.display(description="Held back", ordering="held")
    def held_deletions(self, account: Any) -> int | None:
        return account.held or None

    @admin.display(description="Why")
    def reason(self, account: CalendarAccount) -> str:
        return Truncator(account.last_error).chars(80)

    @admin.display(description="Calendars")
    def calendars(self, account: CalendarAccount) -> str:
        """Links to them, with what is to be known of each."""
        rows = [(change_url(Calendar, row.pk), str(row), _notes(row)) for row in account.calendars.all()]
        return format_html_join(_LINE, '<a href="{}" class="text-link">{}</a>{}', rows) or "none yet"

    # Actions ------------------------------------------------------------------------------------------------------

    @admin.action(description="Sync now", permissions=["change"])
    def sync_now(self, request: HttpRequest, accounts: QuerySet[CalendarAccount]) -> Any:
        return self._sync(request, accounts, force_refresh=False)

    @admin.action(description="Sync with full re-read", permissions=["change"])
    def sync_with_full_reread(self, request: HttpRequest, accounts: QuerySet[CalendarAccount]) -> Any:
        return self._sync(request, accounts, force_refresh=True)

    @admin.action(description=_("Connect again"), permissions=["change"])
    def connect_again(self, request: HttpRequest, accounts: QuerySet[CalendarAccount]) -> Any:
        """A page with a link for each account, for its owner's browser. Nothing changes before the owner follows it."""
        if too_many(self, request, accounts):
            return None
        links = [
            {"account": account, "url": change_url(CalendarAccount, account.pk), "link": _link_of(account)}
            for account in accounts
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": _("Connect again"),
            "opts": self.opts,
            "links": links,
        }
        return TemplateResponse(request, "admin/connect_again.html", context)

    @admin.action(description="Clear the brake", permissions=["change"])
    def clear_the_brake(self, request: HttpRequest, accounts: QuerySet[CalendarAccount]) -> Any:
        return None if too_many(self, request, accounts) else brake.page(self, request, accounts)

    @admin.action(description="Pause", permissions=["change"])
    def pause(self, request: HttpRequest, accounts: QuerySet[CalendarAccount]) -> None:
        self._switch(request, accounts.filter(sync_enabled=True), on=False)

    @admin.action(description="Resume", permissions=["change"])
    def resume(self, request: HttpRequest, accounts: QuerySet[CalendarAccount]) -> None:
        self._switch(request, accounts.filter(sync_enabled=False), on=True)

    def _sync(self, request: HttpRequest, accounts: QuerySet[CalendarAccount], *, force_refresh: bool) -> Any:
        if too_many(self, request, accounts):
            return None
        return start(self, request, accounts, syncs.start_for_account, force_refresh=force_refresh)

    def _switch(self, request: HttpRequest, accounts: QuerySet[CalendarAccount], *, on: bool) -> None:
        if too_many(self, request, accounts):
            return
        chosen = list(accounts)
        for account in chosen:
            services.change(account, sync_enabled=on, now=timezone.now())
        self.message_user(request, f"Accounts {'resumed' if on else 'paused'}: {len(chosen)}.", messages.SUCCESS)

    # Changes ------------------------------------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: CalendarAccount, form: Form, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in form.changed_data}
        take_over(obj, services.change(obj, **values, now=timezone.now()))

    def delete_model(self, request: HttpRequest, obj: CalendarAccount) -> None:
        services.disconnect(obj, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[CalendarAccount]) -> None:
        for account in list(queryset):
            services.disconnect(account, now=timezone.now())

    def dependents(self, rows: list[Any]) -> dict[str, int]:
        """Everything mirrored from the accounts, calendar by calendar."""
        calendars = Calendar.objects.filter(account__in=rows).select_related("account").defer("account__credentials")
        counted = calendars.annotate(count=Count("origin__rows")).order_by("pk")
        return {f"Busy blocks of {row.account.email}, {row} ({row.pk})": row.count for row in counted}


def _link_of(account: CalendarAccount) -> str:
    """Where its owner connects it again; written down, as whoever has the link may."""
    now = timezone.now()
    with transaction.atomic():
        if link := grants.link(account, return_to="", now=now):
            audit.record(account, Verb.LINK_MADE)
            return link
        page = page_links.issue(account.user, about=account, now=now)
    return f"{settings.PUBLIC_URL}/connect/{page.text}"


def _notes(calendar: Calendar) -> str:
    notes = []
    if not calendar.sync_enabled:
        notes.append("left out")
    if calendar.held_count:
        notes.append(f"{calendar.held_count} deletions held back")
    if calendar.last_error:
        notes.append(calendar.last_error)
    return f" ({'; '.join(notes)})" if notes else ""
