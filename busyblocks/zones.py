"""Time zones: names to rules, wall times to instants."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from zoneinfo import ZoneInfo

from busyblocks.errors import UnknownZone


@lru_cache(maxsize=1)
def _files() -> Traversable:
    return files("tzdata")


@lru_cache(maxsize=1)
def edition() -> str:
    """The release of the zone rules, "2026.2"."""
    return version("tzdata")


@lru_cache(maxsize=1)
def names() -> frozenset[str]:
    """Every IANA name, links included; neither the machine's own zone nor files that are no zones."""
    listed = _files().joinpath("zones").read_text("utf-8").split()
    return frozenset(listed) - {"Factory", "localtime", "posixrules"}


@cache
def _known(name: str) -> ZoneInfo:
    # Not ZoneInfo(name): it would read the machine's own files first, and two machines know two different years.
    with _files().joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def zone(name: str) -> ZoneInfo:
    """The rules of an IANA zone; raises `UnknownZone`. Upper and lower case matter, as in the tz database."""
    if name not in names():
        raise UnknownZone(name)
    return _known(name)


def to_utc(wall: datetime, tz: tzinfo) -> datetime:
    """The instant, UTC, of a naive wall time (RFC 5545 §3.3.5); the years 1 to 9999 bound it.

    A time in the gap is read with the offset before the gap, so it moves forward by the gap's length; of a time that
    happens twice the first is meant.
    """
    try:
        return wall.replace(tzinfo=tz, fold=0).astimezone(UTC)
    except OverflowError:
        return _nearer_end(wall).replace(tzinfo=UTC)


def to_wall(moment: datetime, tz: tzinfo) -> datetime:
    """The naive wall time of an instant; the years 1 to 9999 bound it."""
    try:
        return moment.astimezone(tz).replace(tzinfo=None, fold=0)
    except OverflowError:
        return _nearer_end(moment)


def midnight(day: date, tz: tzinfo) -> datetime:
    """The instant, UTC, at which a date begins: local midnight, or the first instant after it that exists."""
    wall = datetime.combine(day, time())
    found = to_utc(wall, tz)
    if to_wall(found, tz) == wall or day.year in {1, 9999}:
        return found
    # In the gap: the clock jumps somewhere in (before, found]; both offsets are known, the jump is searched.
    before = wall.replace(tzinfo=tz, fold=1).astimezone(UTC)
    old_offset = before.astimezone(tz).utcoffset()
    while found - before > timedelta(seconds=1):
        middle = before + (found - before) / 2
        if middle.astimezone(tz).utcoffset() == old_offset:
            before = middle
        else:
            found = middle
    return found.replace(microsecond=0)


def _nearer_end(moment: datetime) -> datetime:
    return datetime.combine(date.min, time()) if moment.year == 1 else datetime.combine(date.max, time(23, 59, 59))
