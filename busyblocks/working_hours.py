"""Working hours: windows of the week in one zone, and the spans that they make (RFC 7953's AVAILABLE, weekly)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from busyblocks import zones
from busyblocks.timespans import EARLIEST, LATEST, Span, Stretch, clipped, merge, seconds, stretch

WEEKDAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Window:
    """The same hours on some weekdays (Monday = 0), by the clock of the zone. An end at or before the start lies on
    the next day, so that 22:00 to 06:00 is a night, and 00:00 to 00:00 a whole day.
    """

    weekdays: frozenset[int]
    start: time
    end: time
    time_zone: str


def stretches(windows: Iterable[Window], within: Span) -> list[Stretch]:
    """When somebody with these windows works: disjoint, the earliest first, clipped to `within`.

    Wall times in a gap of the clock move forward by the gap; of those that happen twice the first is meant.
    """
    found: list[Stretch] = []
    for window in windows:
        tz = zones.zone(window.time_zone)
        day = zones.to_wall(max(within.start - _DAY, EARLIEST), tz).date() - _DAY
        last = zones.to_wall(min(within.end, LATEST), tz).date()
        while day <= last:
            if day.weekday() in window.weekdays:
                start = _instant(day, window.start, window.time_zone)
                end_day = day if window.end > window.start else day + _DAY
                end = _instant(end_day, window.end, window.time_zone)
                found.append((seconds(start), seconds(end)))
            day += _DAY
    return clipped(merge(found), stretch(within))


def stored(windows: Sequence[dict[str, object]], time_zone: str) -> tuple[Window, ...]:
    """The windows of a row, as the API keeps them."""
    return tuple(
        Window(
            frozenset(WEEKDAYS.index(str(day)) for day in window["days"]),  # type: ignore[attr-defined]
            time.fromisoformat(str(window["start"])),
            time.fromisoformat(str(window["end"])),
            time_zone,
        )
        for window in windows
    )


def _instant(day: date, at: time, time_zone: str) -> datetime:
    tz = zones.zone(time_zone)
    return zones.midnight(day, tz) if at == time() else zones.to_utc(datetime.combine(day, at), tz)
