"""Entries that happen once, and whose UID is theirs alone: most of a ledger, so written straight from the database.

What comes out is what `events.alone` writes of the same row. Instants are seconds since 1970 here: the database's
driver makes those in a tenth of a datetime's time, and so does their way into text.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from django.db.models import BigIntegerField, Case, F, Func, Q, QuerySet, UUIDField, When

from busyblocks import zones
from busyblocks.errors import UnknownZone
from busyblocks.models import BusyBlock
from icsfeeds import writer
from icsfeeds.events import BUSY_STATUSES, CLASSES, STATUSES, UTC_NAMES, Clock, url_line
from icsfeeds.rows import UNTITLED, Aside, Shown
from icsfeeds.vtimezone import FIRST_YEAR, onsets

# Of zones as they were before, the slower way knows.
_FROM_YEAR = 2010
_DAY = 86_400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
# Lines up to this length need no folding, whatever stands before the text.
_SHORT = 50

log = structlog.get_logger("feed")


class Seconds(Func):
    """Whole seconds since 1970 of a time."""

    output_field = BigIntegerField()

    @property
    def convert_value(self) -> Any:
        # The drivers make ints already, and a feed has tens of thousands.
        return lambda value, expression, connection: value

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template="floor(extract(epoch from %(expressions)s))::bigint", **extra)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = "cast(strftime('%%%%s', %(expressions)s) as integer)"
        return self.as_sql(compiler, connection, template=template, **extra)


class Single(NamedTuple):
    """One row; `unique_id` only where it has no UID. bucket: see `buckets`."""

    bucket: str
    pk: int
    uid: str
    unique_id: UUID | None
    meeting_key: str
    sequence: int
    title: str
    description: str
    location: str
    start: int
    end: int
    all_day: bool
    time_zone: str
    transparency: str
    status: str
    fbtype: str
    classification: str
    created: int
    updated: int


COLUMNS = (
    "bucket", "pk", "uid", Case(When(uid="", then=F("unique_id")), output_field=UUIDField(null=True)), "meeting_key",
    "sequence", "title", "description", "location", Seconds("start_time"), Seconds("end_time"), "all_day", "time_zone",
    "transparency", "status", "fbtype", "classification", Seconds("created_at"), Seconds("updated_at"),
)  # fmt: skip


def once(blocks: QuerySet[BusyBlock]) -> QuerySet[BusyBlock]:
    """Those of `blocks` that happen once."""
    return blocks.filter(recurring=False, recurrence_id="")


def recurring(blocks: QuerySet[BusyBlock]) -> QuerySet[BusyBlock]:
    """The others of `blocks`: series and overrides."""
    return blocks.filter(Q(recurring=True) | ~Q(recurrence_id=""))


class Offsets(NamedTuple):
    """A zone since 2010: the seconds at which its clock is set, the offsets between, and the lengths of repeats."""

    instants: list[int]
    offsets: list[int]
    repeated: list[int]

    def wall(self, second: int) -> int | None:
        """What the clock shows, in seconds since its own 1970; None where it shows that time twice."""
        after = bisect_right(self.instants, second)
        if after and second - self.instants[after - 1] < self.repeated[after - 1]:
            return None
        if after < len(self.instants) and self.instants[after] - second <= self.repeated[after]:
            return None
        return second + self.offsets[after]


@lru_cache(maxsize=1024)
def offsets(name: str) -> Offsets | None:
    """None for UTC, and for zones that nobody knows (their times are written in UTC)."""
    if name in UTC_NAMES:
        return None
    try:
        info = zones.zone(name)
    except UnknownZone:
        return None
    first = info.utcoffset(datetime(_FROM_YEAR, 1, 1)) or timedelta()
    changes = onsets(name, _FROM_YEAR, 2100)
    return Offsets(
        [(change.instant - _EPOCH) // _SECOND for change in changes],
        [first // _SECOND, *(change.after // _SECOND for change in changes)],
        [max((change.before - change.after) // _SECOND, 0) for change in changes],
    )


@lru_cache(maxsize=40_000)
def _day(number: int) -> str:
    return writer.date(_EPOCH + timedelta(days=number))


@lru_cache(maxsize=_DAY)
def _clock(second: int) -> str:
    minutes, seconds = divmod(second, 60)
    return f"T{minutes // 60:02}{minutes % 60:02}{seconds:02}"


def utc(second: int) -> str:
    """`20260315T140000Z`"""
    day, rest = divmod(second, _DAY)
    return f"{_day(day)}{_clock(rest)}Z"


def write(rows: Iterable[Single], clock: Clock, asides: Mapping[str, Aside], shown: Shown) -> list[str]:
    """Each row's VEVENT. A row that cannot be written is left out and logged by its key."""
    times = _Times(clock)
    found = []
    for row in rows:
        try:
            found.append(_vevent(row, times, asides.get(row.meeting_key) if row.meeting_key else None, shown))
        # Whatever is wrong with one entry, the others are shown: a feed never breaks over a row.
        except Exception as error:  # noqa: BLE001
            log.warning("feed_entry_skipped", row=row.pk, error=type(error).__name__)
    times.note()
    return found


