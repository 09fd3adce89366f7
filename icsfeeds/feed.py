"""A calendar as bytes: pure rendering, rows in, iCalendar (RFC 5545, RFC 7986) out.

There is no METHOD: it would make the feed a scheduling message (RFC 5546 §3.2.1), which takes an ORGANIZER in every
event, and a feed only tells.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from icsfeeds import writer
from icsfeeds.colors import nearest_name
from icsfeeds.events import Clock, alone
from icsfeeds.families import Family, families
from icsfeeds.rows import FeedRow
from icsfeeds.series import orphans, series
from icsfeeds.vtimezone import vtimezone

# A part of the feeds' ETags: raise it whenever the same rows come out as other bytes.
RENDERER_VERSION = 5
# Endless series are followed so far: zone rules are described, and instances in DST gaps are set apart.
YEARS_AHEAD = 10
CLOSING = b"END:VCALENDAR\r\n"

log = structlog.get_logger("feed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a feed says of itself. year: the one that runs now; endless series are followed from there.

    color: #RRGGBB; empty: readers choose.
    """

    name: str
    prodid: str
    refresh: timedelta
    year: int
    color: str = ""


def render(head: Head, rows: Iterable[FeedRow]) -> Iterator[bytes]:
    """The calendar in chunks of UTF-8. A row that cannot be written is left out and logged by its id, never more."""
    clock = Clock(last_year=head.year + YEARS_AHEAD)
    # Readers want a zone's rules before its first use, and which are used is known when the events are written.
    events = [text for family in families(rows) for text in written(family, clock, head.year)]
    yield opening(head, clock.years)
    yield "".join(events).encode()
    yield CLOSING


def written(family: Family, clock: Clock, year: int) -> list[str]:
    """The family's VEVENTs; nothing, and a line in the log, where they cannot be written. year: the one that runs."""
    master = family.master
    try:
        if master is None:
            return list(orphans(family, clock))
        if master.recurrence_rule or master.rdates or family.overrides:
            return series(master, family, clock, year=year)
        return [alone(master, family.uid, clock)]
    # Whatever is wrong with one entry, the others are shown: a feed never breaks over a row.
    except Exception as error:  # noqa: BLE001
        shown = master or family.overrides[0]
        log.warning("feed_entry_skipped", row=str(shown.unique_id), error=type(error).__name__)
        return []


def opening(head: Head, zones: Mapping[str, tuple[int, int]]) -> bytes:
    """What stands before the events: the calendar's properties, and each zone's rules for its first and last year."""
    every = f"PT{int(head.refresh.total_seconds())}S"
    name = writer.text(head.name)
    lines = [
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n",
        writer.line("PRODID:" + writer.text(head.prodid)),
        "CALSCALE:GREGORIAN\r\n",
        writer.line("NAME:" + name),
        # Apple, Google and Outlook read this name, newer programs that of RFC 7986.
        writer.line("X-WR-CALNAME:" + name),
        f"REFRESH-INTERVAL;VALUE=DURATION:{every}\r\nX-PUBLISHED-TTL:{every}\r\n",
    ]
    if head.color:
        lines.append(f"COLOR:{nearest_name(head.color)}\r\nX-APPLE-CALENDAR-COLOR:{head.color}\r\n")
    lines += [vtimezone(zone, first_year, last_year) for zone, (first_year, last_year) in sorted(zones.items())]
    return "".join(lines).encode()
