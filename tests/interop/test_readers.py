"""A sample of `make interop`: what needs nothing but Python, on calendars that are read in a moment."""

import pytest

from tests.icsfeeds.ledger import feed_of
from tests.interop.__main__ import END, START, expected
from tests.interop.corpus import CORPUS
from tests.interop.readers import python_readers


@pytest.mark.parametrize("name", [name for name in CORPUS if not name.startswith("series")])
@pytest.mark.parametrize("reader", python_readers())
def test_a_reader_finds_the_instances_of_the_ledger(reader, name):
    rows = CORPUS[name]

    assert python_readers()[reader](feed_of(*rows), START, END) == expected(rows)
