"""`ics_token`: in and out under the names of the API document and of the published SDK."""

from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework_json_api import serializers

from icsfeeds.models import ICSToken
from tenancy.serializers import UTCDateTimeField

# The SDK's name → the document's.
_ALIASES = {"name": "label", "enabled": "active"}


def feed_url(token: ICSToken) -> str:
    """Where the feed is read from outside; it holds the token."""
    return f"{settings.PUBLIC_URL}/calendars/{token.company.url_id}/ics/{token.encrypted_token}"


class ICSTokenSerializer(serializers.ModelSerializer):
    """A feed token. The context's `pending` maps primary keys to reads that the rows do not show yet."""

    id = serializers.UUIDField(source="unique_id", read_only=True)
    unique_id = serializers.UUIDField(read_only=True)
    user_unique_id = serializers.CharField(source="user.unique_id", read_only=True)
    token = serializers.CharField(source="encrypted_token", read_only=True)
    label = serializers.CharField(max_length=255, required=False, allow_blank=True, allow_null=True)
    name = serializers.CharField(source="label", read_only=True)
    description = serializers.SerializerMethodField()
    active = serializers.BooleanField(required=False)
    enabled = serializers.BooleanField(source="active", read_only=True)
    status = serializers.SerializerMethodField(help_text="active, or inactive when switched off or expired.")
    expires_at = UTCDateTimeField(required=False, allow_null=True)
    last_accessed_at = UTCDateTimeField(read_only=True)
    access_count = serializers.SerializerMethodField()
    include_synced = serializers.BooleanField(required=False)
    feed_url = serializers.SerializerMethodField()
    webcal_url = serializers.SerializerMethodField(help_text="The same address; calendar programs open it at a click.")
    payload = serializers.SerializerMethodField()
    created_at = UTCDateTimeField(read_only=True)
    updated_at = UTCDateTimeField(read_only=True)

    class Meta:
        model = ICSToken
        fields = (
            "id",
            "unique_id",
            "user_unique_id",
            "token",
            "label",
            "name",
            "description",
            "active",
            "enabled",
            "status",
            "expires_at",
            "last_accessed_at",
            "access_count",
            "include_synced",
            "feed_url",
            "webcal_url",
            "payload",
            "created_at",
            "updated_at",
        )

    def get_description(self, token: ICSToken) -> str:
        return ""

    def get_status(self, token: ICSToken) -> str:
        return "active" if token.usable_at(timezone.now()) else "inactive"

    def get_access_count(self, token: ICSToken) -> int:
        pending: dict[int, int] = self.context.get("pending", {})
        return token.access_count + pending.get(token.pk, 0)

    def get_feed_url(self, token: ICSToken) -> str:
        return feed_url(token)

    def get_webcal_url(self, token: ICSToken) -> str:
        return "webcal://" + feed_url(token).partition("://")[2]

    def get_payload(self, token: ICSToken) -> dict[str, Any]:
        return {}

    def to_internal_value(self, data: Any) -> Any:
        """Takes the SDK's names too; the document's win."""
        if isinstance(data, dict):
            renamed = {new: data[old] for old, new in _ALIASES.items() if old in data and data.get(new) is None}
            data = {**data, **renamed}
        return super().to_internal_value(data)

    def validate_label(self, label: str | None) -> str:
        return label or ""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A token that is new and useless is a mistake; one that exists may be ended by a time that has passed."""
        expires_at = attrs.get("expires_at")
        if self.instance is None and expires_at is not None and expires_at <= timezone.now():
            raise ValidationError({"expires_at": "Give a time in the future."})
        return attrs
