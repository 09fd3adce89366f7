"""`connect_link` and `subscribe_link`: an address for a person's browser. It is told once and stored nowhere."""

from datetime import timedelta
from typing import Any

from rest_framework_json_api import serializers

from tenancy.page_links import LIFETIME, LONGEST_LIFETIME, PageLink
from tenancy.serializers import UTCDateTimeField

_SHORTEST = timedelta(minutes=1)


class PageLinkSerializer(serializers.Serializer):
    """The context's `url` says where the page stands."""

    id = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField(help_text="For the user's browser alone: whoever has it may do as they.")
    user_unique_id = serializers.CharField(source="user.unique_id", read_only=True)
    expires_at = UTCDateTimeField(read_only=True)
    expires_in = serializers.IntegerField(
        write_only=True,
        required=False,
        allow_null=True,
        min_value=int(_SHORTEST.total_seconds()),
        max_value=int(LONGEST_LIFETIME.total_seconds()),
        help_text=f"Seconds; default {int(LIFETIME.total_seconds())}.",
    )

    def get_id(self, link: PageLink) -> str:
        return link.user.unique_id

    def get_url(self, link: PageLink) -> str:
        url: str = self.context["url"]
        return url

    def lifetime(self) -> timedelta:
        """What the body asked for, once it is valid."""
        seconds: Any = self.validated_data.get("expires_in")
        return timedelta(seconds=seconds) if seconds else LIFETIME
