"""From the time zone that a calendar names or describes to one that this service can reckon with."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from busyblocks import rules, zones
from busyblocks.errors import LedgerError
from integrations.contentlines import parameters, split_line, unescaped

_ALIASES = {"tzone://microsoft/utc": "UTC", "z": "UTC", "utc": "UTC", "gmt": "UTC", "etc/utc": "Etc/UTC"}
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)(\d\d)?")
_LOCAL = re.compile(r"(\d{8}T\d{6})Z?")
# Rules are compared where both they and the tz database speak of the present; older rules are rarely written down.
_COMPARED_YEARS = range(2023, 2033)
_EARLIEST_YEAR, _LATEST = 1904, datetime(2060, 1, 1)
_MOST_STEPS = 50_000


class UnknownZone(ValueError):
    """A zone that no table knows and no rules describe. Its message is for people."""


@dataclass(frozen=True, slots=True)
class Zone:
    """name: IANA; "" for rules that no IANA zone follows.

    to_utc: the instant, UTC, of a naive wall time (RFC 5545 §3.3.5).
    """

    name: str
    to_utc: Callable[[datetime], datetime]


@dataclass(frozen=True, slots=True, order=True)
class _Onset:
    """At `at` (UTC) the offset changes."""

    at: datetime
    before: timedelta
    after: timedelta


@lru_cache(maxsize=1024)
def iana(name: str) -> Zone:
    """The zone of an IANA name; raises `busyblocks.errors.UnknownZone`."""
    rules_of_zone = zones.zone(name)
    return Zone(name, lambda wall: wall.replace(tzinfo=rules_of_zone).astimezone(UTC))


def find(tzid: str, described: Sequence[Sequence[str]]) -> Zone:
    """The zone that a TZID means, `described` being the object's VTIMEZONEs. Raises `UnknownZone`.

    In this order: an IANA name, also at the end of a path; a Windows name; the IANA zone whose offsets are those of
    the VTIMEZONE; the VTIMEZONE itself; an IANA name without a slash ("EST"), which people give to zones of their own.
    """
    name = iana_name(tzid)
    if name and ("/" in name or name == "UTC" or not described):
        return iana(name)
    for lines in described:
        if unescaped(_value(lines, "TZID")) == tzid:
            return _described(tuple(lines))
    if name:
        return iana(name)
    raise UnknownZone(f"Its time zone {tzid[:80]!r} is unknown and not described.")


@lru_cache(maxsize=1024)
def iana_name(tzid: str) -> str:
    """The IANA name that a TZID is, ends with, or stands for in Windows; "" for none."""
    text = tzid.strip().strip('"').casefold()
    known = _names()
    if text in _ALIASES:
        return _ALIASES[text]
    if text in known:
        return known[text]
    # /mozilla.org/20050126_1/America/Argentina/Ushuaia, /citadel.org/…, /freeassociation.sourceforge.net/…
    parts = text.split("/")
    for length in (3, 2):
        if len(parts) > length and "/".join(parts[-length:]) in known:
            return known["/".join(parts[-length:])]
    return ""


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    """Names by their lower case: Windows', and before them IANA's."""
    windows = {name.casefold(): olson for name, olson in WINDOWS_TO_OLSON.items() if olson in zones.names()}
    return windows | {name.casefold(): name for name in zones.names()}


# VTIMEZONE (RFC 5545 §3.6.5) -----------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _described(lines: tuple[str, ...]) -> Zone:
    """The zone that a VTIMEZONE describes; raises `UnknownZone` where it cannot be read."""
    location = iana_name(_value(lines, "X-LIC-LOCATION"))
    if location:
        return iana(location)
    try:
        onsets = sorted(onset for part in _observances(lines) for onset in _onsets(part))
    except (LedgerError, KeyError, ValueError, OverflowError):
        onsets = []
    if not onsets:
        raise UnknownZone(f"The description of its time zone {_value(lines, 'TZID')[:80]!r} cannot be read.")
    name = _equivalent(onsets, called=unescaped(_value(lines, "TZID")))
    if name:
        return iana(name)
    return Zone("", lambda wall: _instant(wall, onsets))


def _observances(lines: Sequence[str]) -> Iterator[dict[str, list[tuple[str, str]]]]:
    """The properties of each STANDARD and DAYLIGHT."""
    current: dict[str, list[tuple[str, str]]] = {}
    for line in lines:
        name, parameters_text, value = split_line(line) or ("", "", "")
        if name == "BEGIN":
            current = {}
        elif name == "END":
            yield current
        else:
            current.setdefault(name, []).append((parameters_text, value.strip()))


def _onsets(part: dict[str, list[tuple[str, str]]]) -> list[_Onset]:
    """When the observance begins, again and again; raises ValueError or a LedgerError for what cannot be read."""
    before, after = (_offset(part[name][0][1]) for name in ("TZOFFSETFROM", "TZOFFSETTO") if name in part)
    first = _local(part["DTSTART"][0][1])
    if first.year < _EARLIEST_YEAR:
        # Outlook's rules begin in 1601, and nobody asks for those years.
        first = first.replace(year=_EARLIEST_YEAR)
    walls = [first]
    for _, text in part.get("RRULE", ()):
        rule = rules.parse(text)
        if rule.freq is not rules.Freq.YEARLY:
            raise ValueError("A zone whose rule is not yearly")
        last = _LATEST
        if isinstance(rule.until, datetime):
            last = rule.until.replace(tzinfo=None) + (before if rule.until.tzinfo else timedelta())
        elif rule.until is not None:
            last = datetime(rule.until.year, rule.until.month, rule.until.day, 23, 59, 59)
        budget = rules.Budget(_MOST_STEPS)
        walls.extend(rules.walk(rule, first, after=first, until=min(last, _LATEST), budget=budget))
    for parameters_text, text in part.get("RDATE", ()):
        if parameters(parameters_text).get("VALUE", "").upper() != "PERIOD":
            walls.extend(_local(item) for item in text.split(",")[:500])
    return [_Onset((wall - before).replace(tzinfo=UTC), before, after) for wall in set(walls)]


def _instant(wall: datetime, onsets: list[_Onset]) -> datetime:
    """A wall time in a gap is read with the offset before it; of one that happens twice the first is meant."""
    aware = wall.replace(tzinfo=UTC)
    for onset in onsets:
        if aware - onset.before < onset.at or aware - onset.after < onset.at:
            return aware - onset.before
    return aware - onsets[-1].after


def _equivalent(onsets: list[_Onset], *, called: str) -> str:
    """The IANA zone with the same offsets before and after every onset and in every month of the compared years.

    Of several the one whose city stands in what the zone is `called`, else a well-known one.
    """
    years = [datetime(year, month, 1, 12, tzinfo=UTC) for year in _COMPARED_YEARS for month in range(1, 13)]
    recent = [onset.at for onset in onsets if years[0] <= onset.at <= years[-1]]
    moments = [*years, *recent, *(moment - timedelta(seconds=1) for moment in recent)]
    wanted = [(moment, _offset_at(moment, onsets)) for moment in moments]
    offsets = {offset for _, offset in wanted}
    if len(offsets) == 1:
        hours, rest = divmod(offsets.pop(), timedelta(hours=1))
        fixed = "UTC" if hours == 0 else f"Etc/GMT{-hours:+d}"
        if not rest and fixed in zones.names():
            return fixed
    for name in sorted(_candidates(), key=lambda name: _city(name) not in called):
        tz = zones.zone(name)
        if all(moment.astimezone(tz).utcoffset() == offset for moment, offset in wanted):
            return name
    return ""


@lru_cache(maxsize=1)
def _candidates() -> tuple[str, ...]:
    """The zones of Windows' table first: one well-known city for each set of rules."""
    common = [name for name in WINDOWS_TO_OLSON.values() if name in zones.names() and not name.startswith("Etc/")]
    return tuple(dict.fromkeys([*common, *sorted(name for name in zones.names() if "/" in name)]))


def _city(name: str) -> str:
    return name.rpartition("/")[2].replace("_", " ")


def _offset_at(moment: datetime, onsets: list[_Onset]) -> timedelta:
    offset = onsets[0].before
    for onset in onsets:
        if onset.at > moment:
            break
        offset = onset.after
    return offset


def _offset(text: str) -> timedelta:
    match = _OFFSET.fullmatch(text)
    if match is None:
        raise ValueError(text)
    size = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=int(match[4] or 0))
    return size if match[1] == "+" else -size


def _local(text: str) -> datetime:
    match = _LOCAL.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return datetime.strptime(match[1], "%Y%m%dT%H%M%S")


def _value(lines: Sequence[str], name: str) -> str:
    """The value of the first property of that name."""
    for line in lines:
        if line[: len(name)].upper() == name:
            parts = split_line(line)
            if parts is not None and parts[0] == name:
                return parts[2].strip()
    return ""
