"""Fields that every resource of the API shares."""

from datetime import UTC, datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework import serializers


def utc_text(moment: datetime) -> str:
    """`2026-02-15T10:00:00Z`; written by hand because strftime loses the zeros of years before 1000."""
    return moment.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


class UTCDateTimeField(serializers.Field[datetime, Any, str, datetime]):
    """ISO 8601 in, with `Z`, an offset, or neither (UTC then); `…Z` without fractions out."""

    default_error_messages = {
        "invalid": "Give an ISO 8601 time, for example 2026-03-01T17:00:00Z.",
        "out_of_range": "The year must lie between 1 and 9999.",
    }

    def to_internal_value(self, data: Any) -> datetime:
        try:
            moment = parse_datetime(data) if isinstance(data, str) else None
        except ValueError:
            moment = None
        if moment is None:
            self.fail("invalid")
        try:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except OverflowError:
            self.fail("out_of_range")

    def to_representation(self, value: datetime) -> str:
        return utc_text(value)
