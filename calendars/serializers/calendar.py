"""`calendar`: one remote calendar of an account."""

from typing import Any

from rest_framework_json_api import serializers

from calendars.models import Calendar
from tenancy.serializers import UTCDateTimeField, utc_text


class CalendarSerializer(serializers.ModelSerializer):
    """A remote calendar and how its mirror fares; only `sync_enabled` can be changed.

    `withheld` and `held_deletions` show the first few; the counts beside them tell how many there are.
    """

    id = serializers.UUIDField(source="unique_id", read_only=True)
    unique_id = serializers.UUIDField(read_only=True)
    account_unique_id = serializers.UUIDField(source="account.unique_id", read_only=True)
    sync_enabled = serializers.BooleanField()
    last_synced_at = UTCDateTimeField(read_only=True)
    last_error = serializers.SerializerMethodField()
    events_count = serializers.IntegerField(read_only=True)
    withheld_count = serializers.IntegerField(read_only=True)
    withheld = serializers.SerializerMethodField(help_text="Events that could not be understood, and why.")
    held_deletions_count = serializers.IntegerField(source="held_count", read_only=True)
    held_deletions = serializers.SerializerMethodField(help_text="What goes when a later full read agrees.")
    created_at = UTCDateTimeField(read_only=True)
    updated_at = UTCDateTimeField(read_only=True)

    class Meta:
        model = Calendar
        fields = (
            "id",
            "unique_id",
            "account_unique_id",
            "name",
            "color",
            "time_zone",
            "primary",
            "sync_enabled",
            "last_synced_at",
            "last_error",
            "events_count",
            "withheld_count",
            "withheld",
            "held_deletions_count",
            "held_deletions",
            "created_at",
            "updated_at",
        )
        read_only_fields = ("name", "color", "time_zone", "primary")

    def get_last_error(self, calendar: Calendar) -> str | None:
        return calendar.last_error or None

    def get_withheld(self, calendar: Calendar) -> list[dict[str, str]]:
        shown: list[Any] = getattr(calendar, "withheld_shown", [])
        return [{"external_event_id": event.external_event_id, "reason": event.reason} for event in shown]

    def get_held_deletions(self, calendar: Calendar) -> list[dict[str, str]]:
        shown: list[Any] = getattr(calendar.origin, "held_shown", [])
        return [
            {"external_event_id": row.external_event_id, "title": row.title, "start_time": utc_text(row.start_time)}
            for row in shown
        ]
