"""Requests to Microsoft Graph v1.0: the headers that each of them carries, and what its errors mean."""

import hashlib
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx2
from django.conf import settings
from django.utils import timezone

from calendars.providers import (
    Connection,
    CursorLost,
    ProviderError,
    ReconnectNeeded,
    UnexpectedAnswer,
)
from integrations.http import Reply, Session

# On every request, links too: a token is bound to them. Without IdType an event that is moved to another folder gets
# another id; without the zone, times come on the mailbox's clock.
# https://learn.microsoft.com/graph/outlook-immutable-id, …/graph/api/event-delta
PREFER = 'odata.maxpagesize=50, outlook.timezone="UTC", IdType="ImmutableId"'
# A million events, at fifty a page. Links that lead on for ever have been met.
MOST_PAGES = 20_000
LONGEST_LISTING = timedelta(minutes=30)

_LOST = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired", "fullsyncrequired"})
_NO_MAILBOX = frozenset({"mailboxnotenabledforrestapi", "mailboxnotsupportedforrestapi"})
_CODE = re.compile(r"[A-Za-z0-9_.]{1,80}")


class NotThere(ProviderError):
    """Graph does not know what was asked for."""

    code = "not_there"


class Forbidden(ProviderError):
    """Graph knows who is asking, and does not let them read this."""

    code = "forbidden"


class Graph:
    """The API for one account. One request at a time: Graph takes at most four at once for a mailbox."""

    def __init__(self, connection: Connection) -> None:
        self.base = settings.OUTLOOK_API_URL.rstrip("/")
        self.origin = _origin(httpx2.URL(self.base))
        self.session = Session(f"{self.base}/", authorization=connection.access_token, checkpoint=connection.checkpoint)

    def get(self, url: str) -> dict[str, Any]:
        """The JSON object at `url`, which is used as it is.

        Raises `CursorLost`, `NotThere`, `Forbidden`, `ReconnectNeeded`, `UnexpectedAnswer` (also for an address
        outside of the configured one), and what `Session.request` raises.
        """
        if not self.is_own(url):
            raise UnexpectedAnswer("Microsoft Graph sends us on to another address.")
        reply = self.session.request("GET", url, headers={"Prefer": PREFER, "Accept": "application/json"})
        if reply.status != 200:
            raise _failure(reply)
        return reply.json()

    def pages(self, url: str) -> Iterator[dict[str, Any]]:
        """The answer at `url` and all that its `@odata.nextLink`s lead to; each has a list of objects as `value`.

        Raises `UnexpectedAnswer` where the links lead in a circle, or on for more than 20,000 pages or half an hour:
        a list that does not end is not the whole list. Otherwise as `get`.
        """
        seen: set[bytes] = set()
        latest = timezone.now() + LONGEST_LISTING
        while True:
            mark = hashlib.blake2b(url.encode("utf-8", "replace"), digest_size=16).digest()
            if mark in seen or len(seen) >= MOST_PAGES or timezone.now() > latest:
                raise UnexpectedAnswer("Microsoft Graph lists without end.")
            seen.add(mark)
            body = self.get(url)
            items = body.get("value")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise UnexpectedAnswer("Microsoft Graph answered a list without its items.")
            yield body
            link = body.get("@odata.nextLink")
            if link is None:
                return
            url = str(link)

    def is_own(self, url: str) -> bool:
        """Whether `url` lies on the configured origin."""
        try:
            return _origin(httpx2.URL(url)) == self.origin
        except (httpx2.InvalidURL, ValueError):
            return False


def _origin(url: httpx2.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _failure(reply: Reply) -> ProviderError:
    """What an answer that is none means, by status and code. Messages are the vendor's own and are not passed on."""
    code = _code(reply)
    folded = code.casefold()
    if reply.status == 410 or folded in _LOST:
        return CursorLost("Microsoft Graph does not know the state of the last sync any more.")
    if folded in _NO_MAILBOX:
        return ReconnectNeeded("This Microsoft account has no mailbox whose calendars can be read.")
    if reply.status == 404:
        return NotThere("Microsoft Graph does not know it.")
    if reply.status == 403:
        return Forbidden(f"Microsoft Graph does not let this account read it ({code or 403}).")
    return UnexpectedAnswer(f"Microsoft Graph answered {reply.status} {code}".rstrip() + ".")


def _code(reply: Reply) -> str:
    """`error.code` where the body has one; bodies of errors need not be JSON."""
    try:
        error = reply.json().get("error")
    except UnexpectedAnswer:
        return ""
    code = error.get("code") if isinstance(error, dict) else ""
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""
