"""The Cal.com inbox, and the secrets by which its deliveries are known."""

import json
from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget

from calendars.models import Meeting
from integrations import deliveries
from integrations.models import CalcomSecret, DeliveryState, WebhookDelivery
from tenancy.admin.scope import CompanyScopedAdmin, ReadOnlyAdmin, change_url

MOST_AT_ONCE = 500
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

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookDelivery]:
        # A list does not fetch the bodies.
        return super().get_queryset(request).defer("body")

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

    @admin.display(description="Payload")
    def payload(self, delivery: WebhookDelivery) -> str:
        return format_html('<pre class="overflow-auto">{}</pre>', pretty(bytes(delivery.body)))

    @admin.action(description="Replay delivery", permissions=["replay"])
    def replay(self, request: HttpRequest, chosen: QuerySet[WebhookDelivery]) -> None:
        """Have them handled again from the start, in the order in which they came."""
        count = chosen.count()
        if count > MOST_AT_ONCE:
            text = f"{count} deliveries are too many at once: choose at most {MOST_AT_ONCE}."
            self.message_user(request, text, messages.ERROR)
            return
        for delivery in list(chosen.order_by("pk")):
            deliveries.replay(delivery, now=timezone.now())
        self.message_user(request, f"Deliveries to be handled again: {count}.", messages.SUCCESS)


def pretty(body: bytes) -> str:
    """The body as indented JSON, or as the text it is; bytes that are no UTF-8 show as �. Cut at SHOWN_CHARACTERS."""
    text = body.decode("utf-8", errors="replace")
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    cut = len(text) - SHOWN_CHARACTERS
    return text if cut <= 0 else f"{text[:SHOWN_CHARACTERS]}\n… and {cut} characters more"
