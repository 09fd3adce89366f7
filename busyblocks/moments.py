"""Times as callers write them: dates, wall times and instants; and the ledger's own short form of them."""

import re
from datetime import UTC, date, datetime, time, tzinfo
from functools import lru_cache

from django.utils.dateparse import parse_datetime

from busyblocks import zones
from busyblocks.timespans import EARLIEST, LATEST

# A date; a wall time (naive); an instant (aware).
Moment = date | datetime
_DAY_SECONDS = 24 * 3600
_EPOCH = date(1970, 1, 1).toordinal()
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{8}", re.ASCII)
# "+" in a query means a blank; a caller who forgot to escape it meant an offset.
_LOST_PLUS = re.compile(r"(T[\d:.]+) (\d{2}:?\d{2})$", re.ASCII)


def parsed(text: str) -> Moment:
    """ISO 8601, extended or basic: a date, a wall time, or an instant, in whole seconds; raises ValueError."""
    text = _LOST_PLUS.sub(r"\1+\2", text.strip())
    if _DATE.fullmatch(text):
        return date.fromisoformat(text)
    moment = parse_datetime(text)
    if moment is None:
        raise ValueError(text)
    return moment.replace(microsecond=0)


def instant(moment: Moment, tz: tzinfo) -> datetime:
    """The instant, UTC, that is meant in the zone; a date is its midnight. Raises ValueError at the ends of time."""
    if not isinstance(moment, datetime):
        found = zones.midnight(moment, tz)
    elif moment.tzinfo is None:
        found = zones.to_utc(moment, tz)
    else:
        try:
            found = moment.astimezone(UTC)
        except OverflowError:
            raise ValueError(str(moment)) from None
    if not EARLIEST <= found <= LATEST:
        raise ValueError(str(moment))
    return found


def day(moment: Moment, tz: tzinfo) -> date:
    """The date that is meant: as written, or the zone's where an instant is exactly its midnight.

    The latter is how programs write a date that know only instants: 2026-02-28T23:00:00Z is 1 March in Berlin.
    """
    if not isinstance(moment, datetime):
        return moment
    if moment.tzinfo is not None:
        wall = zones.to_wall(moment, tz)
        if wall.time() == time():
            return wall.date()
    return moment.date()


def compact(moment: Moment) -> str:
    """ "20260320", "20260320T090000" or "20260320T090000Z": the ledger's short form of a date, wall time, instant."""
    # Not strftime: it loses the zeros of years before 1000.
    text = (moment.replace(tzinfo=None) if isinstance(moment, datetime) else moment).isoformat()
    written = text.replace("-", "").replace(":", "")
    return f"{written}Z" if isinstance(moment, datetime) and moment.tzinfo else written


def of_seconds(seconds: int) -> str:
    """ "2026-03-20T09:00:00Z", so many seconds after 1970 began; for thousands of them."""
    number, second = divmod(seconds, _DAY_SECONDS)
    return _date_of(number) + _clock_of(second)


@lru_cache(maxsize=8192)
def _date_of(number: int) -> str:
    return date.fromordinal(_EPOCH + number).isoformat()


@lru_cache(maxsize=8192)
def _clock_of(second: int) -> str:
    return f"T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


def spelled(text: str) -> str:
    """The ledger's short form as ISO 8601: "2026-03-20", "2026-03-20T09:00:00Z", a period with a slash."""
    return "/".join(_spelled(part) for part in text.split("/"))


def _spelled(text: str) -> str:
    if _DATE.fullmatch(text):
        return f"{text[:4]}-{text[4:6]}-{text[6:]}"
    if re.fullmatch(r"\d{8}T\d{6}Z?", text, re.ASCII):
        return f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:11]}:{text[11:13]}:{text[13:]}"
    return text
