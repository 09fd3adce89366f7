"""Availability: at which times somebody, or everybody, can be booked (RFC 7953's use, for meetings)."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from itertools import accumulate

from busyblocks import zones
from busyblocks.timespans import Span, merge

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a slot must be. It lies in `span`, lasts `duration`, and starts on a full `step` of the day in `zone`.

    before, after: so much must be free around it, too; that may lie outside of working hours.
    earliest: no slot starts before this instant. together: all are free, or any of them.
    """

    span: Span
    duration: timedelta
    step: timedelta
    zone: tzinfo
    earliest: datetime
    before: timedelta = timedelta(0)
    after: timedelta = timedelta(0)
    together: bool = True


@dataclass(frozen=True, slots=True)
class Person:
    """taken: what takes their time, in any order; works: disjoint, by start; None: at any time."""

    taken: Sequence[Span]
    works: Sequence[Span] | None


@dataclass(frozen=True, slots=True)
class Slot:
    """[start, end), UTC, and who of the people is free then, as they were named."""

    start: datetime
    end: datetime
    who: tuple[str, ...]


def slots(people: Mapping[str, Person], wish: Wish, *, limit: int) -> list[Slot]:
    """The slots by start, at most `limit` of them; they may overlap each other. No people, no slots."""
    starts = list(_starts(wish))
    # Of each person only the edges of runs of starts are kept: adding them up says how many are free where.
    runs = {name: list(_runs(person, wish, starts)) for name, person in people.items()}
    edges = [0] * (len(starts) + 1)
    for found in runs.values():
        for first, beyond in found:
            edges[first] += 1
            edges[beyond] -= 1
    wanted = len(people) if wish.together else 1
    chosen = [place for place, free in enumerate(accumulate(edges[:-1])) if people and free >= wanted][:limit]
    names = dict.fromkeys(chosen, tuple(people)) if wish.together else _names(runs, chosen)
    return [Slot(starts[place], starts[place] + wish.duration, names[place]) for place in chosen]


def _names(runs: Mapping[str, list[tuple[int, int]]], chosen: Sequence[int]) -> dict[int, tuple[str, ...]]:
    free: dict[int, list[str]] = {place: [] for place in chosen}
    for name, found in runs.items():
        for first, beyond in found:
            for place in chosen[bisect_left(chosen, first) : bisect_left(chosen, beyond)]:
                free[place].append(name)
    return {place: tuple(names) for place, names in free.items()}


def _starts(wish: Wish) -> Iterator[datetime]:
    """Instants at full steps since local midnight, inside the span, ascending; none twice."""
    first = max(wish.span.start, wish.earliest)
    last = wish.span.end - wish.duration
    steps = max(1, _DAY // wish.step)
    previous: datetime | None = None
    day = zones.to_wall(first, wish.zone).date()
    while day <= zones.to_wall(max(last, first), wish.zone).date():
        midnight = datetime.combine(day, time())
        found = {zones.to_utc(midnight + number * wish.step, wish.zone) for number in range(steps)}
        for start in sorted(found):
            if first <= start <= last and (previous is None or start > previous):
                previous = start
                yield start
        day += _DAY


def _runs(person: Person, wish: Wish, starts: Sequence[datetime]) -> Iterator[tuple[int, int]]:
    """Half-open ranges of places in `starts` at which the person can be booked; disjoint."""
    wide = Span(wish.span.start - wish.before, wish.span.end + wish.after)
    busy = merge(wide.clip(span) for span in person.taken)
    for window in [wish.span] if person.works is None else person.works:
        # The last start that still ends inside the window; busy time cuts starts out of it.
        first, last = window.start, window.end - wish.duration
        begin = bisect_right(busy, first - wish.before, key=lambda span: span.end)
        for taken in busy[begin:]:
            if taken.start >= last + wish.duration + wish.after:
                break
            # A slot may end, with what must be free after it, exactly as the busy time starts.
            yield from _places(starts, first, min(last, taken.start - wish.after - wish.duration))
            first = max(first, taken.end + wish.before)
        yield from _places(starts, first, last)


def _places(starts: Sequence[datetime], first: datetime, last: datetime) -> Iterator[tuple[int, int]]:
    if first <= last:
        places = bisect_left(starts, first), bisect_right(starts, last)
        if places[0] < places[1]:
            yield places
