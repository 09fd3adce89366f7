"""`calendar_account`: in under the names of the API document and of the published SDK, out under both."""

from typing import Any

from rest_framework.exceptions import ValidationError
from rest_framework_json_api import serializers

from calendars.models import CalendarAccount, ProviderName
from calendars.oauth import Tokens, registered_vendor
from calendars.services import accounts
from calendars.services.grants import Grant, is_allowed_return
from tenancy.serializers import UTCDateTimeField

# Providers that people connect with data of their own, and those that hand out OAuth tokens.
TAKES_PROVIDER_DATA = (ProviderName.CALDAV, ProviderName.APPLE, ProviderName.ICS)
TAKES_TOKENS = (ProviderName.GOOGLE, ProviderName.OUTLOOK)
_GRANT_FIELDS = ("code", "redirect_uri", "code_verifier")
_TOKEN_FIELDS = ("access_token", "refresh_token", "expires_at", "token_type", "scopes")
_SECRET_LENGTH = 16_384


class ScopesField(serializers.Field):
    """OAuth scopes: a list, or blank-separated text as the token endpoints answer it (RFC 6749 §3.3)."""

    default_error_messages = {"invalid": "Give a list of scopes, or text with blanks between them."}

    def to_internal_value(self, data: Any) -> tuple[str, ...]:
        words = data.split() if isinstance(data, str) else data
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            self.fail("invalid")
        return tuple(words)


