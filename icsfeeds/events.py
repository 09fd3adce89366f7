"""One VEVENT as text (RFC 5545 §3.6.1): times in the zone of their row, and everything else that is said of it."""

import re
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from busyblocks import zones
from busyblocks.errors import UnknownZone
from busyblocks.models import Classification, EventStatus, FreeBusyType, Transparency
from icsfeeds import writer
from icsfeeds.rows import UNTITLED, FeedRow
from icsfeeds.vtimezone import FIRST_YEAR

UTC_NAMES = frozenset(
    {"", "UTC", "UCT", "Zulu", "Universal", "Etc/UTC", "Etc/UCT", "Etc/Zulu", "Etc/Universal"},
)
_URL_SAFE = "!#$%&'()*+,/:;=?@[]~"
_NOT_IN_URLS = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029\ud800-\udfff]")
STATUSES = {status.value: status.upper() for status in EventStatus}
CLASSES = {name.value: name.upper() for name in Classification}
# What neither STATUS nor TRANSP can say, in Outlook's words (MS-OXCICAL 2.1.3.1.1.20.31): it shows them as its own, and
# a feed that is mirrored again stays the same free/busy.
BUSY_STATUSES = {
    FreeBusyType.BUSY_UNAVAILABLE.value: "X-MICROSOFT-CDO-BUSYSTATUS:OOF\r\n",
    FreeBusyType.BUSY_TENTATIVE.value: "X-MICROSOFT-CDO-BUSYSTATUS:TENTATIVE\r\n",
}


class Clock:
    """Writes times in their zones, and remembers which zone was used in which years.

    last_year: up to where zones are written; what lies later, or before 1901, is written in UTC.
    """

    def __init__(self, *, last_year: int) -> None:
        self.last_year = last_year
        self.years: dict[str, tuple[int, int]] = {}
        self._zones: dict[str, ZoneInfo | None] = {}

    def zone(self, name: str) -> ZoneInfo | None:
        """The rules of the zone; None for UTC. Raises `UnknownZone`."""
        try:
            return self._zones[name]
        except KeyError:
            found = self._zones[name] = None if name in UTC_NAMES else zones.zone(name)
            return found

    def use(self, name: str, first_year: int, last_year: int) -> None:
        """Have the feed describe the zone for these years."""
        known = self.years.get(name)
        if known is None:
            self.years[name] = (first_year, last_year)
        elif first_year < known[0] or last_year > known[1]:
            self.years[name] = (min(first_year, known[0]), max(last_year, known[1]))

    def once(self, start: datetime, end: datetime, *, all_day: bool, time_zone: str) -> str:
        """DTSTART and DTEND of what happens once. Instants (UTC) stay what they are in every reader.

        Where the wall time does not say which instant is meant (in an hour that happens twice ical.js takes the second,
        RFC 5545 the first), and where the zone is unknown, they are written in UTC. An empty span has no DTEND: it must
        lie after DTSTART (§3.8.2.2).
        """
        if all_day:
            return dates(start, end)
        try:
            tz = self.zone(time_zone)
        except UnknownZone:
            tz = None
        if tz is None or start.year <= FIRST_YEAR or end.year > self.last_year:
            return _instants(start, end)
        first, last = start.astimezone(tz), end.astimezone(tz)
        # As `is_clear` asks, in half the time: the first showing and the second have different offsets.
        unlike = tz.utcoffset(first.replace(fold=1)) != tz.utcoffset(first) or first.fold
        if unlike or last.fold or tz.utcoffset(last.replace(fold=1)) != tz.utcoffset(last):
            return _instants(start, end)
        self.use(time_zone, first.year, last.year)
        begin = f"DTSTART;TZID={time_zone}:{writer.wall(first)}\r\n"
        return begin if start >= end else f"{begin}DTEND;TZID={time_zone}:{writer.wall(last)}\r\n"


def is_clear(wall: datetime, tz: ZoneInfo) -> bool:
    """Whether the clock of `tz` shows this wall time once, neither skipping nor repeating it."""
    return tz.utcoffset(wall.replace(fold=0)) == tz.utcoffset(wall.replace(fold=1))


def dates(start: datetime, end: datetime) -> str:
    """DTSTART and DTEND of an all-day entry; without DTEND it lasts one day (§3.6.1)."""
    begin = f"DTSTART;VALUE=DATE:{writer.date(start)}\r\n"
    return begin if end - start < timedelta(days=1) else f"{begin}DTEND;VALUE=DATE:{writer.date(end)}\r\n"


def _instants(start: datetime, end: datetime) -> str:
    begin = f"DTSTART:{writer.utc(start)}\r\n"
    return begin if start >= end else f"{begin}DTEND:{writer.utc(end)}\r\n"


def vevent(row: FeedRow, uid: str, times: str) -> str:
    """The component, CRLF included. times: the lines that say when, from DTSTART to RRULE and EXDATE."""
    line, text = writer.line, writer.text
    stamp = writer.utc(row.updated_at)
    free = row.fbtype == FreeBusyType.FREE or row.transparency == Transparency.TRANSPARENT
    return (
        f"BEGIN:VEVENT\r\n{line('UID:' + text(uid))}"
        # Without a METHOD, DTSTAMP is when this was last changed (§3.8.7.2): the same row is always the same text.
        f"DTSTAMP:{stamp}\r\nCREATED:{writer.utc(row.created_at)}\r\nLAST-MODIFIED:{stamp}\r\n"
        f"SEQUENCE:{row.sequence}\r\n{times}{line('SUMMARY:' + (text(row.title) or UNTITLED))}"
        f"{line('DESCRIPTION:' + text(row.description)) if row.description else ''}"
        f"{line('LOCATION:' + text(row.location)) if row.location else ''}"
        f"{url_line(row.url) if row.url else ''}{row.people}"
        f"STATUS:{STATUSES.get(row.status, 'CONFIRMED')}\r\nTRANSP:{'TRANSPARENT' if free else 'OPAQUE'}\r\n"
        f"CLASS:{CLASSES.get(row.classification, 'PRIVATE')}\r\n{'' if free else BUSY_STATUSES.get(row.fbtype, '')}"
        "END:VEVENT\r\n"
    )


def url_line(url: str) -> str:
    """A URL line (a URI is not escaped as text is, §3.3.13); nothing for what is no web address."""
    try:
        parts = urlsplit(url)
        web = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return ""
    if not web or _NOT_IN_URLS.search(url):
        return ""
    return writer.line("URL:" + quote(url, safe=_URL_SAFE))


def alone(row: FeedRow, uid: str, clock: Clock, *, before: str = "") -> str:
    """The component of a row that happens once. before: lines that stand before DTSTART, such as RECURRENCE-ID."""
    times = clock.once(row.start_time, row.end_time, all_day=row.all_day, time_zone=row.time_zone)
    return vevent(row, uid, before + times)


def own_uid(uid: str, recurrence_id: str) -> str:
    """The UID of an instance that stands beside its series."""
    return f"{uid}/{recurrence_id}"
