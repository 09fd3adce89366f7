"""Multi-Status answers (RFC 4918 §13), read one response at a time and with a stranger's XML in mind."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

from lxml import etree

from calendars.providers import UnexpectedAnswer

DAV = "{DAV:}"
CALDAV = "{urn:ietf:params:xml:ns:caldav}"
CALENDARSERVER = "{http://calendarserver.org/ns/}"
APPLE = "{http://apple.com/ns/ical/}"

# Entities stay unread, nothing is fetched, and libxml2's own limits of depth and size hold.
_SAFE: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "dtd_validation": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
_STATUS = re.compile(r"HTTP/\S+\s+(\d{3})")
# XML 1.0 has no way to write these, yet servers pass them on from events.
_ILLEGAL = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f]"
    rb"|&#(?:0*(?:[0-8]|1[124-9]|2[0-9]|3[01])|[xX]0*(?:[0-8bBcCeEfF]|1[0-9a-fA-F]));"
)


@dataclass(frozen=True, slots=True)
class Response:
    """What the server says of one resource.

    path: decoded, as `decoded_path` makes it; href: as it was written. status: of the response as a whole, 0 where
    only its properties have one. properties: those with status 200, by their name in Clark notation. refused: the
    statuses of the others.
    """

    path: str
    href: str
    status: int
    properties: dict[str, etree._Element] = field(repr=False)
    refused: dict[str, int] = field(repr=False)

    def text(self, name: str) -> str:
        """The property's text without blanks around it; "" where it is missing or empty."""
        element = self.properties.get(name)
        return (element.text or "").strip() if element is not None else ""

    def hrefs(self, name: str) -> list[str]:
        """The hrefs inside the property."""
        element = self.properties.get(name)
        return [(href.text or "").strip() for href in element.iter(f"{DAV}href")] if element is not None else []

    def children(self, name: str) -> list[etree._Element]:
        element = self.properties.get(name)
        return list(element) if element is not None else []


@dataclass(slots=True)
class Multistatus:
    """An answer of status 207. `sync_token` is known when `responses` is at its end."""

    body: bytes = field(repr=False)
    sync_token: str = ""

    def responses(self) -> Iterator[Response]:
        """Each response, in order; raises `UnexpectedAnswer` where the body is no whole multistatus."""
        try:
            yield from self._read(self.body)
        except etree.XMLSyntaxError:
            legal = _ILLEGAL.sub(b"", self.body)
            if legal == self.body:
                raise UnexpectedAnswer("The server's answer is not the XML that CalDAV promises.") from None
            try:
                # From the start: to hear of a resource twice does no harm.
                yield from self._read(legal)
            except etree.XMLSyntaxError:
                raise UnexpectedAnswer("The server's answer is not the XML that CalDAV promises.") from None

    def _read(self, body: bytes) -> Iterator[Response]:
        root: etree._Element | None = None
        for event, element in etree.iterparse(BytesIO(body), events=("start", "end"), **_SAFE):
            if event == "start":
                if root is None:
                    root = element
                    if root.getroottree().docinfo.internalDTD is not None:
                        raise UnexpectedAnswer("The server's answer defines a document type, which CalDAV never does.")
                    if root.tag != f"{DAV}multistatus":
                        raise UnexpectedAnswer("The server's answer is not that of a CalDAV server.")
            elif element.getparent() is root:
                if element.tag == f"{DAV}response":
                    yield _response(element)
                elif element.tag == f"{DAV}sync-token":
                    self.sync_token = (element.text or "").strip()
                # What was read is not needed again; a listing of a hundred thousand events stays small.
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]


def has_precondition(body: bytes, name: str) -> bool:
    """Whether an error body names the precondition, in Clark notation (RFC 4918 §16)."""
    try:
        root = etree.fromstring(body, etree.XMLParser(**_SAFE))
    except (etree.XMLSyntaxError, ValueError):
        return False
    return root.tag == name or next(root.iter(name), None) is not None


def decoded_path(href: str) -> str:
    """The path of an href, percent-decoded, without host, repeated slashes or a query: what two spellings share."""
    path = urlsplit(href).path if "://" in href[:12] or href.startswith("//") else href.partition("?")[0]
    with contextlib.suppress(UnicodeDecodeError):
        path = unquote(path, errors="strict")
    return re.sub("/{2,}", "/", path).replace("\0", "")


def _response(element: etree._Element) -> Response:
    href, status = "", 0
    properties: dict[str, etree._Element] = {}
    refused: dict[str, int] = {}
    for child in element:
        if child.tag == f"{DAV}href":
            href = href or (child.text or "").strip()
        elif child.tag == f"{DAV}status":
            status = _status(child)
        elif child.tag == f"{DAV}propstat":
            code = _status(child.find(f"{DAV}status"))
            for name in child.iterfind(f"{DAV}prop/*"):
                if code == 200:
                    properties[str(name.tag)] = name
                else:
                    refused[str(name.tag)] = code
    return Response(decoded_path(href), href, status, properties, refused)


def _status(element: etree._Element | None) -> int:
    match = _STATUS.match((element.text or "").strip()) if element is not None else None
    return int(match[1]) if match else 0
