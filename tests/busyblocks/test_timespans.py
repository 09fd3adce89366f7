"""Spans are half-open."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busyblocks.timespans import Span, merge, subtract
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


def test_adjacent_spans_merge_and_empty_ones_vanish() -> None:
    spans = [
        span("2026-01-01 11:00", "2026-01-01 12:00"),
        span("2026-01-01 10:00", "2026-01-01 11:00"),
        span("2026-01-01 14:00", "2026-01-01 14:00"),
    ]
    assert merge(spans) == [span("2026-01-01 10:00", "2026-01-01 12:00")]


_MINUTES = st.lists(st.tuples(st.integers(0, 59), st.integers(0, 59)).map(sorted), max_size=12)


def _spans(pairs: list[list[int]]) -> list[Span]:
    return [span(f"2026-01-01 00:{start:02}", f"2026-01-01 00:{end:02}") for start, end in pairs]


def _minutes(spans: list[Span]) -> set[int]:
    return {minute for each in spans for minute in range(each.start.minute, each.end.minute)}


@given(_MINUTES, _MINUTES)
def test_subtract_leaves_exactly_the_minutes_that_are_not_taken(some: list[list[int]], taken: list[list[int]]) -> None:
    left = subtract(_spans(some), _spans(taken))
    assert _minutes(left) == _minutes(_spans(some)) - _minutes(_spans(taken))
    assert all(earlier.end <= later.start for earlier, later in pairwise(left))
    assert not any(each.empty for each in left)
