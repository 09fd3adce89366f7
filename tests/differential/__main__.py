"""`make differential`: drawn calendars and the corpus through our expansion and through three others.

Arguments: how many calendars, and the first seed: python -m tests.differential 500 12345
"""

import os
import random
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from tests.differential.calendars import Drawn, corpus, drawn  # noqa: E402
from tests.differential.others import compared  # noqa: E402

CALENDARS = 6000
_BATCH = 500


def main(arguments: list[str]) -> int:
    count = int(arguments[0]) if arguments else CALENDARS
    first = int(arguments[1]) if len(arguments) > 1 else random.randrange(10**9)
    print(f"Seeds {first} to {first + count - 1}; again: python -m tests.differential {count} {first}", flush=True)
    different = report("corpus", list(corpus()))
    for begin in range(first, first + count, _BATCH):
        seeds = range(begin, min(begin + _BATCH, first + count))
        different += report(f"seeds {seeds[0]} to {seeds[-1]}", [drawn(seed) for seed in seeds])
    print(f"{different} differences that docs/differences.md does not know.")
    return 1 if different else 0


def report(name: str, calendars: list[Drawn]) -> int:
    """Print how the implementations compare; how many differences are not known."""
    different = 0
    for implementation, result in compared(calendars).items():
        known = ", ".join(f"{why} {count}" for why, count in result.known.most_common())
        equal = f"{result.calendars} calendars, {result.instances} instances equal"
        print(f"{name}: {implementation}: {equal}; known differences: {known or 'none'}")
        for told in result.differing:
            print(f"DIFFERS {implementation}: {told}")
        different += len(result.differing)
    sys.stdout.flush()
    return different


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
