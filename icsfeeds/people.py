"""ORGANIZER and ATTENDEE (RFC 5545 §3.8.4.1, §3.8.4.3), for the feeds that are asked to name people."""

import re
from collections.abc import Iterable

from icsfeeds import writer

_ADDRESS = re.compile(r"[^\s\x00-\x20\x7f-\x9f\ud800-\udfff\"<>:;,@\\]{1,64}@[A-Za-z0-9.-]{1,189}")
# In a quoted parameter value neither stands (§3.2), and few readers know the escapes of RFC 6868.
_NOT_IN_NAMES = re.compile('[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"]+')
_ANSWERS = {"accepted": "ACCEPTED", "declined": "DECLINED", "tentative": "TENTATIVE", "needs-action": "NEEDS-ACTION"}


def organizer(email: str, name: str) -> str:
    """The content line; nothing for what is no address."""
    return _line("ORGANIZER", email, name, "")


def attendees(people: Iterable[tuple[str, str, str]]) -> str:
    """A content line for each (e-mail, name, answer), in their order; whoever has no address is left out."""
    lines = []
    for email, name, answer in people:
        known = _ANSWERS.get(answer.lower().replace("_", "-"), "NEEDS-ACTION")
        lines.append(_line("ATTENDEE", email, name, f";ROLE=REQ-PARTICIPANT;PARTSTAT={known}"))
    return "".join(lines)


def _line(kind: str, email: str, name: str, parameters: str) -> str:
    if _ADDRESS.fullmatch(email) is None:
        return ""
    shown = _NOT_IN_NAMES.sub(" ", name).strip()
    called = f';CN="{shown}"' if shown else ""
    return writer.line(f"{kind}{called}{parameters}:mailto:{email}")
