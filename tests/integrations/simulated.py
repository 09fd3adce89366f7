"""A CalDAV server as small as the questions that we ask, so that a test can bend any of its answers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from calendars.providers import Connection
from integrations.caldav.provider import CalDAVProvider
from tests.proxy import Ask, Canned, Proxy

HOME = "/dav/alice/"
CALENDAR = "/dav/alice/work/"
_OK, _GONE = "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"


def multistatus(*responses: str, token: str = "") -> Canned:
    tail = f"<D:sync-token>{token}</D:sync-token>" if token else ""
    body = (
        '<?xml version="1.0" encoding="utf-8"?>'
        '<D:multistatus xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" '
        'xmlns:S="http://calendarserver.org/ns/" xmlns:A="http://apple.com/ns/ical/">'
        f"{''.join(responses)}{tail}</D:multistatus>"
    )
    return Canned(207, body.encode(), {"Content-Type": "application/xml"})


def response(href: str, properties: str, *, status: str = _OK) -> str:
    return (
        f"<D:response><D:href>{escape(href)}</D:href><D:propstat><D:prop>{properties}</D:prop>"
        f"<D:status>{status}</D:status></D:propstat></D:response>"
    )


def gone(href: str, *, status: str = _GONE) -> str:
    return f"<D:response><D:href>{escape(href)}</D:href><D:status>{status}</D:status></D:response>"


def etag(text: str) -> str:
    return f"<D:getetag>{escape(text)}</D:getetag>"


def data(text: str) -> str:
    return f"<C:calendar-data>{escape(text)}</C:calendar-data>"


@dataclass
class SimulatedServer:
    """One calendar. events: path → (etag, text). tokens, ctag: what it offers; cut: how many members it lists at once.

    gone: paths to report as removed since whatever token was given.
    """

    proxy: Proxy
    events: dict[str, tuple[str, str]] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    tokens: bool = True
    ctag: str = ""
    cut: int = 0

    def put(self, name: str, text: str, version: int = 1) -> None:
        self.events[f"{CALENDAR}{name}"] = (f'"{version}"', text)

    def provider(self) -> CalDAVProvider:
        credentials = {"server_url": self.proxy.url, "username": "alice", "password": "alice-secret"}
        return CalDAVProvider(Connection(email="alice@acme.example", credentials=credentials))

    @property
    def calendar_url(self) -> str:
        return self.proxy.url.rstrip("/") + CALENDAR

    def answer(self, ask: Ask) -> Canned:
        if ask.path != CALENDAR:
            return Canned(404)
        if b"sync-collection" in ask.body:
            return self.changes(ask) if self.tokens else Canned(400)
        if b"calendar-multiget" in ask.body:
            return multistatus(*(self.event(href) for href in hrefs(ask)))
        if ask.headers["Depth"] == "1":
            members = [response(path, etag(tag)) for path, (tag, _) in self.events.items()]
            return multistatus(response(CALENDAR, "<D:resourcetype><D:collection/></D:resourcetype>"), *members)
        token = "<D:sync-token>now</D:sync-token>" if self.tokens else ""
        return multistatus(response(CALENDAR, f"{token}<S:getctag>{self.ctag}</S:getctag>"))

    def changes(self, ask: Ask) -> Canned:
        found = re.search(rb"<D:sync-token>from-(\d+)</D:sync-token>", ask.body)
        start = int(found[1]) if found else 0
        members = [response(path, etag(tag)) for path, (tag, _) in self.events.items()]
        if not self.cut:
            return multistatus(*members, *(gone(path) for path in self.gone), token="now")
        if start + self.cut >= len(members):
            return multistatus(*members[start:], token="now")
        cut = gone(CALENDAR, status="HTTP/1.1 507 Insufficient Storage")
        return multistatus(*members[start : start + self.cut], cut, token=f"from-{start + self.cut}")

    def event(self, href: str) -> str:
        if href not in self.events:
            return gone(href)
        tag, text = self.events[href]
        return response(href, etag(tag) + data(text))


def hrefs(ask: Ask) -> list[str]:
    """What a multiget asks for."""
    return re.findall("<D:href>([^<]*)</D:href>", ask.body.decode())


@contextmanager
def simulated() -> Iterator[SimulatedServer]:
    with Proxy() as proxy:
        server = SimulatedServer(proxy)
        proxy.answer = server.answer
        yield server
