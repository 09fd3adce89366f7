"""Where an account's calendars are (RFC 6764 §6, RFC 5397, RFC 4791 §6.2.1), starting from any address of it."""

import contextlib
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import quote, unquote

import httpx2

from calendars.providers import CalendarGone, ReconnectNeeded, RemoteCalendar, UnexpectedAnswer
from integrations import contentlines, zones
from integrations.caldav.multistatus import APPLE, CALDAV, CALENDARSERVER, DAV, Response
from integrations.caldav.requests import multistatus, propfind
from integrations.http import Reply, Session

_WHO = ("D:current-user-principal", "D:resourcetype", "C:calendar-home-set")
_CALENDAR = (
    "D:resourcetype",
    "D:displayname",
    "C:supported-calendar-component-set",
    "C:calendar-timezone",
    "C:calendar-timezone-id",
    "A:calendar-color",
)
# Collections beside the calendars that are none of the user's own (RFC 6638; calendarserver.org; Nextcloud's bin).
_NOT_CALENDARS = frozenset(
    {
        f"{CALDAV}schedule-inbox",
        f"{CALDAV}schedule-outbox",
        f"{CALENDARSERVER}notification",
        f"{CALENDARSERVER}subscribed",
        f"{CALENDARSERVER}dropbox-home",
        "{http://nextcloud.com/ns}deleted-calendar",
        "{http://nextcloud.com/ns}trash-bin",
    }
)
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_LONGEST_URL = 512


class Home(NamedTuple):
    """Where calendars are: `depth` 1, a folder of them; 0, the address is a calendar itself."""

    url: str
    depth: int


def homes(session: Session, server_url: str) -> list[Home]:
    """Where the account's calendars are.

    Asked in this order: the address given, /.well-known/caldav, the server's root. Raises `ReconnectNeeded` where the
    server knows nobody by these credentials, `UnexpectedAnswer` where there is no CalDAV.
    """
    tried = [session.home.join(server_url), *(session.home.join(path) for path in ("/.well-known/caldav", "/"))]
    for url in dict.fromkeys(tried):
        reply = propfind(session, url, _WHO, depth=0)
        # A web page or an error at this address says nothing of the next.
        found = _homes_of(session, reply) if reply.status == 207 else []
        if found:
            return found
    raise UnexpectedAnswer("There is no CalDAV server at this address.")


def calendars(session: Session, home: Home) -> list[RemoteCalendar]:
    """The calendars at `home`: those that may hold events, without inboxes, outboxes and subscriptions.

    Raises `CalendarGone` where the home is no more.
    """
    reply = propfind(session, home.url, _CALENDAR, depth=home.depth)
    return [
        _calendar(response, collection_url(reply.url, response.href))
        for response in multistatus(reply).responses()
        if _is_calendar(response)
    ]


def collection_url(base: httpx2.URL, href: str) -> str:
    """The absolute URL of a collection, in one spelling however the server writes it; raises `UnexpectedAnswer`.

    The spelling is the calendar's identity here, so percent-encoding, slashes and a redundant host do not matter.
    """
    try:
        target = base.join(href)
    except (httpx2.InvalidURL, ValueError):
        raise UnexpectedAnswer("The server names an address that is none.") from None
    path = re.sub("/{2,}", "/", target.raw_path.partition(b"?")[0].decode("ascii")).rstrip("/") + "/"
    # Bytes that are no UTF-8 stay as they were written: quoting them again would change them.
    with contextlib.suppress(UnicodeDecodeError):
        path = quote(unquote(path, errors="strict"), safe="/~!$&'()*+,;=:@")
    url = str(target.copy_with(raw_path=path.encode("ascii"), fragment=None))
    if len(url) > _LONGEST_URL:
        raise UnexpectedAnswer(f"The server names an address of more than {_LONGEST_URL} characters.")
    return url


def _homes_of(session: Session, reply: Reply) -> list[Home]:
    here = next(multistatus(reply).responses(), None)
    if here is None:
        return []
    if _is_calendar(here) or here.hrefs(f"{CALDAV}calendar-home-set"):
        return _homes(reply, here)
    principal = next(iter(here.hrefs(f"{DAV}current-user-principal")), "")
    if principal:
        answer = propfind(session, reply.url.join(principal), ("C:calendar-home-set",), depth=0)
        own = next(multistatus(answer).responses(), None) if answer.status == 207 else None
        if own is not None and own.hrefs(f"{CALDAV}calendar-home-set"):
            return _homes(answer, own)
    elif any(child.tag == f"{DAV}unauthenticated" for child in here.children(f"{DAV}current-user-principal")):
        raise ReconnectNeeded("The server does not know this user.")
    # No principals at all, yet perhaps a folder of calendars.
    folder = Home(collection_url(reply.url, ""), 1)
    try:
        return [folder] if calendars(session, folder) else []
    except (CalendarGone, UnexpectedAnswer):
        return []


def _homes(reply: Reply, response: Response) -> list[Home]:
    if _is_calendar(response):
        return [Home(collection_url(reply.url, response.href), 0)]
    hrefs = response.hrefs(f"{CALDAV}calendar-home-set")
    return list(dict.fromkeys(Home(collection_url(reply.url, href), 1) for href in hrefs if href))


def _is_calendar(response: Response) -> bool:
    kinds = {str(child.tag) for child in response.children(f"{DAV}resourcetype")}
    if f"{CALDAV}calendar" not in kinds or kinds & _NOT_CALENDARS:
        return False
    components = {child.get("name", "").upper() for child in response.children(_COMPONENTS)}
    return not components or "VEVENT" in components


_COMPONENTS = f"{CALDAV}supported-calendar-component-set"


def _calendar(response: Response, url: str) -> RemoteCalendar:
    color = _COLOR.match(response.text(f"{APPLE}calendar-color"))
    last_part = response.path.rstrip("/").rpartition("/")[2]
    return RemoteCalendar(
        external_id=url,
        name=(response.text(f"{DAV}displayname") or last_part)[:255],
        color=color[0] if color else "",
        time_zone=_time_zone(response),
    )


def _time_zone(response: Response) -> str:
    """The IANA zone of the calendar's floating times; "" where the server does not say one that can be used."""
    name = zones.iana_name(response.text(f"{CALDAV}calendar-timezone-id"))
    if name:
        return name
    try:
        described = contentlines.read(response.text(f"{CALDAV}calendar-timezone")).zones
        return zones.find(_tzid(described[0]), described).name if described else ""
    except (contentlines.Malformed, zones.UnknownZone):
        return ""


def _tzid(lines: Iterable[str]) -> str:
    for line in lines:
        parts = contentlines.split_line(line)
        if parts is not None and parts[0] == "TZID":
            return parts[2].strip()
    return ""
