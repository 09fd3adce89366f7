"""`user`: under the id that the CRM gives."""

from typing import Any

from rest_framework_json_api import serializers

from busyblocks.fields import WordsField, ZoneField
from tenancy.models import CrmUser
from tenancy.serializers import UTCDateTimeField


class UserSerializer(serializers.ModelSerializer):
    """A person of the company."""

    id = serializers.CharField(source="unique_id", read_only=True)
    unique_id = serializers.CharField(read_only=True)
    email = serializers.EmailField(
        required=False, allow_null=True, allow_blank=True, max_length=254, help_text="Bookings of this host are theirs."
    )
    name = WordsField(max_length=255)
    time_zone = ZoneField(
        required=False, allow_null=True, allow_blank=True, max_length=64, help_text="IANA name: where dates are read."
    )
    status = serializers.SerializerMethodField()
    enabled = serializers.SerializerMethodField()
    created_at = UTCDateTimeField(read_only=True)

    class Meta:
        model = CrmUser
        fields = ("id", "unique_id", "email", "name", "time_zone", "status", "enabled", "created_at")

    def get_status(self, user: CrmUser) -> str:
        return "active"

    def get_enabled(self, user: CrmUser) -> bool:
        return True

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """null and "" both mean that there is none."""
        return {name: value or "" for name, value in attrs.items()}