class CalendarAccountSerializer(serializers.ModelSerializer):
    """An account. Tokens, passwords and codes go in and never come out."""

    id = serializers.UUIDField(source="unique_id", read_only=True)
    unique_id = serializers.UUIDField(read_only=True)
    user_unique_id = serializers.CharField(source="user.unique_id", read_only=True)
    provider = serializers.ChoiceField(
        choices=ProviderName.choices,
        error_messages={"invalid_choice": f"Give one of {', '.join(ProviderName.values)}."},
    )
    email = serializers.EmailField(max_length=254)
    name = serializers.CharField(max_length=255, required=False, allow_blank=True)
    sync_enabled = serializers.BooleanField(default=True)
    enabled = serializers.BooleanField(source="sync_enabled", read_only=True)
    last_synced_at = UTCDateTimeField(read_only=True)
    last_sync_at = UTCDateTimeField(source="last_synced_at", read_only=True)
    last_attempt_at = UTCDateTimeField(read_only=True)
    next_attempt_at = UTCDateTimeField(read_only=True)
    token_expires_at = UTCDateTimeField(read_only=True)
    last_error = serializers.SerializerMethodField(help_text="Why the last attempt failed, and what to do.")
    held_deletions_count = serializers.IntegerField(
        read_only=True, help_text="Rows that a read implied to be gone and that are kept until a later one agrees."
    )
    payload = serializers.SerializerMethodField()
    created_at = UTCDateTimeField(read_only=True)
    updated_at = UTCDateTimeField(read_only=True)

    code = serializers.CharField(write_only=True, required=False, allow_null=True, max_length=_SECRET_LENGTH)
    redirect_uri = serializers.CharField(
        write_only=True,
        required=False,
        allow_null=True,
        max_length=2048,
        help_text="Where the code was sent: exactly one of the addresses registered with this service.",
    )
    code_verifier = serializers.CharField(
        write_only=True, required=False, allow_null=True, min_length=43, max_length=128, help_text="PKCE's (RFC 7636)."
    )
    return_to = serializers.CharField(
        write_only=True,
        required=False,
        allow_null=True,
        max_length=2048,
        help_text="Where the browser goes after connecting by `links.authorize`, on an allowed host.",
    )
    access_token = serializers.CharField(write_only=True, required=False, allow_null=True, max_length=_SECRET_LENGTH)
    refresh_token = serializers.CharField(write_only=True, required=False, allow_null=True, max_length=_SECRET_LENGTH)
    expires_at = UTCDateTimeField(write_only=True, required=False, allow_null=True)
    token_type = serializers.CharField(write_only=True, required=False, allow_null=True, max_length=64)
    scopes = ScopesField(write_only=True, required=False, allow_null=True)
    external_user_id = serializers.CharField(write_only=True, required=False, allow_null=True, max_length=255)
    provider_data = serializers.DictField(
        write_only=True,
        required=False,
        allow_null=True,
        help_text="For caldav and apple: server_url, username, password. For ics: url, kept as a secret.",
    )

    class Meta:
        model = CalendarAccount
        fields = (
            "id",
            "unique_id",
            "user_unique_id",
            "provider",
            "email",
            "name",
            "sync_enabled",
            "connected",
            "status",
            "enabled",
            "last_synced_at",
            "last_sync_at",
            "last_attempt_at",
            "next_attempt_at",
            "last_error",
            "token_expires_at",
            "held_deletions_count",
            "payload",
            "created_at",
            "updated_at",
            "code",
            "redirect_uri",
            "code_verifier",
            "return_to",
            "access_token",
            "refresh_token",
            "expires_at",
            "token_type",
            "scopes",
            "external_user_id",
            "provider_data",
        )
        read_only_fields = ("connected", "status")

    def to_representation(self, instance: CalendarAccount) -> Any:
        """With `links.authorize` where the view has made one (JSON:API §Resource Links)."""
        shown = super().to_representation(instance)
        link = self.context.get("authorize_link")
        if link:
            shown["links"] = {"authorize": link}
        return shown

    def get_last_error(self, account: CalendarAccount) -> str | None:
        return account.last_error or None

    def get_payload(self, account: CalendarAccount) -> dict[str, Any]:
        return {}

    def to_internal_value(self, data: Any) -> Any:
        """`user_email` is the SDK's name of `email`; the document's name wins."""
        if isinstance(data, dict) and data.get("email") is None and data.get("user_email") is not None:
            data = {**data, "email": data["user_email"]}
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What fits the provider, with the tokens gathered into one value under `tokens`."""
        if self.instance is not None and attrs.get("provider", self.instance.provider) != self.instance.provider:
            raise ValidationError({"provider": "The provider of an account cannot change: connect another account."})
        provider = self.instance.provider if self.instance is not None else attrs["provider"]
        given = {name: value for name, value in attrs.items() if value is not None}
        if provider not in TAKES_PROVIDER_DATA and given.pop("provider_data", None):
            raise ValidationError({"provider_data": f"It is for {', '.join(TAKES_PROVIDER_DATA)} only."})
        _check_return(given.get("return_to", ""))
        grant = {name: given.pop(name) for name in _GRANT_FIELDS if name in given}
        if "code" in grant:
            given["grant"] = _grant(provider, grant)
        tokens = {name: given.pop(name) for name in _TOKEN_FIELDS if name in given}
        if "access_token" in tokens or "refresh_token" in tokens:
            if provider not in TAKES_TOKENS:
                name = next(iter(tokens))
                raise ValidationError({name: f"Tokens are for {', '.join(TAKES_TOKENS)} only."})
            given["tokens"] = Tokens(**tokens)
        return given


def _grant(provider: str, grant: dict[str, str]) -> Grant:
    """The code with all that belongs to it. It is spent at the vendor later."""
    vendor = registered_vendor(provider) if accounts.has_backend(provider) else None
    if vendor is None:
        raise ValidationError({"code": f"This service is not set up to exchange codes for {provider} accounts."})
    redirect_uri = grant.get("redirect_uri", "")
    if not vendor.may_receive_codes(redirect_uri):
        raise ValidationError({"redirect_uri": "This is not one of the addresses registered with this service."})
    return Grant(vendor, grant["code"], redirect_uri, grant.get("code_verifier", ""))


def _check_return(url: str) -> None:
    if url and not is_allowed_return(url):
        raise ValidationError({"return_to": "Its host is not one of those that this service sends browsers to."})
