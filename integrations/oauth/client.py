"""What the vendors' authorization servers have in common: where they are, how they are asked, and what they answer."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.conf import settings
from django.utils import timezone

from calendars.oauth import AuthorizationRefused, Tokens
from calendars.providers import (
    Misconfigured,
    ProviderError,
    ReconnectNeeded,
    UnexpectedAnswer,
    Unreachable,
)
from integrations.http import Reply, Session
from integrations.oauth import states

MAX_BYTES = 256 * 1024
# Below `calendars.services.credentials.TURN`, with time left to store the answer.
DEADLINE_SECONDS = 25.0
LONGEST_LIFE = timedelta(days=366)
_JUST_NOW = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
_OURS = frozenset({"invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """An authorization server, and this service's registration with it. revoke_url: "" where there is none."""

    authorize_url: str
    token_url: str
    revoke_url: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    scopes: tuple[str, ...] = ()


def challenge(verifier: str) -> str:
    """PKCE's S256 (RFC 7636 §4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def same_mailbox(email: str) -> str:
    """One spelling for all that mean the same mailbox: case never counts, nor do the dots of a Gmail address."""
    local, _, domain = email.strip().lower().rpartition("@")
    if domain in {"gmail.com", "googlemail.com"}:
        return f"{local.replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


class Vendor:
    """`calendars.oauth.OAuthVendor`, but for what a subclass knows of its vendor."""

    name: ClassVar[str]
    label: ClassVar[str]
    extra_parameters: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        registered: dict[str, Any] = settings.OAUTH[self.name]
        self.registration = Registration(**registered)

    @property
    def is_configured(self) -> bool:
        return bool(self.registration.client_id and self.registration.client_secret)

    @property
    def redirect_uri(self) -> str:
        return f"{settings.PUBLIC_URL}/oauth/{self.name}/callback"

    def link(self, account_pk: int, *, return_to: str, now: datetime) -> str:
        state = states.begin(account_pk, provider=self.name, return_to=return_to, now=now)
        return f"{settings.PUBLIC_URL}/oauth/{self.name}/start?{urlencode({'state': state})}"

    def may_receive_codes(self, redirect_uri: str) -> bool:
        # Compared as text: a pattern, or a path below, is how codes leak (RFC 9700 §4.1).
        return redirect_uri in settings.OAUTH_REDIRECT_URIS

    def authorize_url(self, *, state: str, verifier: str, login_hint: str) -> str:
        """Where the browser goes to ask the user (RFC 6749 §4.1.1)."""
        query = {
            "response_type": "code",
            "client_id": self.registration.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(self.registration.scopes),
            "state": state,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
            "login_hint": login_hint,
            **self.extra_parameters,
        }
        return f"{self.registration.authorize_url}?{urlencode(query)}"

    def exchanged(self, code: str, *, redirect_uri: str, verifier: str) -> Tokens:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if verifier:
            form["code_verifier"] = verifier
        reply = self._ask(form)
        if reply.status == 200:
            return self._tokens(reply)
        said = self._refusal(reply)
        if said.get("error") in {"invalid_grant", "invalid_request", "redirect_uri_mismatch"}:
            raise AuthorizationRefused(
                f"{self.label} does not accept this code: it is good for one use, for some minutes, and for the "
                "address that it was sent to."
            )
        raise self._failure(reply, said)

    def refreshed(self, credentials: dict[str, Any]) -> Tokens:
        form = {"grant_type": "refresh_token", "refresh_token": str(credentials.get("refresh_token", ""))}
        reply = self._ask(form)
        if reply.status == 200:
            return self._tokens(reply)
        said = self._refusal(reply)
        if (reason := self.refusal_for_good(said)) is not None:
            raise ReconnectNeeded(reason)
        raise self._failure(reply, said)

    def missing_scopes(self, tokens: Tokens) -> tuple[str, ...]:
        # RFC 6749 §5.1: no scope in the answer means that all that was asked for was given.
        granted = {_plain_scope(scope) for scope in tokens.scopes}
        if not granted:
            return ()
        return tuple(scope for scope in self.needed_scopes() if _plain_scope(scope) not in granted)

    def needed_scopes(self) -> tuple[str, ...]:
        return self.registration.scopes

    def belong_to(self, tokens: Tokens, email: str) -> bool:
        return same_mailbox(email) in {same_mailbox(own) for own in self.addresses(tokens)}

    def addresses(self, tokens: Tokens) -> list[str]:
        """The e-mail addresses of the account that the tokens open, by the vendor's own word."""
        raise NotImplementedError

    def revoke(self, credentials: dict[str, Any]) -> None:
        """RFC 7009: the refresh token, and with it every access token."""
        token = credentials.get("refresh_token") or credentials.get("access_token")
        if token and self.registration.revoke_url:
            self._post(self.registration.revoke_url, {"token": str(token)})

    def refusal_for_good(self, said: Mapping[str, Any]) -> str | None:
        """Why the refresh token is not valid any more; None where the vendor did not say that."""
        raise NotImplementedError

    # Requests -----------------------------------------------------------------------------------------------------

    def _ask(self, form: Mapping[str, str]) -> Reply:
        """The token endpoint's answer, to this service by its client secret."""
        known = {"client_id": self.registration.client_id, "client_secret": self.registration.client_secret}
        try:
            return self._post(self.registration.token_url, {**known, **form})
        except ReconnectNeeded:
            # 401 at a token endpoint speaks of the client, not of the user (RFC 6749 §5.2).
            raise Misconfigured(f"{self.label} does not accept this service's client id and secret.") from None

    def _post(self, url: str, form: Mapping[str, str]) -> Reply:
        session = Session(url, authorization="", checkpoint=_nothing_to_renew, deadline_seconds=DEADLINE_SECONDS)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        return session.request("POST", url, body=urlencode(form).encode(), headers=headers, max_bytes=MAX_BYTES)

    def _get(self, url: str, tokens: Tokens) -> dict[str, Any]:
        session = Session(url, authorization=f"Bearer {tokens.access_token}", checkpoint=_nothing_to_renew)
        reply = session.request("GET", url, headers={"Accept": "application/json"}, max_bytes=MAX_BYTES)
        if reply.status != 200:
            raise UnexpectedAnswer(f"{self.label} does not say whose account this is ({reply.status}).")
        return reply.json()

    # Answers ------------------------------------------------------------------------------------------------------

    def _tokens(self, reply: Reply) -> Tokens:
        said = reply.json()
        access_token, refresh_token = said.get("access_token"), said.get("refresh_token")
        if not isinstance(access_token, str) or not access_token:
            raise UnexpectedAnswer(f"{self.label} answered without an access token.")
        scope = said.get("scope")
        return Tokens(
            access_token=access_token,
            refresh_token=refresh_token if isinstance(refresh_token, str) else "",
            token_type=str(said.get("token_type", "Bearer"))[:64],
            scopes=tuple(scope.split()) if isinstance(scope, str) else (),
            expires_at=_expiry(said.get("expires_in"), now=timezone.now()),
        )

    def _refusal(self, reply: Reply) -> dict[str, Any]:
        """RFC 6749 §5.2; nothing for an answer in another form, which says nothing of the token."""
        try:
            said = json.loads(reply.body)
        except (ValueError, RecursionError):
            return {}
        if not isinstance(said, dict) or not isinstance(said.get("error"), str):
            return {}
        return said

    def _failure(self, reply: Reply, said: Mapping[str, Any]) -> ProviderError:
        error = said.get("error")
        if error in _JUST_NOW:
            return Unreachable(f"{self.label} cannot give out tokens just now.")
        if error in _OURS:
            return Misconfigured(f"{self.label} does not accept this service as it is registered ({error}).")
        return UnexpectedAnswer(f"{self.label} answered the request for a token with {reply.status}.")


def _expiry(seconds: object, *, now: datetime) -> datetime | None:
    try:
        life = timedelta(seconds=int(str(seconds)))
    except (ValueError, OverflowError):
        return None
    return now + min(max(life, timedelta(0)), LONGEST_LIFE)


def _plain_scope(scope: str) -> str:
    """Microsoft may answer `https://graph.microsoft.com/Calendars.Read` for what was asked as `Calendars.Read`."""
    return scope.removeprefix("https://graph.microsoft.com/").lower()


def _nothing_to_renew() -> None:
    pass
