"""Spans are half-open."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busyblocks.timespans import EARLIEST, Stretch, clipped, merge, moment, seconds, subtract
from tests.busyblocks.rows import at, span

TOUCHES = [
    ("ends when the span starts", "09:00", "10:00", False),
    ("starts when the span ends", "12:00", "13:00", False),
    ("ends just inside", "09:00", "10:01", True),
    ("starts just inside", "11:59", "13:00", True),
    ("covers the span", "08:00", "14:00", True),
    ("no length, at the start", "10:00", "10:00", True),
    ("no length, inside", "11:00", "11:00", True),
    ("no length, at the end", "12:00", "12:00", False),
]


@pytest.mark.parametrize(("sentence", "start", "end", "shows"), TOUCHES)
def test_what_shows_in_ten_to_twelve(sentence: str, start: str, end: str, shows: bool) -> None:
    noon = span("2026-01-01 10:00", "2026-01-01 12:00")
    assert noon.touches(at(f"2026-01-01 {start}"), at(f"2026-01-01 {end}")) is shows


def test_clip_of_what_does_not_meet_is_empty() -> None:
    assert span("2026-01-01 10:00", "2026-01-01 12:00").clip(span("2026-01-01 13:00", "2026-01-01 14:00")).empty


SETS = [
    ("adjacent ones become one", [(11, 12), (10, 11)], [(10, 12)]),
    ("empty ones vanish", [(10, 11), (14, 14), (3, 3)], [(10, 11)]),
    ("what is reversed is empty", [(10, 11), (14, 13)], [(10, 11)]),
    ("one inside another adds nothing", [(10, 20), (12, 13), (21, 22)], [(10, 20), (21, 22)]),
    ("before 1970 is a time like any other", [(-5, 1), (-9, -5)], [(-9, 1)]),
]


@pytest.mark.parametrize(("sentence", "given", "merged"), SETS, ids=[row[0] for row in SETS])
def test_merge(sentence: str, given: list[Stretch], merged: list[Stretch]) -> None:
    assert merge(given) == merged


CLIPS = [
    ("what ends as it begins is outside", (20, 25), [(20, 25)]),
    ("what begins as it ends is outside", (5, 10), []),
    ("both ends are cut", (15, 35), [(15, 20), (20, 30), (30, 35)]),
    ("one may be cut at both ends", (12, 13), [(12, 13)]),
    ("no time holds nothing", (15, 15), []),
]


@pytest.mark.parametrize(("sentence", "within", "left"), CLIPS, ids=[row[0] for row in CLIPS])
def test_clipped_ten_to_forty_in_tens(sentence: str, within: Stretch, left: list[Stretch]) -> None:
    assert clipped([(10, 20), (20, 30), (30, 40)], within) == left


def test_seconds_are_rounded_down_before_1970_too() -> None:
    moments = [datetime(1969, 12, 31, 23, 59, 58, 500_000, UTC), datetime(1970, 1, 1, 0, 0, 1, 999_999, UTC), EARLIEST]
    assert [seconds(one) for one in moments[:2]] == [-2, 1]
    assert [moment(seconds(one)) for one in moments] == [one.replace(microsecond=0) for one in moments]


_STRETCHES = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)), max_size=12)


def _covered(stretches: list[Stretch]) -> set[int]:
    return {second for since, until in stretches for second in range(since, until)}


@given(_STRETCHES, _STRETCHES)
def test_subtract_leaves_exactly_the_seconds_that_are_not_taken(some: list[Stretch], taken: list[Stretch]) -> None:
    left = subtract(merge(some), merge(taken))
    assert _covered(left) == _covered(some) - _covered(taken)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(left))
    assert all(since < until for since, until in left)


@given(_STRETCHES, st.tuples(st.integers(0, 59), st.integers(0, 59)))
def test_clipped_leaves_exactly_the_seconds_inside(some: list[Stretch], within: Stretch) -> None:
    left = clipped(merge(some), within)
    assert _covered(left) == _covered(some) & _covered([within])
    assert all(since < until for since, until in left)
