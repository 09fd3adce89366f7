"""A sample of `make differential`: the corpus, and calendars by known seeds. What differs is in docs/differences.md."""

from pathlib import Path

import pytest

from tests.differential.calendars import corpus, drawn
from tests.differential.known import FILES, KNOWN
from tests.differential.others import Comparison, compared

SEEDS = range(120)
PAGE = Path(__file__).parents[2] / "docs" / "differences.md"


@pytest.fixture(scope="module")
def sample() -> dict[str, Comparison]:
    return compared([*corpus(), *(drawn(seed) for seed in SEEDS)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("implementation", "calendars"), [("recurring-ical-events", 110), ("ical.js", 90), ("node-ical", 85)]
)
def test_instances_are_those_of_another_implementation(
    sample: dict[str, Comparison], implementation: str, calendars: int
) -> None:
    result = sample[implementation]
    assert result.differing == []
    assert result.calendars >= calendars
    assert result.instances > 1200


def test_every_known_difference_stands_in_the_docs() -> None:
    page = PAGE.read_text()
    names = {name for known in KNOWN.values() for name in known} | set(FILES.values())
    assert [name for name in sorted(names) if f"**{name}**" not in page] == []
