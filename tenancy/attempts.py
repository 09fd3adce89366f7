"""How often somebody may try to sign in, so that passwords cannot be guessed and nobody can be locked out.

A browser that a person has signed in with carries a cookie that says so (`browser_of`), and is counted by itself:
whatever others try under that name, or from that office, does not count against it. All other attempts are counted
by name and by network. (OWASP calls this device cookies.) An attempt is counted before the password is looked at, so
that many at once do not pass together; a right one takes its count back.

The counts live in the cache and go with their window. A cache that does not answer lets everybody try: hashing
passwords is slow on purpose, and an outage must not keep the people out who could end it.
"""

import hashlib
import secrets
import time

import structlog
from django.core import signing
from django.core.cache import cache

from tenancy.clients import network_of

log = structlog.get_logger("signin")

WINDOW_SECONDS = 15 * 60
MOST_OF_A_NAME = 10
MOST_OF_A_BROWSER = 10
# Everybody of an office comes from one address.
MOST_OF_A_NETWORK = 100
BROWSER_COOKIE_SECONDS = 180 * 24 * 3600
_SALT = "tenancy.attempts.browser"


def browser_of(name: str) -> str:
    """A cookie's value for the browser in which `name` has just signed in: signed, and of this name alone."""
    return signing.dumps([_key(name), secrets.token_urlsafe(12)], salt=_SALT)


def begin(name: str, *, address: str, browser: str) -> bool:
    """Whether this attempt may be made; it is counted. browser: the cookie's value, or any text."""
    allowed = True
    for key, most in _counters(name, address, browser):
        count = _count(key)
        if count == most + 1:
            # No name and no address: the audit log and the proxy's log have them.
            log.warning("sign_in_slowed", by=key.split(":")[1], most=most, seconds=WINDOW_SECONDS)
        allowed = allowed and count <= most
    return allowed


def succeeded(name: str, *, address: str, browser: str) -> None:
    """The attempt was right: it does not count, nor do those before it under this name."""
    try:
        for key, _ in _counters(name, address, browser):
            if ":network:" in key:
                cache.decr(key)
            else:
                cache.delete(key)
    except Exception as error:  # noqa: BLE001 (each cache has errors of its own; a window may just have ended)
        log.info("attempt_not_forgiven", error=type(error).__name__)


def minutes_to_wait() -> int:
    """Until the window ends, at least one."""
    return int((WINDOW_SECONDS - time.time() % WINDOW_SECONDS) // 60) + 1


def _counters(name: str, address: str, browser: str) -> list[tuple[str, int]]:
    if (known := _known(browser, name)) is not None:
        return [(_window("browser", known), MOST_OF_A_BROWSER)]
    return [
        (_window("name", _key(name)), MOST_OF_A_NAME),
        (_window("network", _key(network_of(address))), MOST_OF_A_NETWORK),
    ]


def _known(browser: str, name: str) -> str | None:
    """The browser's own mark, where its cookie is ours and of this name."""
    try:
        of, mark = signing.loads(browser, salt=_SALT, max_age=BROWSER_COOKIE_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return str(mark) if of == _key(name) else None


def _count(key: str) -> int:
    try:
        cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
        return int(cache.incr(key))
    except Exception as error:  # noqa: BLE001 (each cache has errors of its own)
        log.warning("cache_unreachable", error=type(error).__name__)
        return 0


def _window(kind: str, what: str) -> str:
    return f"signin:{kind}:{what}:{int(time.time() // WINDOW_SECONDS)}"


def _key(text: str) -> str:
    """Of one length, whatever people type."""
    return hashlib.sha256(text.casefold().encode("utf-8", "replace")).hexdigest()[:32]
