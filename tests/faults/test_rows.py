"""The list in docs/faults.md is of what is tried."""

import re
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def test_every_row_of_the_list_is_tried_by_a_test_that_says_so() -> None:
    listed = set(re.findall(r"^\| (\d+) \|", (_ROOT / "docs" / "faults.md").read_text("utf-8"), re.MULTILINE))
    texts = [file.read_text("utf-8") for file in (_ROOT / "tests").rglob("*.py")]
    tried = {number for text in texts for number in re.findall(r'"""Row (\d+)\b', text)}
    assert listed
    assert listed == tried