def _vevent(row: Single, times: "_Times", aside: Aside | None, shown: Shown) -> str:
    (
        _, _, uid, unique_id, _, sequence, title, description, location, start, end, all_day, time_zone,
        transparency, status, fbtype, classification, created, updated,
    ) = row  # fmt: skip
    free = fbtype == "free" or transparency == "transparent"
    text = writer.text
    title = text(shown.title(title, classification, free=free)) or UNTITLED
    more = ""
    silent = shown.silent(classification)
    if not silent:
        if description:
            more = writer.line("DESCRIPTION:" + text(description))
        if location:
            location = text(location)
            short = len(location) <= _SHORT and location.isascii()
            more += f"LOCATION:{location}\r\n" if short else writer.line("LOCATION:" + location)
        if aside is not None:
            more += (url_line(aside.url) if aside.url else "") + aside.people
    uid = text(shown.uid(uid or f"{unique_id}@calendar", silent=silent))
    uid_line = f"UID:{uid}\r\n" if len(uid) <= _SHORT and uid.isascii() else writer.line("UID:" + uid)
    short = len(title) <= _SHORT and title.isascii()
    summary = f"SUMMARY:{title}\r\n" if short else writer.line("SUMMARY:" + title)
    day, rest = divmod(updated, _DAY)
    stamp = f"{_day(day)}{_clock(rest)}Z"
    day, rest = divmod(created, _DAY)
    return (
        f"BEGIN:VEVENT\r\n{uid_line}DTSTAMP:{stamp}\r\nCREATED:{_day(day)}{_clock(rest)}Z\r\nLAST-MODIFIED:{stamp}\r\n"
        f"SEQUENCE:{sequence}\r\n{times.of(start, end, all_day, time_zone)}{summary}{more}"
        f"STATUS:{STATUSES.get(status, 'CONFIRMED')}\r\nTRANSP:{'TRANSPARENT' if free else 'OPAQUE'}\r\n"
        f"CLASS:{CLASSES.get(classification, 'PRIVATE')}\r\n{'' if free else BUSY_STATUSES.get(fbtype, '')}"
        "END:VEVENT\r\n"
    )


class _Times:
    """DTSTART and DTEND, and the first and last second of each zone that they were written in."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.earliest = (datetime(_FROM_YEAR, 1, 2, tzinfo=UTC) - _EPOCH) // _SECOND
        self.latest = (datetime(clock.last_year + 1, 1, 1, tzinfo=UTC) - _EPOCH) // _SECOND - _DAY
        self.used: dict[str, tuple[int, int]] = {}
        self.walls: dict[str, Callable[[int], int | None] | None] = {}

    def of(self, start: int, end: int, all_day: bool, time_zone: str) -> str:
        if all_day:
            begin = f"DTSTART;VALUE=DATE:{_day(start // _DAY)}\r\n"
            return begin if end - start < _DAY else f"{begin}DTEND;VALUE=DATE:{_day(end // _DAY)}\r\n"
        if start < self.earliest or end >= self.latest:
            begins, ends = _EPOCH + timedelta(seconds=start), _EPOCH + timedelta(seconds=end)
            return self.clock.once(begins, ends, all_day=False, time_zone=time_zone)
        try:
            wall = self.walls[time_zone]
        except KeyError:
            known = offsets(time_zone)
            wall = self.walls[time_zone] = known.wall if known else None
        if wall is not None:
            first, last = wall(start), wall(end)
            if first is not None and last is not None:
                low, high = self.used.get(time_zone, (first, last))
                if first <= low or last >= high:
                    self.used[time_zone] = (min(first, low), max(last, high))
                day, rest = divmod(first, _DAY)
                begin = f"DTSTART;TZID={time_zone}:{_day(day)}{_clock(rest)}\r\n"
                if start >= end:
                    return begin
                day, rest = divmod(last, _DAY)
                return f"{begin}DTEND;TZID={time_zone}:{_day(day)}{_clock(rest)}\r\n"
        begin = f"DTSTART:{utc(start)}\r\n"
        return begin if start >= end else f"{begin}DTEND:{utc(end)}\r\n"

    def note(self) -> None:
        """Have the feed describe the zones for the years in which they were used."""
        for name, (low, high) in self.used.items():
            first, last = (_EPOCH + timedelta(seconds=low)).year, (_EPOCH + timedelta(seconds=high)).year
            self.clock.use(name, max(first, FIRST_YEAR), last)
