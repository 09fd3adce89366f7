"""From the bytes of an ICS feed to its events, one at a time: a feed may be large, its events are not.

A first pass notes where each component stands; only then is one event after the other read. Besides the bytes
themselves, that costs some hundred bytes an event.
"""

import codecs
import hashlib
import re
from dataclasses import dataclass, field

from busyblocks.entries import folded_id
from calendars.providers import UnexpectedAnswer
from integrations.contentlines import Event, Malformed, read, unescaped

# A logical line, folds and all (RFC 5545 §3.1).
_LINE = re.compile(rb"[^\n]+(?:\n[ \t][^\n]*)*")
_FOLD = re.compile(rb"\r?\n[ \t]")
_TZID = re.compile(r"^TZID(?:;[^:\n]*)?:(.*)$", re.MULTILINE)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# The first letters of the lines that the first pass looks at: BEGIN, END, UID, X-WR-…
_LOOKED_AT = frozenset(b"BbEeUuXx")
# What says when and by whom a feed was written, not what it says: some rewrite these at every read.
_VOLATILE = frozenset({"DTSTAMP", "LAST-MODIFIED", "CREATED", "PRODID", "METHOD"})
_MOST_ZONES = 500
# No UID begins so: control characters are dropped from them.
_UNNAMED = "\0"

Slice = tuple[int, int]


@dataclass(slots=True)
class Feed:
    """A whole feed. name, time_zone: as X-WR-CALNAME and X-WR-TIMEZONE say, "" where they do not."""

    name: str = ""
    time_zone: str = ""
    _body: bytes = field(default=b"", repr=False)
    _events: dict[str, list[Slice]] = field(default_factory=dict, repr=False)
    _zones: dict[str, str] = field(default_factory=dict, repr=False)

    def etags(self, seasoning: str = "") -> dict[str, str]:
        """Event id → a digest of all that matters in it, in the order of first appearance. An event's id is its UID;
        one without is known by what it says. seasoning: what else makes an etag another one."""
        found: dict[str, str] = {}
        for id_ in list(self._events):
            etag, content = _etag(self.text_of(id_), seasoning)
            if id_.startswith(_UNNAMED):
                slices = self._events.pop(id_)
                id_ = f"without-uid-{content[:32]}"
                self._events[id_] = slices
            found[id_] = etag
        return found

    def text_of(self, id_: str) -> str:
        """All components of one event, and the zones that they name, as an iCalendar object of its own."""
        events = "\n".join(_decoded(self._body[start:end]).strip("\r\n") for start, end in self._events[id_])
        zones = "\n".join(text for tzid, text in self._zones.items() if tzid in events)
        return "\n".join(part for part in ("BEGIN:VCALENDAR", zones, events, "END:VCALENDAR") if part)


def parsed(body: bytes) -> Feed:
    """The feed that `body` is, all of it. Raises `UnexpectedAnswer` for whatever is no whole iCalendar stream: a page,
    an error in words, a file that was cut off. None of them is an empty calendar."""
    body = _as_utf8(body)
    feed = Feed(_body=body)
    unnamed = 0
    stack: list[bytes] = []
    start, uid, whole = 0, "", False
    for match in _LINE.finditer(body):
        line = match[0]
        if stack and line[0] not in _LOOKED_AT:
            continue
        if b"\n" in line:
            line = _FOLD.sub(b"", line)
        head, _, value = line.partition(b":")
        name = head.partition(b";")[0].strip().upper()
        if not stack and not (name == b"BEGIN" and value.strip().upper() == b"VCALENDAR"):
            if line.strip(b" \t\r\x1a\x00"):
                raise UnexpectedAnswer("What the address leads to is not a calendar.")
        elif name == b"BEGIN":
            stack.append(value.strip().upper())
            if len(stack) == 2:
                start, uid = match.start(), ""
        elif name == b"END":
            kind = value.strip().upper()
            if stack.pop() != kind:
                raise UnexpectedAnswer("The calendar's parts do not nest.")
            whole = not stack
            if len(stack) == 1 and kind == b"VEVENT":
                if not uid:
                    unnamed += 1
                    uid = f"{_UNNAMED}{unnamed}"
                feed._events.setdefault(uid, []).append((start, match.end()))
            elif len(stack) == 1 and kind == b"VTIMEZONE":
                _keep_zone(feed, body[start : match.end()])
        elif len(stack) == 2 and stack[1] == b"VEVENT" and name == b"UID":
            uid = uid or folded_id(_clean(value))
        elif len(stack) == 1 and name == b"X-WR-CALNAME":
            feed.name = feed.name or _clean(value)
        elif len(stack) == 1 and name == b"X-WR-TIMEZONE":
            feed.time_zone = feed.time_zone or _clean(value)
    if stack or not whole:
        raise UnexpectedAnswer("The calendar is cut off." if stack else "What the address leads to is not a calendar.")
    return feed


def _keep_zone(feed: Feed, part: bytes) -> None:
    text = _decoded(_FOLD.sub(b"", part)).strip("\r\n")
    found = _TZID.search(text.replace("\r", ""))
    if found and len(feed._zones) < _MOST_ZONES:
        feed._zones.setdefault(found[1].strip(), text)


def _etag(text: str, seasoned_with: str) -> tuple[str, str]:
    """A digest of the events without what is volatile, and one for which only the events count."""
    try:
        found = read(text)
    except Malformed:
        digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
        return digest, digest
    lasting = sorted(_order(event) for event in found.events)
    zones = sorted(str([line for line in lines if not line.startswith("LAST-MODIFIED")]) for lines in found.zones)
    events = str([words for *_, words in lasting])
    whole = hashlib.sha256(f"{seasoned_with}\0{events}\0{zones}".encode("utf-8", "replace")).hexdigest()
    return whole, hashlib.sha256(events.encode("utf-8", "replace")).hexdigest()


def _order(event: Event) -> tuple[str, ...]:
    """By instance, then as versions of the same event follow each other; at last what it says."""
    value = {name: values[0][1] for name, values in event.items()}
    words = str(sorted((name, values) for name, values in event.items() if name not in _VOLATILE))
    version = (value.get("SEQUENCE", "").strip().zfill(10), value.get("LAST-MODIFIED", ""), value.get("DTSTAMP", ""))
    return (value.get("RECURRENCE-ID", ""), *version, words)


def _as_utf8(body: bytes) -> bytes:
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace").encode()
    return body.removeprefix(codecs.BOM_UTF8)


def _decoded(part: bytes) -> str:
    """UTF-8 (RFC 5545 §3.1.4), or what old servers write instead."""
    try:
        return part.decode()
    except UnicodeDecodeError:
        return part.decode("cp1252", "replace")


def _clean(value: bytes) -> str:
    return _CONTROLS.sub("", unescaped(_decoded(value))).strip()
