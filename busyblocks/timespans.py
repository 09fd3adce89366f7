"""Half-open spans of time, and sets of them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from operator import itemgetter

EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
LATEST = datetime(9999, 12, 29, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """[start, end): both aware, start ≤ end."""

    start: datetime
    end: datetime

    @property
    def empty(self) -> bool:
        return self.start >= self.end

    def touches(self, start: datetime, end: datetime) -> bool:
        """Whether something that lasts [start, end) shows in this span; an instant shows from start to before end."""
        if start == end:
            return self.start <= start < self.end
        return start < self.end and end > self.start

    def clip(self, other: "Span") -> "Span":
        """The part of `other` inside this span; empty where they do not meet."""
        start = max(self.start, other.start)
        return Span(start, max(start, min(self.end, other.end)))


# [since, until) in whole seconds since 1970, UTC: of these, thousands are merged for one answer.
Stretch = tuple[int, int]


def seconds(moment: datetime) -> int:
    """Whole seconds since 1970 of an aware moment, rounded down."""
    return (moment - _EPOCH) // _SECOND


def moment(seconds: int) -> datetime:
    """The instant, UTC, so many seconds after 1970 began."""
    return _EPOCH + timedelta(seconds=seconds)


def stretch(span: Span) -> Stretch:
    """The span in whole seconds, both bounds rounded down: what meets another still does."""
    return seconds(span.start), seconds(span.end)


def merge(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Disjoint stretches, the earliest first, that cover the same time; empty ones vanish, adjacent ones become one."""
    merged: list[Stretch] = []
    begun: int | None = None
    ended = 0
    for since, until in sorted(stretches):
        if begun is not None and since <= ended:
            if until > ended:
                ended = until
        elif since < until:
            if begun is not None:
                merged.append((begun, ended))
            begun, ended = since, until
    if begun is not None:
        merged.append((begun, ended))
    return merged


def subtract(merged: Sequence[Stretch], taken: Sequence[Stretch]) -> list[Stretch]:
    """What of `merged` is not covered by `taken`; all three are disjoint, the earliest first."""
    left: list[Stretch] = []
    number, count = 0, len(taken)
    for since, until in merged:
        while number < count and taken[number][1] <= since:
            number += 1
        place = number
        while place < count and taken[place][0] < until:
            begins, ends = taken[place]
            if begins > since:
                left.append((since, begins))
            since = ends
            place += 1
        if since < until:
            left.append((since, until))
    return left


def clipped(merged: Sequence[Stretch], within: Stretch) -> list[Stretch]:
    """The parts inside `within` of disjoint stretches, the earliest first."""
    if within[0] >= within[1]:
        return []
    first = bisect_right(merged, within[0], key=_until)
    part = list(merged[first : bisect_left(merged, within[1], lo=first, key=_since)])
    if part:
        part[0] = max(part[0][0], within[0]), part[0][1]
        part[-1] = part[-1][0], min(part[-1][1], within[1])
    return part


_since, _until = itemgetter(0), itemgetter(1)
