"""Content lines of iCalendar (RFC 5545 §3.1, §3.3): text made safe, lines folded, times written."""

import re
from datetime import datetime

MAX_OCTETS = 75
_CRLF = "\r\n"

# What takes more than an escape: every control character but TAB and LF, and the halves of surrogates, which have no
# UTF-8.
_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SAFE: dict[int, str | None] = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09}
_SAFE |= dict.fromkeys(range(0xD800, 0xE000), "\ufffd")
# Each of these ends a line in some reader, so each becomes the one line break that all of them understand.
_SAFE |= {ord(char): "\\n" for char in "\n\r\v\f\x85\u2028\u2029"}
_SAFE |= {ord("\\"): "\\\\", ord(";"): "\\;", ord(","): "\\,"}


def text(value: str) -> str:
    """`value` as a TEXT value (§3.3.11): escaped, line breaks as `\\n`, other control characters dropped."""
    if _ODD.search(value) is None:
        # Most texts hold none of the four, and looking for them costs less than one pass of `translate`.
        return value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")
    return value.replace("\r\n", "\n").translate(_SAFE)


def line(content: str) -> str:
    """A content line with its CRLF, folded so that no line is longer than 75 octets and no character is cut."""
    if len(content) <= MAX_OCTETS and content.isascii():
        return content + _CRLF
    octets = content.encode()
    if len(octets) <= MAX_OCTETS:
        return content + _CRLF
    pieces = []
    start, room = 0, MAX_OCTETS
    while len(octets) - start > room:
        end = start + room
        while octets[end] & 0xC0 == 0x80:
            end -= 1
        pieces.append(octets[start:end])
        # A continuation begins with a blank, which counts.
        start, room = end, MAX_OCTETS - 1
    pieces.append(octets[start:])
    return b"\r\n ".join(pieces).decode() + _CRLF


def utc(moment: datetime) -> str:
    """`20260315T140000Z`; `moment` is in UTC.

    strftime loses the zeros of years before 1000; of what keeps them this is the fastest, by half.
    """
    return "%04d%02d%02dT%02d%02d%02dZ" % (  # noqa: UP031
        moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second,
    )  # fmt: skip


def wall(moment: datetime) -> str:
    """`20260315T140000`, the clock that `moment` shows."""
    return utc(moment)[:-1]


def date(moment: datetime) -> str:
    """`20260315`, the date that `moment` shows."""
    return "%04d%02d%02d" % (moment.year, moment.month, moment.day)  # noqa: UP031
