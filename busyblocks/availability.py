"""Availability: at which times somebody, or everybody, can be booked (RFC 7953's use, for meetings)."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import accumulate

from busyblocks import zones
from busyblocks.timespans import Span, Stretch, merge, moment, seconds, stretch, subtract

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
    """taken: what takes their time, in any order; works: when they can be booked, disjoint, the earliest first; None:
    at any time.
    """

    taken: Sequence[Stretch]
    works: Sequence[Stretch] | None


@dataclass(frozen=True, slots=True)
class Slot:
    """[since, until), whole seconds since 1970, and who of the people is free then, as they were named."""

    since: int
    until: int
    who: tuple[str, ...]

    @property
    def start(self) -> datetime:
        return moment(self.since)


def slots(people: Mapping[str, Person], wish: Wish, *, limit: int) -> list[Slot]:
    """The slots by start, at most `limit` of them; they may overlap each other. No people, no slots."""
    starts = _starts(wish)
    # Of each only the edges of runs of starts are kept: adding them up says where anybody is free.
    runs = {names: _places(found, starts) for names, found in _open(people, wish).items()}
    edges = [0] * (len(starts) + 1)
    for found in runs.values():
        for first, beyond in found:
            edges[first] += 1
            edges[beyond] -= 1
    chosen = [place for place, free in enumerate(accumulate(edges[:-1])) if free][:limit]
    names, length = _names(runs, chosen), _whole(wish.duration)
    return [Slot(starts[place], starts[place] + length, names[place]) for place in chosen]


def _open(people: Mapping[str, Person], wish: Wish) -> dict[tuple[str, ...], list[Stretch]]:
    """By the names of those who are looked at together: the seconds at which a slot with all of them may start."""
    if not wish.together:
        return {
            (name,): subtract(_allowed(person.works, wish), _blocked(person.taken, wish))
            for name, person in people.items()
        }
    if not people:
        return {}
    left = _allowed(None, wish)
    # Most of a team have the same hours.
    for works in {tuple(person.works) for person in people.values() if person.works is not None}:
        left = subtract(left, subtract(left, _allowed(works, wish)))
    taken = [one for person in people.values() for one in person.taken]
    return {tuple(people): subtract(left, _blocked(taken, wish))}


def _allowed(works: Sequence[Stretch] | None, wish: Wish) -> list[Stretch]:
    windows = [stretch(wish.span)] if works is None else works
    length = _whole(wish.duration)
    # The last start that still ends inside the window counts, too.
    return [(since, until - length + 1) for since, until in windows if until - since >= length]


def _blocked(taken: Iterable[Stretch], wish: Wish) -> list[Stretch]:
    before, behind = _whole(wish.before), _whole(wish.duration + wish.after)
    # A slot may end, with what must be free after it, exactly as the busy time starts.
    return merge((since - behind + 1, until + before) for since, until in taken if since < until)


def _places(found: Iterable[Stretch], starts: Sequence[int]) -> list[tuple[int, int]]:
    """Half-open ranges of places in `starts`."""
    places = ((bisect_left(starts, since), bisect_left(starts, until)) for since, until in found)
    return [(first, beyond) for first, beyond in places if first < beyond]


def _names(runs: Mapping[tuple[str, ...], list[tuple[int, int]]], chosen: list[int]) -> dict[int, tuple[str, ...]]:
    free: dict[int, list[str]] = {place: [] for place in chosen}
    for names, found in runs.items():
        for first, beyond in found:
            for place in chosen[bisect_left(chosen, first) : bisect_left(chosen, beyond)]:
                free[place].extend(names)
    # A few sets of names stand at thousands of slots.
    kept: dict[tuple[str, ...], tuple[str, ...]] = {}
    return {place: kept.setdefault(found, found) for place, found in ((at, tuple(free[at])) for at in chosen)}


def _starts(wish: Wish) -> list[int]:
    """Full steps since local midnight, inside the span, ascending, none twice; whole seconds since 1970."""
    earliest = max(wish.span.start, wish.earliest)
    first = seconds(earliest) + (earliest.microsecond > 0)
    last = seconds(wish.span.end) - _whole(wish.duration)
    found: list[int] = []
    if first > last:
        return found
    day = zones.to_wall(moment(first), wish.zone).toordinal()
    for number in range(day, zones.to_wall(moment(last), wish.zone).toordinal() + 1):
        of_day = [start for start in _of_day(date.fromordinal(number), wish) if first <= start <= last]
        if found and of_day and of_day[0] <= found[-1]:
            # Where the clock skips the hour before midnight, a day begins before the steps of the one before it end.
            found = sorted({*found, *of_day})
        else:
            found += of_day
    return found


def _of_day(day: date, wish: Wish) -> list[int]:
    """The steps of one local day, ascending; those that the clock skips come later by as much (RFC 5545 §3.3.5)."""
    midnight = datetime.combine(day, time())
    length, base = _whole(wish.step), seconds(midnight.replace(tzinfo=UTC))
    # The last may be shorter, where the day is no multiple of the step.
    steps = range(-(-_DAY // wish.step))
    offsets = [wish.zone.utcoffset(midnight + number * wish.step) or timedelta(0) for number in steps]
    if offsets.count(offsets[0]) == len(offsets):
        base -= _whole(offsets[0])
        return [base + number * length for number in steps]
    return sorted({base + number * length - _whole(offset) for number, offset in zip(steps, offsets, strict=True)})


def _whole(length: timedelta) -> int:
    """Whole seconds; offsets from UTC may be negative."""
    return length // timedelta(seconds=1)
