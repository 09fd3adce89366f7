"""The bodies of questions about several users, and of working hours; and the shape of the answers."""

from datetime import UTC, timedelta
from typing import Any

from django.conf import settings
from rest_framework import serializers as plain
from rest_framework_json_api import serializers

from busyblocks import moments, zones
from busyblocks.errors import SpanTooWide, UnknownZone
from busyblocks.fields import MomentField, WordField, ZoneField
from busyblocks.freebusy import check_width
from busyblocks.models import WorkingHours
from busyblocks.serializers import FreeBusySerializer
from busyblocks.timespans import Span
from busyblocks.working_hours import WEEKDAYS, Window, stored
from tenancy.models import MAX_USER_ID
from tenancy.serializers import UTCDateTimeField

_MINUTES_OF_A_DAY = 24 * 60
_MINUTES_OF_30_DAYS = 30 * _MINUTES_OF_A_DAY
MAX_WINDOWS = 50


class SpanQuestion(serializers.Serializer):
    """A span, read in `time_zone` where it is written without an offset, and the users who are asked about."""

    user_unique_ids = plain.ListField(
        child=serializers.CharField(max_length=MAX_USER_ID), allow_empty=False, help_text="In the order of the answer."
    )
    start_time = MomentField(help_text="ISO 8601; without an offset, wall time in `time_zone`.")
    end_time = MomentField(help_text="As `start_time`; exclusive.")
    time_zone = ZoneField(
        required=False, allow_blank=True, max_length=64, help_text="Of dates, and of local times in the answer."
    )

    def validate_user_unique_ids(self, names: list[str]) -> list[str]:
        names = list(dict.fromkeys(names))
        if len(names) > settings.FREE_BUSY_MAX_USERS:
            raise serializers.ValidationError(f"At most {settings.FREE_BUSY_MAX_USERS} users.")
        return names

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        tz = zones.zone(attrs["time_zone"]) if attrs.get("time_zone") else UTC
        bounds = {}
        for name in ("start_time", "end_time"):
            try:
                bounds[name] = moments.instant(attrs[name], tz)
            except ValueError:
                raise serializers.ValidationError({name: "The time lies outside the years 1 to 9999."}) from None
        if bounds["end_time"] <= bounds["start_time"]:
            raise serializers.ValidationError({"end_time": "It must lie after start_time."})
        span = Span(bounds["start_time"], bounds["end_time"])
        try:
            check_width(span)
        except SpanTooWide as error:
            raise serializers.ValidationError({"end_time": str(error)}) from None
        return {**attrs, "span": span}


class TimeOfDayField(serializers.Field):
    """HH:MM; 24:00 is the end of the day, kept as 00:00."""

    default_error_messages = {"invalid": "Give a time of day, for example 09:00."}

    def to_internal_value(self, data: Any) -> str:
        text = data if isinstance(data, str) else ""
        hours, colon, minutes = text.partition(":")
        if not (colon and len(hours) == len(minutes) == 2 and text.isascii() and (hours + minutes).isdigit()):
            self.fail("invalid")
        if text == "24:00":
            return "00:00"
        if int(hours) > 23 or int(minutes) > 59:
            self.fail("invalid")
        return text

    def to_representation(self, value: str) -> str:
        return value


class WindowSerializer(plain.Serializer[Any]):
    """The same hours on some weekdays; an end at or before the start lies on the next day."""

    days = plain.ListField(child=WordField(choices=[(day, day) for day in WEEKDAYS]), allow_empty=False)
    start = TimeOfDayField()
    end = TimeOfDayField()


class ZonedWindowSerializer(WindowSerializer):
    """A window by the clock of its own zone; else of the question's."""

    time_zone = ZoneField(required=False, allow_blank=True, max_length=64)


