"""`ics_token`: in and out under the names of the API document and of the published SDK."""

from typing import Any

from django.conf import settings
from django.utils import timezone
from rest_framework.exceptions import ValidationError
from rest_framework_json_api import serializers

from icsfeeds import accesses
from icsfeeds.models import Detail, ICSToken
from tenancy.models import MAX_USER_ID
from tenancy.serializers import UTCDateTimeField, utc_text

_DAYS_MOST = 3_660
_TEAM_MOST = 100
# What a feed may show → the column that says so.
_SHOWN = {"meetings": "show_meetings", "busy_blocks": "show_busy_blocks", "synced": "include_synced"}
# The SDK's name → the document's.
_ALIASES = {"name": "label", "enabled": "active"}


def feed_url(token: ICSToken) -> str:
    """Where the feed is read from outside; it holds the token."""
    return f"{settings.PUBLIC_URL}/calendars/{token.company.url_id}/ics/{token.encrypted_token}"


class Shows(serializers.Field):
    """What a feed shows, as a list of names."""

    default_error_messages = {"invalid": f"Give a list of {', '.join(_SHOWN)}."}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(source="*", **kwargs)

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, list) or not all(isinstance(name, str) and name in _SHOWN for name in data):
            self.fail("invalid")
        return {"shows": {column: name in data for name, column in _SHOWN.items()}}

    def to_representation(self, token: ICSToken) -> list[str]:
        return [name for name, column in _SHOWN.items() if getattr(token, column)]


class TeamField(serializers.ListField):
    """The users' ids of the CRM, in the order in which the service learned of them."""

    child = serializers.CharField(max_length=MAX_USER_ID)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=_TEAM_MOST, **kwargs)

    def to_representation(self, team: Any) -> list[str]:
        return [user.unique_id for user in sorted(team.all(), key=lambda user: user.pk)]


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
    last_accessed_at = serializers.SerializerMethodField()
    access_count = serializers.SerializerMethodField()
    last_user_agent = serializers.SerializerMethodField(help_text="What the program that read it last calls itself.")
    include_synced = serializers.BooleanField(required=False)
    shows = Shows(required=False, help_text="Any of meetings, busy_blocks, synced.")
    detail = serializers.ChoiceField(
        choices=Detail.choices, required=False, help_text="full, or busy: times only. Private entries are times always."
    )
    attendees = serializers.BooleanField(source="show_people", required=False)
    past_days = serializers.IntegerField(min_value=0, max_value=_DAYS_MOST, required=False, allow_null=True)
    future_days = serializers.IntegerField(min_value=0, max_value=_DAYS_MOST, required=False, allow_null=True)
    color = serializers.RegexField(r"\A(?:#[0-9A-Fa-f]{6})?\Z", required=False, allow_null=True, help_text="#RRGGBB")
    refresh_seconds = serializers.IntegerField(
        min_value=60, max_value=7 * 86_400, required=False, allow_null=True, help_text="How often to come back."
    )
    user_unique_ids = TeamField(
        source="team", required=False, help_text="A team's feed: further users of the company. Administrators only."
    )
    feed_url = serializers.SerializerMethodField()
    ifb_url = serializers.SerializerMethodField(help_text="The same token's free/busy feed (VFREEBUSY).")
    links = serializers.SerializerMethodField(
        help_text="`self`, the feed, and `webcal`, which programs open at a click."
    )
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
            "last_user_agent",
            "include_synced",
            "shows",
            "detail",
            "attendees",
            "past_days",
            "future_days",
            "color",
            "refresh_seconds",
            "user_unique_ids",
            "feed_url",
            "webcal_url",
            "ifb_url",
            "links",
            "payload",
            "created_at",
            "updated_at",
        )

    def get_description(self, token: ICSToken) -> str:
        return ""

    def get_status(self, token: ICSToken) -> str:
        return "active" if token.usable_at(timezone.now()) else "inactive"

    def get_access_count(self, token: ICSToken) -> int:
        reads = self._pending(token)
        return token.access_count + (reads.count if reads else 0)

    def get_last_accessed_at(self, token: ICSToken) -> str | None:
        reads = self._pending(token)
        last = reads.last_at if reads else token.last_accessed_at
        return utc_text(last) if last else None

    def get_last_user_agent(self, token: ICSToken) -> str:
        reads = self._pending(token)
        return accesses.printable(reads.agent) if reads else token.last_user_agent

    def _pending(self, token: ICSToken) -> accesses.Reads | None:
        pending: dict[int, accesses.Reads] = self.context.get("pending", {})
        return pending.get(token.pk)

    def get_feed_url(self, token: ICSToken) -> str:
        return feed_url(token)

    def get_webcal_url(self, token: ICSToken) -> str:
        return "webcal://" + feed_url(token).partition("://")[2]

    def get_ifb_url(self, token: ICSToken) -> str:
        return feed_url(token) + ".ifb"

    def get_links(self, token: ICSToken) -> dict[str, str]:
        return {
            "self": feed_url(token),
            "webcal": self.get_webcal_url(token),
            "download": f"{feed_url(token)}?download",
        }

    def get_payload(self, token: ICSToken) -> dict[str, Any]:
        return {}

    def to_internal_value(self, data: Any) -> Any:
        """Takes the SDK's names too; the document's win."""
        if isinstance(data, dict):
            renamed = {new: data[old] for old, new in _ALIASES.items() if old in data and data.get(new) is None}
            data = {**data, **renamed}
        return super().to_internal_value(data)

    def validate_color(self, color: str | None) -> str:
        return (color or "").upper()

    def validate_label(self, label: str | None) -> str:
        return label or ""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """A token that is new and useless is a mistake; one that exists may be ended by a time that has passed."""
        expires_at = attrs.get("expires_at")
        # Several names of one choice; the list says the most.
        attrs.update(attrs.pop("shows", {}))
        if self.instance is None and expires_at is not None and expires_at <= timezone.now():
            raise ValidationError({"expires_at": "Give a time in the future."})
        return attrs
