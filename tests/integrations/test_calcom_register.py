"""The register of a booking: whatever order words come in, and however often, the same is known in the end."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.calcom.register import Register, newest, put, stamp, told, value_of

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)
WORD = st.tuples(st.one_of(st.none(), st.integers(0, 2)), st.integers(0, 3), st.sampled_from("abc"))
Word = tuple[int | None, int, str]


def register_of(words: list[Word], kind: str = "facts") -> Register:
    register: Register = {}
    for sequence, minutes, value in words:
        put(register, kind, "title", value, stamp(NINE + timedelta(minutes=minutes), sequence))
    return register


@given(words=st.lists(WORD, min_size=1, max_size=4), split=st.integers(0, 4))
def test_order_repetition_and_uid_of_words_do_not_matter(words: list[Word], split: int) -> None:
    known = value_of(register_of(words), "facts", "title")
    for order in itertools.permutations(words):
        assert value_of(register_of([*order, order[0]]), "facts", "title") == known
        # Said under two names of the booking.
        halves = [register_of(list(order[:split])), register_of(list(order[split:]))]
        assert newest(halves, "facts", "title") == known


@pytest.mark.parametrize(
    ("words", "known"),
    [
        ([(1, 5, "old"), (2, 0, "new")], "new"),
        ([(None, 0, "old"), (None, 5, "new")], "new"),
        ([(1, 0, "old"), (None, 5, "new")], "new"),
        ([(None, 0, "old"), (1, 5, "new")], "new"),
        # Each is newer than the one before it, by number or by clock, and the first than the last.
        ([(2, 1, "numbered"), (None, 2, "plain"), (1, 3, "stale")], "plain"),
    ],
    ids=["number before clock", "clock", "plain after numbered", "numbered after plain", "ring"],
)
def test_number_decides_between_numbers_and_the_clock_otherwise(words: list[Word], known: str) -> None:
    for order in itertools.permutations(words):
        assert value_of(register_of(list(order)), "facts", "title") == known


def test_fact_beats_what_a_newer_message_repeats_of_it() -> None:
    register = register_of([(None, 9, "repeated")], "repeated")
    assert (told(register, "title") or [])[1:] == ["repeated"]
    put(register, "facts", "title", "fact", stamp(NINE, 0))
    assert (told(register, "title") or [])[1:] == ["fact"]
