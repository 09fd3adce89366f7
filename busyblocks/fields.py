"""How the values of a busy block are written in the API."""

import json
import re
from typing import Any

from rest_framework_json_api import serializers

from busyblocks import moments, zones
from busyblocks.errors import UnknownZone
from busyblocks.models import EventStatus
from busyblocks.moments import Moment
from tenancy.serializers import utc_text

MAX_METADATA_BYTES = 16 * 1024
MAX_DATES = 1_000
# What ends a line in some calendar program, or is no text at all: only tab and newline stay.
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
# The SDK's words beside RFC 5545's.
STATUS_OUT = {EventStatus.CONFIRMED: "active", EventStatus.TENTATIVE: "pending", EventStatus.CANCELLED: "inactive"}
STATUS_IN = {
    **{word: status for status, word in STATUS_OUT.items()},
    **{status.value: status for status in EventStatus},
    "canceled": EventStatus.CANCELLED,
}


class WordsField(serializers.CharField):
    """Text without control characters; `null` and "" both mean that there is none, and come out as null."""

    def __init__(self, *, lines: bool = False, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, allow_blank=True, **kwargs)
        self.lines = lines

    def run_validation(self, data: Any = serializers.empty) -> Any:
        value = super().run_validation(data)
        return "" if value is None else value

    def to_internal_value(self, data: Any) -> str:
        text = _CONTROLS.sub("", _LINE_ENDS.sub("\n", super().to_internal_value(data)))
        return text if self.lines else " ".join(text.split("\n"))

    def to_representation(self, value: str) -> str | None:
        return value or None


class MomentField(serializers.Field):
    """In: ISO 8601 with `Z` or an offset, or a wall time in `time_zone`, or a date. Out: UTC with `Z`."""

    default_error_messages = {"invalid": "Give an ISO 8601 time, for example 2026-03-01T17:00:00Z."}

    def to_internal_value(self, data: Any) -> Moment:
        try:
            if isinstance(data, str) and len(data) <= 64:
                return moments.parsed(data)
        except ValueError:
            pass
        raise serializers.ValidationError(self.error_messages["invalid"])

    def to_representation(self, value: Any) -> str:
        return utc_text(value)


class MomentsField(serializers.Field):
    """A list of times or dates, for RDATEs also periods with a slash; out in UTC."""

    default_error_messages = {
        "not_a_list": "Give a list of ISO 8601 times.",
        "too_many": f"At most {MAX_DATES} of them.",
        "invalid": "{text} is no ISO 8601 time.",
    }

    def __init__(self, *, periods: bool = False, **kwargs: Any) -> None:
        super().__init__(required=False, allow_null=True, **kwargs)
        self.periods = periods

    def to_internal_value(self, data: Any) -> list[tuple[Moment, ...]]:
        if not isinstance(data, list):
            self.fail("not_a_list")
        if len(data) > MAX_DATES:
            self.fail("too_many")
        return [self._one(text) for text in data]

    def _one(self, text: Any) -> tuple[Moment, ...]:
        parts = text.split("/") if isinstance(text, str) and len(text) <= 128 else []
        try:
            if len(parts) in ({1, 2} if self.periods else {1}):
                return tuple(moments.parsed(part) for part in parts)
        except ValueError:
            pass
        raise serializers.ValidationError(self.error_messages["invalid"].format(text=repr(text)[:64]))

    def to_representation(self, value: list[str]) -> list[str]:
        return [moments.spelled(text) for text in value]


class ZoneField(serializers.CharField):
    """An IANA time zone."""

    def to_internal_value(self, data: Any) -> str:
        name: str = super().to_internal_value(data)
        try:
            zones.zone(name)
        except UnknownZone as error:
            raise serializers.ValidationError(str(error)) from None
        return name


class WordField(serializers.ChoiceField):
    """One of a few words, in any case."""

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data.strip().lower() if isinstance(data, str) else data)


class StatusField(WordField):
    """active, pending, inactive; RFC 5545's confirmed, tentative, cancelled come in too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[(word, word) for word in STATUS_IN], **kwargs)

    def to_internal_value(self, data: Any) -> EventStatus:
        return STATUS_IN[super().to_internal_value(data)]

    def to_representation(self, value: Any) -> str:
        return STATUS_OUT[EventStatus(value)]


class MetadataField(serializers.DictField):
    """A JSON object of the caller's own."""

    def to_internal_value(self, data: Any) -> Any:
        value = super().to_internal_value(data)
        if len(json.dumps(value).encode()) > MAX_METADATA_BYTES:
            raise serializers.ValidationError(f"At most {MAX_METADATA_BYTES} bytes as JSON.")
        return value
