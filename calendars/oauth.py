"""The port to a vendor's authorization server: OAuth 2.0 (RFC 6749) as the vendors speak it, without their words.

`settings.CALENDAR_OAUTH` names the classes, by provider. They talk to the vendor and know no rows, but for the link,
which stands for a row of theirs.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from calendars.providers import NoSuchProvider, ProviderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What an authorization server gave. `expires_at`: aware; None when unknown."""

    access_token: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)
    token_type: str = ""
    scopes: tuple[str, ...] = ()
    expires_at: datetime | None = None

    def as_credentials(self) -> dict[str, Any]:
        return {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "token_type": self.token_type,
            "scopes": list(self.scopes),
        }

    def replacing(self, credentials: dict[str, Any]) -> dict[str, Any]:
        """The credentials to store: what the vendor left out stays as it was (RFC 6749 §6: refresh token, scope)."""
        named = {name: value for name, value in self.as_credentials().items() if value}
        return {**credentials, **named}


class AuthorizationRefused(ProviderError):
    """What the browser brought back cannot be turned into tokens; only the user can begin anew."""

    code = "authorization_refused"
    retryable = False
    advice = "Connect the account again."


class OAuthVendor(Protocol):
    """One vendor's authorization server. Every method but `link` talks to it, and raises `ProviderError`."""

    @property
    def is_configured(self) -> bool:
        """Whether the operator has registered this service with the vendor."""

    def link(self, account_pk: int, *, return_to: str, now: datetime) -> str:
        """An address to open in a browser, once, to connect this account; afterwards it leads on to `return_to`
        ("": to a plain page)."""

    def may_receive_codes(self, redirect_uri: str) -> bool:
        """Whether a client's own page at exactly this address may receive codes for this service."""

    def exchanged(self, code: str, *, redirect_uri: str, verifier: str) -> Tokens:
        """Tokens for an authorization code, which is spent by it. `verifier`: PKCE's, "" for none.

        Raises `AuthorizationRefused` for a code that is not valid (any more).
        """

    def missing_scopes(self, tokens: Tokens) -> tuple[str, ...]:
        """What the user did not agree to and a mirror needs."""

    def belong_to(self, tokens: Tokens, email: str) -> bool:
        """Whether the tokens open the account of this address."""

    def refreshed(self, credentials: dict[str, Any]) -> Tokens:
        """A new access token, and where the vendor rotates it a new refresh token, which replaces the old one.

        Raises `ReconnectNeeded` only where the vendor said that the refresh token is not valid any more.
        """

    def revoke(self, credentials: dict[str, Any]) -> None:
        """Have the vendor forget the grant, where it can."""


def oauth_vendor(provider: str) -> OAuthVendor:
    """The configured authorization server of a provider; raises `NoSuchProvider`."""
    try:
        dotted_path = settings.CALENDAR_OAUTH[provider]
    except KeyError:
        raise NoSuchProvider(provider) from None
    vendor: OAuthVendor = import_string(dotted_path)()
    return vendor


def registered_vendor(provider: str) -> OAuthVendor | None:
    """The authorization server for accounts of this provider, where the operator registered this service with it."""
    try:
        vendor = oauth_vendor(provider)
    except NoSuchProvider:
        return None
    return vendor if vendor.is_configured else None