class AvailabilityQuestion(SpanQuestion):
    """Which slots could be booked."""

    duration_minutes = serializers.IntegerField(min_value=1, max_value=_MINUTES_OF_30_DAYS)
    step_minutes = serializers.IntegerField(
        min_value=5, max_value=_MINUTES_OF_A_DAY, default=15, help_text="Slots start at full steps of the local day."
    )
    buffer_before_minutes = serializers.IntegerField(min_value=0, max_value=_MINUTES_OF_A_DAY, default=0)
    buffer_after_minutes = serializers.IntegerField(min_value=0, max_value=_MINUTES_OF_A_DAY, default=0)
    minimum_notice_minutes = serializers.IntegerField(min_value=0, max_value=365 * _MINUTES_OF_A_DAY, default=0)
    quorum = WordField(choices=[("all", "all"), ("any", "any")], default="all")
    tentative_is_free = serializers.BooleanField(default=False)
    working_hours = plain.ListField(
        child=ZonedWindowSerializer(),
        required=False,
        max_length=MAX_WINDOWS,
        help_text="Of everybody here, in place of what is stored for each; [] for any time.",
    )

    def windows(self) -> tuple[Window, ...] | None:
        """The windows that the question names; None: each user's own count."""
        given = self.validated_data.get("working_hours")
        if given is None:
            return None
        default = self.validated_data.get("time_zone") or "UTC"
        return tuple(found for window in given for found in stored([window], window.get("time_zone") or default))

    def minutes(self, name: str) -> timedelta:
        return timedelta(minutes=self.validated_data[f"{name}_minutes"])


ERROR_FIELDS = ("user_unique_id", "code", "detail")


class UserErrorSerializer(plain.Serializer[Any]):
    """Why there is no answer for a user."""

    user_unique_id = serializers.CharField()
    code = serializers.CharField()
    detail = serializers.CharField()


class UserFreeBusySerializer(FreeBusySerializer):
    """One user's free/busy, or why it cannot be told: then `errors` says so, and `periods` is empty."""

    errors = UserErrorSerializer(many=True, read_only=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        errors = [{name: getattr(error, name) for name in ERROR_FIELDS} for error in instance.errors]
        return {**super().to_representation(instance), "errors": errors}


class SlotSerializer(plain.Serializer[Any]):
    """One slot; `user_unique_ids` are free then."""

    start_time = UTCDateTimeField()
    end_time = UTCDateTimeField()
    local_start = serializers.CharField(help_text="With the offset of `time_zone`.")
    local_end = serializers.CharField()
    user_unique_ids = plain.ListField(child=serializers.CharField())

    def to_representation(self, instance: Any) -> dict[str, Any]:
        # Thousands of them: the fields would take most of the time.
        return instance  # type: ignore[no-any-return]


class AvailabilitySerializer(serializers.Serializer):
    """Slots by start. `truncated`: there are more. Users with `errors` are as if they were never free."""

    id = serializers.CharField(read_only=True)
    start_time = UTCDateTimeField(read_only=True)
    end_time = UTCDateTimeField(read_only=True)
    time_zone = serializers.CharField(read_only=True)
    slots = SlotSerializer(many=True, read_only=True)
    truncated = serializers.BooleanField(read_only=True)
    errors = UserErrorSerializer(many=True, read_only=True)


class WorkingHoursSerializer(serializers.ModelSerializer):
    """When a user may be booked; nothing stored means at any time, and no windows at all mean never."""

    id = serializers.CharField(source="user.unique_id", read_only=True)
    user_unique_id = serializers.CharField(source="user.unique_id", read_only=True)
    time_zone = serializers.CharField(max_length=64)
    windows = WindowSerializer(many=True)

    class Meta:
        model = WorkingHours
        fields = ("id", "user_unique_id", "time_zone", "windows")

    def validate_time_zone(self, name: str) -> str:
        try:
            zones.zone(name)
        except UnknownZone as error:
            raise serializers.ValidationError(str(error)) from None
        return name

    def validate_windows(self, windows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(windows) > MAX_WINDOWS:
            raise serializers.ValidationError(f"At most {MAX_WINDOWS} windows.")
        return windows
