"""A sample of `make interop`: what needs nothing but Python, on calendars that are read in a moment."""

from pathlib import Path

import pytest

from tests.icsfeeds.ledger import feed_of
from tests.interop.__main__ import END, START, expected
from tests.interop.corpus import CORPUS
from tests.interop.readers import KNOWN, OWN_ZONES, python_readers


@pytest.mark.parametrize("name", [name for name in CORPUS if not name.startswith("series")])
@pytest.mark.parametrize("reader", python_readers())
def test_a_reader_finds_the_instances_of_the_ledger(reader, name):
    rows = CORPUS[name]

    assert python_readers()[reader](feed_of(*rows), START, END) == expected(rows)


def test_what_readers_are_known_for_stands_in_the_documentation():
    rows = (Path(__file__).parents[2] / "docs" / "feeds.md").read_text().splitlines()

    for reader, calendar in KNOWN:
        assert [row for row in rows if row.startswith(f"| {reader} | {calendar} |")], (reader, calendar)
    (zones,) = [row for row in rows if "| anything in Morocco" in row]
    assert all(reader in zones for reader in OWN_ZONES)
