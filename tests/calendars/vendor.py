"""An authorization server that lives in memory: it rotates refresh tokens, counts, and fails where a test says so."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from calendars.oauth import AuthorizationRefused, Tokens
from calendars.providers import ReconnectNeeded

FAKE = {"google": "tests.calendars.vendor.FakeVendor"}


@dataclass
class World:
    """What the vendor knows. current: the one refresh token that it takes; it is replaced at each use."""

    current: str = "refresh-0"
    refreshes: int = 0
    lifetime: timedelta = timedelta(hours=1)
    before_answer: Callable[[], None] = lambda: None
    failure: Exception | None = None
    scopes_missing: tuple[str, ...] = ()
    owner: str = "alice@acme.example"
    codes: list[tuple[str, str, str]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


world = World()


def start() -> World:
    """A fresh vendor; every account asks it from now on."""
    global world  # noqa: PLW0603
    world = World()
    return world


class FakeVendor:
    """`calendars.oauth.OAuthVendor`."""

    is_configured = True

    def link(self, account_pk: int, *, return_to: str, now: datetime) -> str:
        return f"https://service.example/start?account={account_pk}&return_to={return_to}"

    def may_receive_codes(self, redirect_uri: str) -> bool:
        return redirect_uri == "https://app.example/callback"

    def exchanged(self, code: str, *, redirect_uri: str, verifier: str) -> Tokens:
        world.codes.append((code, redirect_uri, verifier))
        if world.failure:
            raise world.failure
        if code != "good-code":
            raise AuthorizationRefused("The vendor does not accept this code.")
        return self._tokens(world.current)

    def missing_scopes(self, tokens: Tokens) -> tuple[str, ...]:
        return world.scopes_missing

    def belong_to(self, tokens: Tokens, email: str) -> bool:
        return email == world.owner

    def refreshed(self, credentials: dict[str, Any]) -> Tokens:
        with world.lock:
            world.refreshes += 1
            number = world.refreshes
            if world.failure:
                raise world.failure
            if credentials["refresh_token"] != world.current:
                raise ReconnectNeeded("The vendor does not accept the refresh token any more.")
            world.current = f"refresh-{number}"
            answer = self._tokens(world.current, number)
        world.before_answer()
        return answer

    def revoke(self, credentials: dict[str, Any]) -> None:
        world.revoked.append(credentials["refresh_token"])
        if world.failure:
            raise world.failure

    def _tokens(self, refresh_token: str, number: int = 0) -> Tokens:
        return Tokens(
            access_token=f"access-{number}",
            refresh_token=refresh_token,
            token_type="Bearer",
            scopes=("calendar.readonly",),
            expires_at=timezone.now() + world.lifetime,
        )
