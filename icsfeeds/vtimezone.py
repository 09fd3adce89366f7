"""VTIMEZONE (RFC 5545 §3.6.5) out of the system's zone data, for the years that a feed talks about."""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from zoneinfo import ZoneInfo

from busyblocks import zones
from icsfeeds import writer

# The years in which times are written in their zone; the feed writes what lies outside in UTC.
FIRST_YEAR, LAST_YEAR = 1900, 2100
# No zone ever changed its clock and back again in fewer days: Freetown in 1939 took four, Gaza in 2040 will take seven.
_STEP = timedelta(days=3)
_SECOND = timedelta(seconds=1)
# In 28 years every date meets every weekday: a rule that was kept so long, to the end of the years, is the zone's own
# rule and no coincidence.
_YEARS_OF_A_RULE = 28
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Onset:
    """The instant (UTC) at which a zone's clock is set, and its offsets on either side."""

    instant: datetime
    before: timedelta
    after: timedelta
    name: str
    daylight: bool

    @property
    def wall(self) -> datetime:
        """What the clock showed as it was set, as a sub-component's DTSTART writes it."""
        return self.instant.replace(tzinfo=None) + self.before

    @property
    def skipped(self) -> timedelta:
        """The length of the gap that opens here; negative where an hour is repeated."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class _Run:
    """Onsets of consecutive years that one yearly rule describes; `nth` weekday of the month, -1 the last."""

    onsets: tuple[Onset, ...]
    nth: int


def onsets(zone: str, first_year: int, last_year: int) -> list[Onset]:
    """Every change of the offset from 1 January of `first_year` to the end of `last_year` (at most 2100), in order."""
    known = _onsets_since(zone, first_year // 10 * 10)
    return [onset for onset in known if first_year <= onset.instant.year <= last_year]


@lru_cache(maxsize=2048)
def _onsets_since(zone: str, year: int) -> tuple[Onset, ...]:
    info = zones.zone(zone)
    found = []
    here, end = datetime(year, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC)
    offset = _offset(info, here)
    while here < end:
        there = min(here + _STEP, end)
        if _offset(info, there) != offset:
            there = _first_second_after(info, here, there)
            local = there.astimezone(info)
            after = _offset(info, there)
            found.append(Onset(there, offset, after, local.tzname() or "", (local.dst() or timedelta()) > timedelta()))
            offset = after
        here = there
    return tuple(found)


@lru_cache(maxsize=2048)
def vtimezone(zone: str, first_year: int, last_year: int) -> str:
    """The component, CRLF included, right for every local time of these years (clamped to 1900–2100).

    A rule is written only where the zone's data keep it without exception; a rule that holds to the end of the data
    has no UNTIL and so serves endless series. Other changes are written one by one: every reader takes those, while
    RDATEs and odd rules are ignored by some. `zone` is an IANA name; raises `UnknownZone`.
    """
    first_year, last_year = max(first_year, FIRST_YEAR), min(last_year, LAST_YEAR)
    changes = onsets(zone, first_year - 1, LAST_YEAR)
    settled = [onset for onset in changes if onset.instant < datetime(first_year - 1, 12, 30, tzinfo=UTC)]
    parts = ["BEGIN:VTIMEZONE\r\n", writer.line(f"TZID:{zone}")]
    if not settled:
        parts.append(_initial(zone, datetime(first_year - 1, 1, 1, tzinfo=UTC)))
    horizon = datetime(last_year, 12, 31, tzinfo=UTC) + timedelta(days=2)
    for run in _runs(changes):
        if run.onsets[0].instant <= horizon:
            parts.extend(_components(run, horizon))
    parts.append("END:VTIMEZONE\r\n")
    return "".join(parts)


def _offset(info: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(info).utcoffset() or timedelta()


def _first_second_after(info: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The instant in (low, high] from which the offset is not that of `low` any more."""
    offset = _offset(info, low)
    while high - low > _SECOND:
        middle = low + (high - low) // _SECOND // 2 * _SECOND
        if _offset(info, middle) == offset:
            low = middle
        else:
            high = middle
    return high


def _runs(changes: list[Onset]) -> list[_Run]:
    """The onsets, grouped under yearly rules where these are exact; by the first instant of each group."""

    def alike(onset: Onset) -> tuple[object, ...]:
        wall = onset.wall
        return (onset.before, onset.after, onset.name, onset.daylight, wall.month, wall.weekday(), wall.time())

    found: list[_Run] = []
    for _, same in groupby(sorted(changes, key=lambda onset: (str(alike(onset)), onset.instant)), key=alike):
        found.extend(_consecutive(list(same)))
    return sorted(found, key=lambda run: run.onsets[0].instant)


def _consecutive(same: list[Onset]) -> Iterator[_Run]:
    run: list[Onset] = []
    possible: set[int] = set()
    for onset in same:
        fits = possible & _ordinals(onset.wall)
        if run and fits and onset.wall.year == run[-1].wall.year + 1:
            run.append(onset)
            possible = fits
            continue
        if run:
            yield _Run(tuple(run), min(possible))
        run, possible = [onset], _ordinals(onset.wall)
    if run:
        yield _Run(tuple(run), min(possible))


def _ordinals(wall: datetime) -> set[int]:
    """Which weekday of its month this is: the first is 1, the last -1."""
    nth = {(wall.day - 1) // 7 + 1} - {5}
    return nth | ({-1} if wall.day + 7 > monthrange(wall.year, wall.month)[1] else set())


def _components(run: _Run, horizon: datetime) -> Iterator[str]:
    if len(run.onsets) < 3:
        for onset in run.onsets:
            if onset.instant <= horizon:
                yield _component(onset)
        return
    first, last = run.onsets[0], run.onsets[-1]
    rule = f"FREQ=YEARLY;BYMONTH={first.wall.month};BYDAY={run.nth}{_WEEKDAYS[first.wall.weekday()]}"
    if last.wall.year < LAST_YEAR or len(run.onsets) < _YEARS_OF_A_RULE:
        # A day late, so that it means the same onset to readers who take it for wall time.
        rule += f";UNTIL={writer.utc(last.instant + timedelta(days=1))}"
    yield _component(first, rule)


def _initial(zone: str, instant: datetime) -> str:
    """The clock that runs when the covered years begin."""
    local = instant.astimezone(zones.zone(zone))
    offset = local.utcoffset() or timedelta()
    daylight = (local.dst() or timedelta()) > timedelta()
    return _component(Onset(instant - offset, offset, offset, local.tzname() or "", daylight))


def _component(onset: Onset, rule: str = "") -> str:
    kind = "DAYLIGHT" if onset.daylight else "STANDARD"
    return (
        f"BEGIN:{kind}\r\n"
        f"DTSTART:{writer.wall(onset.wall)}\r\n"
        f"TZOFFSETFROM:{_utc_offset(onset.before)}\r\n"
        f"TZOFFSETTO:{_utc_offset(onset.after)}\r\n"
        + (f"TZNAME:{onset.name}\r\n" if onset.name else "")
        + (f"RRULE:{rule}\r\n" if rule else "")
        + f"END:{kind}\r\n"
    )


def _utc_offset(offset: timedelta) -> str:
    """`+0530`, with seconds only where there are any (§3.3.14)."""
    seconds = round(offset.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("+", seconds)
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{sign}{hours:02}{minutes:02}" + (f"{rest:02}" if rest else "")
