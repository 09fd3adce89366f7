"""The Cal.com inbox, and the secrets by which its deliveries are known."""

import json
from contextlib import suppress
from typing import Any

from cryptography.fernet import InvalidToken
from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget

from calendars.models import Meeting
from integrations import deliveries
from integrations.models import CalcomConnection, CalcomSecret, DeliveryState, RefusedDeliveries, WebhookDelivery
from tenancy import audit
from tenancy.admin.companies import CompanyAdmin
from tenancy.admin.scope import CompanyScopedAdmin, ReadOnlyAdmin, change_url
from tenancy.models import Company, Verb

MOST_AT_ONCE = 500
CLOSED = "None of FIELD_ENCRYPTION_KEYS opens it."
SHOWN_CHARACTERS = 100_000
_COLOURS = {
    DeliveryState.RECEIVED.label: "info",
    DeliveryState.HANDLED.label: "success",
    DeliveryState.IGNORED.label: "",
    DeliveryState.FAILED.label: "danger",
}


class CalcomSecretForm(forms.ModelForm):
    # Written and never read back: a password input is rendered empty.
    secret = forms.CharField(
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        max_length=4096,
        help_text="As it is set in Cal.com. Several may be valid while one replaces another.",
    )


def taking_unsigned(companies: QuerySet[Company]) -> QuerySet[Company]:
    """Those without a secret whose Cal.com delivers: anybody who knows the address can write their meetings."""
    return companies.filter(calcom_secrets=None, pk__in=WebhookDelivery.objects.values("company"))


class UnsignedFilter(admin.SimpleListFilter):
    title = "Cal.com"
    parameter_name = "calcom"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unsigned", "Takes unsigned deliveries")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Company]) -> QuerySet[Company]:
        return taking_unsigned(queryset) if self.value() == "unsigned" else queryset


# What a company's list can tell of Cal.com is known on this floor, not on the company's.
CompanyAdmin.list_filter = (*CompanyAdmin.list_filter, UnsignedFilter)


