"""Absences, as their source tells them."""

from django.contrib import admin

from calendars.models import Absence
from tenancy.admin.scope import AutocompleteFilter, ReadOnlyAdmin


@admin.register(Absence)
class AbsenceAdmin(ReadOnlyAdmin):
    """Who is away, and which absences has nobody been matched to?"""

    list_display = ("title", "user", "email", "company", "start_time", "end_time", "source")
    list_select_related = ("user", "company")
    list_filter = (("user", AutocompleteFilter), ("start_time", admin.DateFieldListFilter))
    search_fields = ("=uid", "=email", "=unique_id", "=user__unique_id")
    ordering = ("-id",)
    fields = ("company", "user", "email", "title", "start_time", "end_time", "all_day", "source", "uid", "created_at")
    readonly_fields = fields
