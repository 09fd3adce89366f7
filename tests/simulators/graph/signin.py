"""Microsoft's sign-in: the authorize page, one-use codes bound to PKCE, refresh tokens that die as they are used.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow
"""

import hashlib
import itertools
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.proxy import Ask, Canned
from tests.simulators.base import form_of, json_answer, path_of, query_of

if TYPE_CHECKING:
    from tests.simulators.graph.server import GraphSimulator

CLIENT_ID, CLIENT_SECRET = "0000-outlook-client", "outlook-client-secret"


@dataclass(frozen=True, slots=True)
class _Grant:
    email: str
    scope: str
    redirect_uri: str = ""
    challenge: str = ""


class SignIn:
    """redirect_uris: those registered; empty: any. granted: scopes that the user ticks; empty: all asked for.

    wants_pkce: whether the page insists on it; a code that was asked for with it is good only with it.
    refreshes: how many refresh tokens were used with success.
    """

    def __init__(self, simulator: "GraphSimulator") -> None:
        self.simulator = simulator
        self.redirect_uris: set[str] = set()
        self.granted = ""
        self.wants_pkce = True
        self.expires_in = 3600
        self.refreshes = 0
        self._codes: dict[str, _Grant] = {}
        self._refresh: dict[str, _Grant] = {}
        self._access: dict[str, str] = {}
        self._numbers = itertools.count(1)

    @property
    def authorize_url(self) -> str:
        return f"{self.simulator.url}common/oauth2/v2.0/authorize"

    @property
    def token_url(self) -> str:
        return f"{self.simulator.url}common/oauth2/v2.0/token"

    # By hand ---------------------------------------------------------------------------------------------------------

    def access_token(self, email: str = "alice@acme.example") -> str:
        """An access token out of nowhere."""
        with self.simulator.lock:
            token = f"graph-access-{next(self._numbers)}"
            self._access[token] = email
            return token

    def refresh_token(self, email: str = "alice@acme.example") -> str:
        """A refresh token out of nowhere."""
        with self.simulator.lock:
            return self._new_refresh(_Grant(email, "offline_access User.Read Calendars.Read"))

    def expire_access_tokens(self) -> None:
        with self.simulator.lock:
            self._access.clear()

    def revoke_everything(self) -> None:
        """As after a change of password."""
        with self.simulator.lock:
            self._access.clear()
            self._refresh.clear()

    def live_refresh_tokens(self) -> set[str]:
        return set(self._refresh)

    def owner_of(self, access_token: str) -> str | None:
        return self._access.get(access_token)

    # Answers ---------------------------------------------------------------------------------------------------------

    def respond(self, ask: Ask) -> Canned:
        match ask.method, path_of(ask).rpartition("/")[2]:
            case "GET", "authorize":
                return self._page(query_of(ask))
            case "POST", "consent":
                return self._consented(form_of(ask))
            case "POST", "token":
                return self._tokens(form_of(ask))
            case _:
                return Canned(404)

    def _page(self, asked: dict[str, str]) -> Canned:
        """What a browser shows: a button for each mailbox, and one to refuse."""
        wrong = self._objection(asked)
        if wrong:
            return Canned(400, f"<!DOCTYPE html><h1>Sign in</h1><p>{escape(wrong)}".encode(), _HTML)
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in asked.items()
        )
        hint = asked.get("login_hint", "")
        mailboxes = sorted(self.simulator.mailboxes, key=lambda email: (email != hint, email))
        buttons = "".join(f'<p><button name="email" value="{escape(one)}">{escape(one)}</button>' for one in mailboxes)
        page = (
            "<!DOCTYPE html><meta charset='utf-8'><title>Sign in (simulated Microsoft)</title>"
            f"<h1>Sign in (simulated Microsoft)</h1><p>The app asks for: {escape(asked['scope'])}"
            f'<form method="post" action="consent">{hidden}{buttons}'
            '<p><button name="email" value="">Cancel</button></form>'
        )
        return Canned(200, page.encode(), _HTML)

    def _objection(self, asked: dict[str, str]) -> str:
        if asked.get("client_id") != CLIENT_ID:
            return "AADSTS700016: Application was not found in the directory."
        if self.redirect_uris and asked.get("redirect_uri") not in self.redirect_uris:
            return "AADSTS50011: The redirect URI does not match the redirect URIs configured for the application."
        if asked.get("response_type") != "code" or not asked.get("scope"):
            return "AADSTS900144: The request must contain response_type=code and a scope."
        proven = asked.get("code_challenge_method") == "S256" and asked.get("code_challenge")
        if self.wants_pkce and not proven:
            return "AADSTS9002325: Proof Key for Code Exchange is required."
        return ""

    def _consented(self, form: dict[str, str]) -> Canned:
        state = {"state": form["state"]} if "state" in form else {}
        if not form.get("email"):
            said = {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}
            return _redirect(form["redirect_uri"], {**said, **state})
        code = f"graph-code-{next(self._numbers)}"
        self._codes[code] = _Grant(
            form["email"], self.granted or form["scope"], form["redirect_uri"], form.get("code_challenge", "")
        )
        return _redirect(form["redirect_uri"], {"code": code, **state, "session_state": "0"})

    def _tokens(self, form: dict[str, str]) -> Canned:
        if form.get("client_id") != CLIENT_ID or form.get("client_secret") != CLIENT_SECRET:
            return _refused("invalid_client", 7000215, "Invalid client secret provided.", 401)
        if form.get("grant_type") == "authorization_code":
            # A code is good for one try, also for one that fails.
            grant = self._codes.pop(form.get("code", ""), None)
            if grant is None:
                return _refused("invalid_grant", 54005, "OAuth2 Authorization code was already redeemed.")
            if grant.redirect_uri != form.get("redirect_uri"):
                return _refused("invalid_grant", 500112, "The reply address does not match.")
            if grant.challenge and _challenge(form.get("code_verifier", "")) != grant.challenge:
                return _refused("invalid_grant", 501481, "The Code_Verifier does not match the code_challenge.")
            return self._issued(grant)
        if form.get("grant_type") == "refresh_token":
            grant = self._refresh.pop(form.get("refresh_token", ""), None)
            if grant is None:
                return _refused("invalid_grant", 70008, "The refresh token has expired or was used before.")
            self.refreshes += 1
            return self._issued(grant)
        return _refused("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")

    def _issued(self, grant: _Grant) -> Canned:
        token = f"graph-access-{next(self._numbers)}"
        self._access[token] = grant.email
        body = {
            "token_type": "Bearer",
            # As it is seen in the wild: offline_access is left out, and Graph's scopes carry its address.
            "scope": " ".join(
                f"https://graph.microsoft.com/{scope}" for scope in grant.scope.split() if scope != "offline_access"
            ),
            "expires_in": self.expires_in,
            "ext_expires_in": self.expires_in,
            "access_token": token,
        }
        if "offline_access" in grant.scope:
            body["refresh_token"] = self._new_refresh(grant)
        return json_answer(body)

    def _new_refresh(self, grant: _Grant) -> str:
        token = f"graph-refresh-{next(self._numbers)}"
        self._refresh[token] = grant
        return token


_HTML = {"Content-Type": "text/html; charset=utf-8"}


def _challenge(verifier: str) -> str:
    """RFC 7636 §4.2."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _redirect(to: str, parameters: dict[str, str]) -> Canned:
    return Canned(302, b"", {"Location": f"{to}{'&' if '?' in to else '?'}{urlencode(parameters)}"})


def _refused(error: str, number: int, text: str, status: int = 400) -> Canned:
    return json_answer(
        {
            "error": error,
            "error_description": f"AADSTS{number}: {text}",
            "error_codes": [number],
            "timestamp": "2026-03-02 08:00:00Z",
            "trace_id": "0",
            "correlation_id": "0",
        },
        status,
    )
