"""Google's authorization server: consent, one-use codes with PKCE, refresh tokens, revocation.

https://developers.google.com/identity/protocols/oauth2/web-server
"""

import base64
import hashlib
import html
import itertools
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from tests.proxy import Canned
from tests.simulators.base import json_answer

CLIENT_ID = "simulated.apps.googleusercontent.com"
CLIENT_SECRET = "simulated-secret"
_CODE_LIFE = timedelta(minutes=10)


@dataclass(slots=True)
class Grant:
    """What one consent gave: to whom, for what, and until when."""

    email: str
    scope: str
    refresh_token: str = ""
    revoked: bool = False
    # While the app is "Testing", refresh tokens live for seven days.
    ends_at: datetime | None = None


@dataclass(slots=True)
class _Code:
    grant: Grant
    redirect_uri: str
    challenge: str
    given_at: datetime
    offline: bool
    used: bool = False


class Authorization:
    """accounts: the e-mail addresses that can sign in. lifetime: of access tokens. redirect_uris: those registered;
    empty: any. testing: the app's publishing status is "Testing"."""

    def __init__(self) -> None:
        self.accounts: list[str] = []
        self.lifetime = timedelta(hours=1)
        self.redirect_uris: set[str] = set()
        self.testing = False
        self.grants: list[Grant] = []
        self._codes: dict[str, _Code] = {}
        self._access: dict[str, tuple[Grant, datetime]] = {}
        self._numbers = itertools.count(1)

    def grant(self, email: str, *, scope: str = "") -> tuple[str, str]:
        """As after a consent: an access token and a refresh token."""
        grant = self._new_grant(email, scope, offline=True)
        return self._new_access(grant), grant.refresh_token

    def revoke_all(self, email: str) -> None:
        """The user takes the permission away, on Google's own page."""
        for grant in self.grants:
            grant.revoked = grant.revoked or grant.email == email

    def expire_access_tokens(self) -> None:
        """Every access token given out so far is answered 401; refresh tokens stay good."""
        self._access.clear()

    def user_of(self, authorization: str) -> str | None:
        """Whose valid access token an Authorization header holds."""
        grant, expires = self._access.get(authorization.removeprefix("Bearer "), (None, datetime.now(UTC)))
        return grant.email if grant and not grant.revoked and expires > datetime.now(UTC) else None

    def scope_of(self, authorization: str) -> set[str]:
        grant, _ = self._access[authorization.removeprefix("Bearer ")]
        return set(grant.scope.split())

    # Endpoints ------------------------------------------------------------------------------------------------------

    def page(self, query: Mapping[str, str]) -> Canned:
        """The consent screen: which account, which permissions."""
        if problem := self._problem(query):
            return Canned(400, f"<h1>Access blocked</h1><p>{html.escape(problem)}</p>".encode(), _HTML)
        hint = query.get("login_hint", "")
        choices = sorted({*self.accounts, *([hint] if hint else [])}, key=lambda email: email != hint)
        hidden = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
            for name, value in query.items()
        )
        people = "".join(
            f'<p><label><input type="radio" name="email" value="{html.escape(email)}"{" checked" * (not number)}> '
            f"{html.escape(email)}</label></p>"
            for number, email in enumerate(choices)
        )
        ticks = "".join(
            f'<p><label><input type="checkbox" name="granted" value="{html.escape(scope)}" checked> '
            f"{html.escape(scope)}</label></p>"
            for scope in query["scope"].split()
        )
        body = (
            "<!DOCTYPE html><title>Sign in with Google (simulated)</title><h1>Sign in with Google (simulated)</h1>"
            f'<form method="post">{hidden}{people}{ticks}'
            '<button name="answer" value="allow">Allow</button> '
            '<button name="answer" value="deny">Cancel</button></form>'
        )
        return Canned(200, body.encode(), _HTML)

    def answer(self, form: Mapping[str, str], granted: list[str]) -> Canned:
        """What the buttons of the page do: back to the client with a code, or with `access_denied`."""
        if problem := self._problem(form):
            return Canned(400, problem.encode(), _HTML)
        if form.get("answer") != "allow" or not granted:
            return self._back(form, error="access_denied")
        grant = self._new_grant(form["email"], " ".join(granted), offline=form.get("access_type") == "offline")
        code = f"4/{next(self._numbers)}-{secrets.token_urlsafe(16)}"
        challenge = form.get("code_challenge", "")
        self._codes[code] = _Code(grant, form["redirect_uri"], challenge, datetime.now(UTC), bool(grant.refresh_token))
        return self._back(form, code=code, scope=grant.scope)

    def token(self, form: Mapping[str, str], authorization: str = "") -> Canned:
        """Codes and refresh tokens into access tokens; the client's secret comes in the form or by Basic
        (RFC 6749 §2.3.1)."""
        by_form = (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)
        if not by_form and authorization != _BASIC:
            return _refused(401, "invalid_client", "The OAuth client was not found.")
        match form.get("grant_type"):
            case "authorization_code":
                return self._exchange(form)
            case "refresh_token":
                return self._refresh(form)
        return _refused(400, "unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")

    def revoke(self, form: Mapping[str, str]) -> Canned:
        """Either kind of token; the whole grant goes."""
        token = form.get("token", "")
        found = [grant for grant in self.grants if token and grant.refresh_token == token]
        found += [self._access[token][0]] if token in self._access else []
        if not found or all(grant.revoked for grant in found):
            return _refused(400, "invalid_token", "Token expired or revoked")
        for grant in found:
            grant.revoked = True
        return json_answer({})

    def _exchange(self, form: Mapping[str, str]) -> Canned:
        code = self._codes.get(form.get("code", ""))
        if code is None or code.used or code.given_at + _CODE_LIFE < datetime.now(UTC):
            if code is not None:
                # A code that comes twice has been stolen (RFC 6749 §4.1.2).
                code.grant.revoked = code.grant.revoked or code.used
            return _refused(400, "invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            return _refused(400, "redirect_uri_mismatch", "Bad Request")
        if code.challenge and code.challenge != _s256(form.get("code_verifier", "")):
            return _refused(400, "invalid_grant", "Invalid code verifier.")
        code.used = True
        refresh = {"refresh_token": code.grant.refresh_token} if code.offline else {}
        return self._tokens(code.grant, **refresh)

    def _refresh(self, form: Mapping[str, str]) -> Canned:
        token = form.get("refresh_token", "")
        grant = next((one for one in self.grants if token and one.refresh_token == token), None)
        if grant is None or grant.revoked or (grant.ends_at and grant.ends_at < datetime.now(UTC)):
            return _refused(400, "invalid_grant", "Token has been expired or revoked.")
        return self._tokens(grant)

    def _tokens(self, grant: Grant, **more: str) -> Canned:
        return json_answer(
            {
                "access_token": self._new_access(grant),
                "expires_in": int(self.lifetime.total_seconds()) - 1,
                "scope": grant.scope,
                "token_type": "Bearer",
                **more,
            }
        )

    def _problem(self, query: Mapping[str, str]) -> str:
        if query.get("client_id") != CLIENT_ID:
            return "Error 401: invalid_client"
        if not query.get("redirect_uri") or (self.redirect_uris and query["redirect_uri"] not in self.redirect_uris):
            return "Error 400: redirect_uri_mismatch"
        if query.get("response_type") != "code" or not query.get("scope"):
            return "Error 400: invalid_request"
        if query.get("code_challenge") and query.get("code_challenge_method") != "S256":
            return "Error 400: invalid_request, only S256 is simulated"
        return ""

    def _back(self, query: Mapping[str, str], **answer: str) -> Canned:
        state = {"state": query["state"]} if "state" in query else {}
        joint = "&" if "?" in query["redirect_uri"] else "?"
        return Canned(302, b"", {"Location": f"{query['redirect_uri']}{joint}{urlencode({**state, **answer})}"})

    def _new_grant(self, email: str, scope: str, *, offline: bool) -> Grant:
        token = f"1//{next(self._numbers)}-{secrets.token_urlsafe(24)}" if offline else ""
        ends_at = datetime.now(UTC) + timedelta(days=7) if self.testing else None
        grant = Grant(email, scope, token, ends_at=ends_at)
        self.grants.append(grant)
        return grant

    def _new_access(self, grant: Grant) -> str:
        token = f"ya29.{next(self._numbers)}-{secrets.token_urlsafe(24)}"
        self._access[token] = grant, datetime.now(UTC) + self.lifetime
        return token


_BASIC = f"Basic {base64.b64encode(f'{CLIENT_ID}:{CLIENT_SECRET}'.encode()).decode()}"
_HTML = {"Content-Type": "text/html; charset=utf-8"}


def _refused(status: int, error: str, description: str) -> Canned:
    return json_answer({"error": error, "error_description": description}, status)


def _s256(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
