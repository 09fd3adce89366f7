"""The people whose calendars are mirrored."""

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from tenancy import page_links
from tenancy.admin.links import link_page
from tenancy.admin.scope import CompanyScopedAdmin
from tenancy.models import CrmUser, bump_revision


class CrmUserForm(forms.ModelForm):
    def clean_time_zone(self) -> str:
        """An IANA name, or nothing."""
        name: str = self.cleaned_data["time_zone"]
        try:
            if name:
                ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise forms.ValidationError("Use an IANA time zone, for example Europe/Berlin.") from None
        return name


@admin.register(CrmUser)
class CrmUserAdmin(CompanyScopedAdmin):
    """Who is it that the CRM calls by this id, and when did their busy time last change?"""

    form = CrmUserForm
    list_display = ("unique_id", "name", "email", "company", "time_zone", "revised_at", "created_at")
    list_select_related = ("company",)
    search_fields = ("=unique_id", "name", "email")
    ordering = ("-id",)
    autocomplete_fields = ("company",)
    fields = ("company", "unique_id", "name", "email", "time_zone", "revision", "revised_at", "created_at")
    readonly_fields = ("revision", "revised_at", "created_at")
    change_form_outer_before_template = "admin/user.html"
    actions = ("connect_link",)
    detail_actions = ("connect_link",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.fields if obj is not None else ("company", "unique_id", "name", "email", "time_zone")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Whose it is, and the id that the CRM keeps, stay."""
        return () if obj is None else ("company", "unique_id", *self.readonly_fields)

    @admin.action(description="Link to the connect page", permissions=["change"])
    def connect_link(self, request: HttpRequest, users: QuerySet[CrmUser]) -> HttpResponse | None:
        """A page with a link for one user, to be handed to them."""
        return link_page(self, request, users, "connect", lambda user: page_links.issue(user, now=timezone.now()))

    def save_model(self, request: HttpRequest, obj: CrmUser, form: forms.Form, change: bool) -> None:
        super().save_model(request, obj, form, change)
        # What is prepared from the user's rows may name them, and reads dates in their zone.
        bump_revision(obj.pk, at=timezone.now())
