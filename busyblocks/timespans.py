"""Half-open spans of time, and sets of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter

EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
LATEST = datetime(9999, 12, 29, tzinfo=UTC)


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


_start = attrgetter("start")


def merge(spans: Iterable[Span]) -> list[Span]:
    """Disjoint spans by start that cover the same time; empty ones vanish, adjacent ones become one."""
    merged: list[Span] = []
    for span in sorted((span for span in spans if not span.empty), key=_start):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def subtract(spans: Iterable[Span], taken: Iterable[Span]) -> list[Span]:
    """What of `spans` is not covered by `taken`: disjoint, by start."""
    return list(_remains(merge(spans), merge(taken)))


def _remains(spans: list[Span], taken: list[Span]) -> Iterator[Span]:
    first = 0
    for span in spans:
        start = span.start
        while first < len(taken) and taken[first].end <= start:
            first += 1
        for other in taken[first:]:
            if other.start >= span.end:
                break
            if other.start > start:
                yield Span(start, other.start)
            start = max(start, other.end)
        if start < span.end:
            yield Span(start, span.end)
