"""Content lines (RFC 5545 §3.1): from text to the events of one iCalendar object, unread as yet.

An own reader, because a full parse of every property of every event costs four times what the ledger asks for. Only
the properties named here are kept; a property is its parameters' text and its value's text, both as written.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

Property = tuple[str, str]
Event = dict[str, list[Property]]

_WANTED = frozenset(
    {
        "UID", "DTSTART", "DTEND", "DURATION", "RRULE", "EXRULE", "RDATE", "EXDATE", "RECURRENCE-ID", "STATUS",
        "TRANSP", "CLASS", "SEQUENCE", "SUMMARY", "DESCRIPTION", "LOCATION", "ATTENDEE", "ORGANIZER",
        "LAST-MODIFIED", "DTSTAMP", "X-MICROSOFT-CDO-BUSYSTATUS",
    }
)  # fmt: skip
# What ends a line, hides text or is refused by a database, though no calendar means anything by it.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_STRANGE_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
_UNUSUAL = re.compile("[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Exchange writes TZID=tzone://Microsoft/Utc without the quotes that its colon asks for.
_VALUE = r'(?:"[^"]*"|(?:[^:;,"]|:(?=//))*)'
_HEAD = re.compile(rf'([^:;"]+)((?:;[^:;="]+={_VALUE}(?:,{_VALUE})*)*):')
_PARAMETER = re.compile(r';([^:;="]+)=((?:"[^"]*"|[^;,"]*)(?:,(?:"[^"]*"|[^;,"]*))*)')
_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)


class Malformed(ValueError):
    """The text is not a whole iCalendar object. Its message is for people."""


@dataclass(slots=True)
class CalendarObject:
    """events: the VEVENTs in order. zones: each VTIMEZONE's lines. others: how many components of other kinds."""

    events: list[Event] = field(default_factory=list)
    zones: list[list[str]] = field(default_factory=list)
    others: int = 0


def read(text: str) -> CalendarObject:
    """The components of one VCALENDAR; raises `Malformed` where it is cut off or its parts do not nest.

    Control characters are dropped, U+0085, U+2028 and U+2029 become blanks, parts of events (alarms) are passed over.
    """
    found = CalendarObject()
    lines = iter(_lines(text))
    if next(lines, "").strip().upper() != "BEGIN:VCALENDAR":
        raise Malformed("It is not an iCalendar object.")
    open_parts = ["VCALENDAR"]
    event: Event | None = None
    for line in lines:
        head, _, value = line.partition(":")
        if head in _WANTED:
            if event is not None and len(open_parts) == 2:
                event.setdefault(head, []).append(("", value))
        elif head == "BEGIN" or head == "begin":
            kind = value.strip().upper()
            open_parts.append(kind)
            if len(open_parts) == 2:
                if kind == "VEVENT":
                    event = {}
                    found.events.append(event)
                elif kind == "VTIMEZONE":
                    found.zones.append(_zone_lines(lines))
                    open_parts.pop()
                else:
                    found.others += 1
        elif head == "END" or head == "end":
            if not open_parts or open_parts.pop() != value.strip().upper():
                raise Malformed("Its components do not nest.")
            if len(open_parts) < 2:
                event = None
        elif event is not None and len(open_parts) == 2 and (";" in head or not head.isupper()):
            _add(event, line)
    if open_parts:
        raise Malformed("It is cut off.")
    return found


def parameters(text: str) -> Mapping[str, str]:
    """`;TZID="A:b";VALUE=DATE` as {"TZID": "A:b", "VALUE": "DATE"}; of a repeated parameter the first."""
    return _usual_parameters(text) if len(text) < _USUAL_LENGTH else _parameters(text)


def _parameters(text: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for name, value in _PARAMETER.findall(text):
        found.setdefault(name.upper(), value.replace('"', ""))
    return MappingProxyType(found)


# A calendar names the same few zones in all of its events.
_USUAL_LENGTH = 100
_usual_parameters = lru_cache(maxsize=1024)(_parameters)


def split_line(line: str) -> tuple[str, str, str] | None:
    """Name in upper case, the parameters' text, and the value; None for what is no content line."""
    match = _HEAD.match(line)
    if match is not None:
        return match[1].upper(), match[2], line[match.end() :]
    # Quotes that do not pair: the plain reading finds the property at least.
    head, colon, value = line.partition(":")
    name, _, parameters_text = head.partition(";")
    return (name.upper(), f";{parameters_text}" if parameters_text else "", value) if colon else None


def unescaped(text: str) -> str:
    """A TEXT value as it is meant (RFC 5545 §3.3.11)."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda match: "\n" if match[1] in {"n", "N"} else match[1], text)


def readable(text: str) -> str:
    """The text with plain line ends, without control characters; U+0085, U+2028 and U+2029 become blanks."""
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if _UNUSUAL.search(text):
        text = _STRANGE_LINE_ENDS.sub(" ", _CONTROLS.sub("", text.replace("\r", "")))
    return text


def _lines(text: str) -> list[str]:
    text = readable(text)
    if "\n " in text:
        text = text.replace("\n ", "")
    if "\n\t" in text:
        text = text.replace("\n\t", "")
    return [line for line in text.lstrip("\ufeff \n").split("\n") if line]


def _zone_lines(lines: Iterator[str]) -> list[str]:
    kept: list[str] = []
    for line in lines:
        if line[:3].upper() == "END" and line[3:].strip().upper() == ":VTIMEZONE":
            return kept
        kept.append(line)
    raise Malformed("It is cut off.")


def _add(event: Event, line: str) -> None:
    parts = split_line(line)
    if parts is not None and parts[0] in _WANTED:
        event.setdefault(parts[0], []).append((parts[1], parts[2]))
