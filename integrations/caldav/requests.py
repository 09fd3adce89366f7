"""The few WebDAV questions that are asked of a CalDAV server (RFC 4918, 4791, 6578), and how refusals are named."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

import httpx2

from calendars.providers import CalendarGone, CursorLost, ProviderError, UnexpectedAnswer
from integrations.caldav.multistatus import DAV, Multistatus, has_precondition
from integrations.http import Reply, Session

_NAMESPACES = (
    'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:S="http://calendarserver.org/ns/" '
    'xmlns:A="http://apple.com/ns/ical/"'
)
# How servers say that a sync token is unknown; the status alone never does (RFC 6578 §3.2).
_TOKEN_REFUSED = frozenset({400, 403, 409, 410, 412})


class TokensNotSupported(ProviderError):
    """The server does not answer sync-collection here, whatever it announced."""


class ListingCut(Exception):
    """An answer of 507: the server does not list everything at once."""


def propfind(session: Session, url: str | httpx2.URL, names: Iterable[str], *, depth: int) -> Reply:
    """PROPFIND for properties given with their prefix ("D:displayname"). The reply's status is the caller's affair."""
    body = f"<D:propfind {_NAMESPACES}><D:prop>{_tags(names)}</D:prop></D:propfind>"
    return _ask(session, "PROPFIND", url, body, depth=depth)


def report_changes(session: Session, url: str, token: str) -> tuple[Reply, Multistatus]:
    """sync-collection since `token` ("" from the beginning).

    No DAV:limit: Xandikos then cuts the listing short and hands out the final token nevertheless. Raises `CursorLost`
    where the body says that the token is unknown, `TokensNotSupported` where the first such question is refused.
    """
    body = (
        f"<D:sync-collection {_NAMESPACES}><D:sync-token>{escape(token)}</D:sync-token>"
        f"<D:sync-level>1</D:sync-level><D:prop><D:getetag/></D:prop></D:sync-collection>"
    )
    reply = _ask(session, "REPORT", url, body, depth=0)
    if token and reply.status in _TOKEN_REFUSED and has_precondition(reply.body, f"{DAV}valid-sync-token"):
        raise CursorLost("The server does not know any more what was read before.")
    if not token and reply.status in {400, 403, 405, 409, 412, 415, 422, 501}:
        raise TokensNotSupported("The server does not list changes.")
    if reply.status == 507:
        raise ListingCut
    return reply, multistatus(reply)


def report_events(session: Session, url: str, hrefs: Iterable[str], *, max_bytes: int) -> Multistatus:
    """calendar-multiget (RFC 4791 §7.9) of the hrefs, as the server wrote them."""
    listed = "".join(f"<D:href>{escape(href)}</D:href>" for href in hrefs)
    body = (
        f"<C:calendar-multiget {_NAMESPACES}><D:prop><D:getetag/><C:calendar-data/></D:prop>"
        f"{listed}</C:calendar-multiget>"
    )
    return multistatus(_ask(session, "REPORT", url, body, depth=1, max_bytes=max_bytes))


def get_event(session: Session, url: str, href: str, *, max_bytes: int) -> Reply:
    """GET of one event (RFC 4791 §5.3.4) at its href, which the server wrote. The status is the caller's affair."""
    return session.request("GET", httpx2.URL(url).join(href), headers={"Accept": "text/calendar"}, max_bytes=max_bytes)


def multistatus(reply: Reply) -> Multistatus:
    """The reply's Multi-Status; raises `CalendarGone` for 404 and 410, `UnexpectedAnswer` for all but 207."""
    if reply.status in {404, 410}:
        raise CalendarGone("The server has no calendar at this address any more.")
    if reply.status == 403:
        raise UnexpectedAnswer("The server does not let this account read the calendar (403).")
    if reply.status != 207:
        raise UnexpectedAnswer(f"The server's answer is not that of a CalDAV server ({reply.status}).")
    return Multistatus(reply.body)


def _ask(session: Session, method: str, url: str | httpx2.URL, body: str, *, depth: int, max_bytes: int = 0) -> Reply:
    return session.request(
        method,
        url,
        body=f'<?xml version="1.0" encoding="utf-8"?>\n{body}'.encode(),
        headers={"Content-Type": 'application/xml; charset="utf-8"', "Depth": str(depth), "Accept": "application/xml"},
        max_bytes=max_bytes,
    )


def _tags(names: Iterable[str]) -> str:
    return "".join(f"<{name}/>" for name in names)
