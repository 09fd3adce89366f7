"""The calendars that rows were mirrored from."""

from django.contrib import admin

from busyblocks.models import Origin
from tenancy.admin.scope import ReadOnlyAdmin


@admin.register(Origin)
class OriginAdmin(ReadOnlyAdmin):
    """Which remote calendars does the ledger hold rows of?"""

    company_lookup = "user__company"
    list_display = ("__str__", "source", "user", "time_zone")
    list_select_related = ("user__company",)
    list_filter = ("source",)
    search_fields = ("name", "=user__unique_id")
    ordering = ("-id",)
    fields = ("user", "source", "name", "time_zone")
    readonly_fields = fields
