"""Companies and the keys that name them."""

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from tenancy import audit
from tenancy.admin.scope import CompanyScopedAdmin, take_over
from tenancy.models import ApiKey, Company, Verb


@admin.register(Company)
class CompanyAdmin(CompanyScopedAdmin):
    """Which companies are there, and whose tokens do they present? Only a superuser makes or removes one."""

    company_lookup = "pk"
    list_display = ("url_id", "name", "jwt_issuer", "jwt_algorithm", "created_at")
    search_fields = ("url_id", "name")
    readonly_fields = ("created_at",)
    fieldsets = (
        (None, {"fields": ("url_id", "name", "created_at")}),
        (
            "The company's own bearer tokens",
            {"fields": ("jwt_issuer", "jwt_audience", "jwt_algorithm", "jwks_url", "jwt_public_keys")},
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The url_id stands in addresses that people keep: the operator gives it."""
        return self.readonly_fields if request.user.is_superuser else (*self.readonly_fields, "url_id")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


@admin.register(ApiKey)
class ApiKeyAdmin(CompanyScopedAdmin):
    """Which keys open the API for a company? The key itself is shown when it is made, and never again."""

    list_display = ("__str__", "label", "company", "active", "created_at")
    list_select_related = ("company",)
    list_filter = ("active",)
    search_fields = ("label", "=last_four", "company__url_id")
    ordering = ("-id",)
    autocomplete_fields = ("company",)
    readonly_fields = ("last_four", "created_at")
    actions = ("activate", "deactivate")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("company", "label") if obj is None else ("company", "last_four", "label", "active", "created_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return () if obj is None else ("company", *self.readonly_fields)

    def get_detail_actions(self, request: HttpRequest, obj: ApiKey) -> tuple[str, ...]:
        return ("deactivate",) if obj.active else ("activate",)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Form, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        key = ApiKey.issue(obj.company, label=obj.label)
        take_over(obj, ApiKey.objects.get(digest=ApiKey.digest_of(key)))
        audit.record(obj, Verb.CREATED)
        # For the page that answers this very request: a message would wait in a cookie or in the session's table.
        request.issued_api_key = key  # type: ignore[attr-defined]

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """The page that shows the key, once."""
        context = {
            **self.admin_site.each_context(request),
            "title": "The new API key",
            "opts": self.opts,
            "company": obj.company,
            "key": request.issued_api_key,  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/api_key_issued.html", context)

    @admin.action(description="Deactivate", permissions=["change"])
    def deactivate(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        count = _switch(keys, on=False)
        self.message_user(request, f"API keys that do not open the API any more: {count}.", messages.SUCCESS)

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        count = _switch(keys, on=True)
        self.message_user(request, f"API keys that open the API again: {count}.", messages.SUCCESS)


def _switch(keys: QuerySet[ApiKey], *, on: bool) -> int:
    """How many were the other way."""
    with transaction.atomic():
        changed = list(keys.filter(active=not on).select_for_update(of=("self",)))
        for key in changed:
            key.active = on
            key.save(update_fields=["active"])
            audit.record_change(key, "active")
    return len(changed)
