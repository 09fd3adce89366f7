"""Feed tokens. Neither a token nor the address that holds it is ever shown here: whoever knows it reads the feed."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from icsfeeds import services
from icsfeeds.models import ICSToken
from tenancy.admin.links import link_page
from tenancy.admin.scope import AutocompleteFilter, CompanyScopedAdmin, take_over


class UsableFilter(admin.SimpleListFilter):
    title = "usable"
    parameter_name = "usable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Yes"), ("no", "No: switched off or expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ICSToken]) -> QuerySet[ICSToken]:
        usable = ICSToken.objects.usable(timezone.now()).values("pk")
        match self.value():
            case "yes":
                return queryset.filter(pk__in=usable)
            case "no":
                return queryset.exclude(pk__in=usable)
        return queryset


@admin.register(ICSToken)
class ICSTokenAdmin(CompanyScopedAdmin):
    """Which feeds are open, and is anybody reading them? Their owners find the addresses in the CRM."""

    list_display = (
        "named",
        "user",
        "company",
        "active",
        "expires_at",
        "include_synced",
        "access_count",
        "last_accessed_at",
    )
    list_select_related = ("user", "company")
    list_filter = (
        UsableFilter,
        "include_synced",
        ("user", AutocompleteFilter),
        ("last_accessed_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("label", "=unique_id", "=user__unique_id")
    ordering = ("-id",)
    autocomplete_fields = ("user",)
    actions = ("deactivate", "activate", "subscribe_link")
    fields = (
        "user",
        "label",
        "active",
        "expires_at",
        "include_synced",
        "access_count",
        "last_accessed_at",
        "unique_id",
        "created_at",
    )
    readonly_fields = ("access_count", "last_accessed_at", "unique_id", "created_at")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields if obj is not None else ("user", "label", "expires_at", "include_synced")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("user", *self.readonly_fields)

    def get_detail_actions(self, request: HttpRequest, obj: ICSToken) -> tuple[str, ...]:
        return ("deactivate" if obj.active else "activate", "subscribe_link")

    @admin.display(description="Label", ordering="label")
    def named(self, token: ICSToken) -> str:
        return token.label or "(no label)"

    @admin.action(description="Deactivate", permissions=["change"])
    def deactivate(self, request: HttpRequest, tokens: QuerySet[ICSToken]) -> None:
        self._switch(request, tokens.filter(active=True), on=False)

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, tokens: QuerySet[ICSToken]) -> None:
        self._switch(request, tokens.filter(active=False), on=True)

    @admin.action(description="Link to the subscribe page", permissions=["change"])
    def subscribe_link(self, request: HttpRequest, tokens: QuerySet[ICSToken]) -> HttpResponse | None:
        """A page with a link for the feed's owner, to be handed to them."""
        return link_page(self, request, tokens, "subscribe", lambda token: services.link(token, now=timezone.now()))

    def _switch(self, request: HttpRequest, tokens: QuerySet[ICSToken], *, on: bool) -> None:
        chosen = list(tokens)
        for token in chosen:
            services.change(token, active=on)
        self.message_user(request, f"Feeds {'opened' if on else 'closed'}: {len(chosen)}.", messages.SUCCESS)

    def save_model(self, request: HttpRequest, obj: ICSToken, form: forms.Form, change: bool) -> None:
        values = {name: form.cleaned_data[name] for name in form.changed_data if name != "user"}
        if change:
            services.change(obj, **values)
        else:
            take_over(obj, services.issue(obj.user, **values))

    def delete_model(self, request: HttpRequest, obj: ICSToken) -> None:
        services.revoke(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ICSToken]) -> None:
        for token in list(queryset):
            services.revoke(token)
