"""Content lines: folding, escaping, times."""

from datetime import UTC, datetime

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from icsfeeds import writer


@given(st.text(max_size=400))
def test_no_line_is_longer_than_75_octets_and_no_character_is_cut(value):
    written = writer.line("SUMMARY:" + writer.text(value)).encode()

    assert written.endswith(b"\r\n")
    lines = written[:-2].split(b"\r\n")
    assert all(len(line) <= 75 for line in lines)
    assert all(line.decode() for line in lines)
    assert all(line.startswith(b" ") for line in lines[1:])


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300))
def test_text_without_control_characters_is_read_back_as_it_was(value):
    line = writer.line("SUMMARY:" + writer.text(value))
    event = icalendar.Event.from_ical(f"BEGIN:VEVENT\r\n{line}END:VEVENT\r\n")

    assert str(event["SUMMARY"]) == value


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a,b;c\\d", "a\\,b\\;c\\\\d"),
        ("one\ntwo", "one\\ntwo"),
        ("one\r\ntwo", "one\\ntwo"),
        ("one\rtwo", "one\\ntwo"),
        ("one\vtwo\ftwo", "one\\ntwo\\ntwo"),
        ("one\x85two\u2028three\u2029four", "one\\ntwo\\nthree\\nfour"),
        ("a\x00b\x01c\x1bd\x7fe\x9ff", "abcdef"),
        ("tab\tstays", "tab\tstays"),
        ("half of a pair \ud800", "half of a pair \ufffd"),
    ],
)
def test_text_that_would_end_a_line_or_break_a_parser_is_written_safely(value, written):
    assert writer.text(value) == written


@given(st.text())
def test_no_text_can_begin_a_property_of_its_own(value):
    assert len(writer.line("SUMMARY:" + writer.text(value)).replace("\r\n ", "").splitlines()) == 1


def test_a_line_of_exactly_75_octets_is_not_folded():
    assert writer.line("x" * 75) == "x" * 75 + "\r\n"
    assert writer.line("x" * 76) == "x" * 75 + "\r\n x\r\n"


def test_years_before_1000_keep_their_zeros():
    moment = datetime(33, 4, 3, 5, 6, 7, tzinfo=UTC)

    assert writer.utc(moment) == "00330403T050607Z"
    assert writer.wall(moment) == "00330403T050607"
    assert writer.date(moment) == "00330403"