@admin.register(CalcomSecret)
class CalcomSecretAdmin(CompanyScopedAdmin):
    """Since when does each company have which secrets? One is replaced by adding the next and deleting the last."""

    list_display = ("__str__", "company", "created_at")
    list_select_related = ("company",)
    search_fields = ("company__url_id", "company__name")
    ordering = ("-id",)
    autocomplete_fields = ("company",)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = CalcomSecretForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("company", "secret") if obj is None else ("company", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("company", "created_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class CalcomConnectionForm(forms.ModelForm):
    # As with secrets; left empty in a change, the known key stays.
    api_key = forms.CharField(
        label="API key",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        max_length=4096,
        required=False,
        help_text="Made in Cal.com under Settings, API keys. Left empty, the known one stays.",
    )

    def clean_api_key(self) -> str:
        given: str = self.cleaned_data["api_key"]
        if not given and self.instance.pk is None:
            raise forms.ValidationError("Give the API key.")
        return given or self.instance.api_key


@admin.register(CalcomConnection)
class CalcomConnectionAdmin(CompanyScopedAdmin):
    """Which companies' bookings are read at night, when last, and what stood in the way?"""

    form = CalcomConnectionForm
    list_display = ("company", "reconciled_at", "mended", "last_error", "created_at")
    list_select_related = ("company",)
    search_fields = ("company__url_id", "company__name")
    ordering = ("-id",)
    autocomplete_fields = ("company",)
    readonly_fields = ("reconciled_at", "mended", "last_error", "created_at")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("company", "api_key") if obj is None else ("company", "api_key", *self.readonly_fields)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("company", *self.readonly_fields)


@admin.register(RefusedDeliveries)
class RefusedDeliveriesAdmin(ReadOnlyAdmin):
    """How many deliveries were turned away, and why? They are counted, not kept."""

    list_display = ("day", "company", "reason", "count", "last_at")
    list_select_related = ("company",)
    list_filter = ("reason", ("day", admin.DateFieldListFilter))
    search_fields = ("company__url_id", "company__name")
    ordering = ("-day", "-id")
    fields = ("company", "day", "reason", "count", "last_at")
    readonly_fields = fields


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """What did Cal.com send, what came of it, and what has to be replayed?"""

    list_display = ("received_at", "trigger", "company", "verdict", "signed", "attempts", "why")
    list_select_related = ("company",)
    list_filter = ("state", "signed", ("received_at", admin.DateFieldListFilter))
    search_fields = ("=unique_id", "=trigger", "=meeting_key", "=error")
    ordering = ("-id",)
    actions = ("replay",)
    detail_actions = ("replay",)
    fields = (
        "company",
        "received_at",
        "trigger",
        "signed",
        "sent_headers",
        "verdict",
        "attempts",
        "next_attempt_at",
        "handled_at",
        "error",
        "meeting",
        "unique_id",
        "payload",
    )
    readonly_fields = fields

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("integrations.change_webhookdelivery"))

    @display(description="State", label=_COLOURS, ordering="state")
    def verdict(self, delivery: WebhookDelivery) -> str:
        return DeliveryState(delivery.state).label

    @admin.display(description="Why")
    def why(self, delivery: WebhookDelivery) -> str:
        return Truncator(delivery.error).chars(80)

    @admin.display(description="The meeting it led to")
    def meeting(self, delivery: WebhookDelivery) -> str:
        rows = Meeting.objects.filter(company=delivery.company_id)
        found = rows.filter(unique_id=delivery.meeting_key).first() if delivery.meeting_key else None
        if found is None:
            return "none"
        return format_html('<a href="{}" class="text-link">{}</a>', change_url(Meeting, found.pk), found)

    @admin.display(description="Headers")
    def sent_headers(self, delivery: WebhookDelivery) -> str:
        try:
            return format_html_join("", "{}: {}<br>", sorted(delivery.headers.items())) or "none"
        except InvalidToken:
            return CLOSED

    @admin.display(description="Payload")
    def payload(self, delivery: WebhookDelivery) -> str:
        try:
            return format_html('<pre class="overflow-auto">{}</pre>', pretty(delivery.body))
        except InvalidToken:
            return CLOSED

    @admin.action(description="Replay delivery", permissions=["replay"])
    def replay(self, request: HttpRequest, chosen: QuerySet[WebhookDelivery]) -> None:
        """Have them handled again from the start, in the order in which they came."""
        count = chosen.count()
        if count > MOST_AT_ONCE:
            text = f"{count} deliveries are too many at once: choose at most {MOST_AT_ONCE}."
            self.message_user(request, text, messages.ERROR)
            return
        with transaction.atomic():
            for delivery in chosen:
                audit.record(delivery, Verb.REPLAYED)
            deliveries.replay_all(chosen, now=timezone.now())
        self.message_user(request, f"Deliveries to be handled again: {count}.", messages.SUCCESS)


# What opens a video room, or a booking, for whoever knows it.
_SECRET_NAMES = {"password", "onetimepassword", "hashedlink", "token", "accesstoken"}


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: "…" if name.lower() in _SECRET_NAMES and inner else _masked(inner) for name, inner in value.items()
        }
    return [_masked(inner) for inner in value] if isinstance(value, list) else value


def pretty(body: bytes) -> str:
    """The body as indented JSON, or as the text it is; bytes that are no UTF-8 show as �. Cut at SHOWN_CHARACTERS."""
    text = body.decode("utf-8", errors="replace")
    with suppress(ValueError, RecursionError):
        text = json.dumps(_masked(json.loads(text)), indent=2, ensure_ascii=False)
    cut = len(text) - SHOWN_CHARACTERS
    return text if cut <= 0 else f"{text[:SHOWN_CHARACTERS]}\n… and {cut} characters more"
