"""`make interop`: the corpus, rendered, and read back by every reader; instance by instance equal to the ledger."""

import os
import sys
from datetime import UTC, datetime

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from icsfeeds.rows import FeedRow  # noqa: E402
from tests.icsfeeds.ledger import feed_of, ledgers  # noqa: E402
from tests.interop.corpus import CORPUS  # noqa: E402
from tests.interop.readers import KNOWN, OWN_ZONES, Seen, all_readers, shown  # noqa: E402

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)


def expected(rows: list[FeedRow]) -> list[Seen]:
    found = ((shown(begins), shown(ends), title) for begins, ends, title in ledgers(rows, START, END))
    return sorted(seen for seen in found if seen[0] < shown(END))


def main() -> int:
    different = 0
    for reader, read in all_readers().items():
        for name, rows in CORPUS.items():
            used = [one for one in rows if reader not in OWN_ZONES or one.time_zone != "Africa/Casablanca"]
            wanted = expected(used)
            try:
                seen = read(feed_of(*used), START, END)
            except Exception as error:  # noqa: BLE001
                print(f"FAILED  {reader}: {name}: {type(error).__name__} {str(error)[:300]}")
                different += 1
                continue
            if seen == wanted:
                print(f"equal   {reader}: {name}, {len(wanted)} instances")
                continue
            if (why := KNOWN.get((reader, name))) is not None:
                print(f"known   {reader}: {name}: {why}")
                continue
            different += 1
            print(f"DIFFER  {reader}: {name}")
            for one in sorted(set(wanted) - set(seen))[:4]:
                print(f"          lacks {one}")
            for one in sorted(set(seen) - set(wanted))[:4]:
                print(f"          has   {one}")
            if len(seen) != len(set(seen)):
                print("          has something twice")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
