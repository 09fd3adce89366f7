"""A series as the VEVENTs that every reader understands alike.

RFC 5545 allows more than readers agree on, so a series is written in three ways:
- *compact*: the rule, EXDATEs, and overrides with their RECURRENCE-ID. Whatever of it readers disagree on is
  taken out by an EXDATE and stands beside it as an event of its own: instances that a change of the clock touches, a
  DTSTART that its rule does not produce, RDATEs, overrides of what the rule does not yield.
- *listed*: each instance an event of its own: RDATEs without a rule, THISANDFUTURE, rules that RFC 5545 does not
  allow and the ledger understands all the same, week numbers.
- *alone*: overrides whose master is gone.
An event of its own has a UID of its own: the series' UID and the instance's start.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

from busyblocks import recurrence, rules
from busyblocks.models import EventStatus
from busyblocks.rules import Freq, Rule
from busyblocks.timespans import EARLIEST, LATEST, Span
from icsfeeds.compact import Compact, NotCompact
from icsfeeds.events import Clock, alone, own_uid, vevent
from icsfeeds.families import Family
from icsfeeds.rows import FeedRow

# Listed instances reach from the year before this one to the end of the next; a reader drowns in more than this many.
_LISTED_MOST = 1000


def orphans(family: Family, clock: Clock) -> Iterator[str]:
    """The overrides of a master that is gone: each stands alone. Cancelled ones say nothing."""
    for row in family.overrides:
        if row.status != EventStatus.CANCELLED:
            yield alone(row, own_uid(family.uid, row.recurrence_id), clock)


def series(master: FeedRow, family: Family, clock: Clock, *, year: int) -> list[str]:
    """The VEVENTs of a family whose master recurs. year: the one that runs now.

    Raises `RuleRefused`, `BudgetExceeded`, `UnknownZone`, ValueError, OverflowError for what cannot be written.
    """
    if not master.recurrence_rule:
        return list(_listed(master, family, clock, Span(EARLIEST, LATEST)))
    rule = rules.parse(master.recurrence_rule)
    if not _is_peculiar(rule) and not any(row.this_and_future for row in family.overrides):
        with suppress(NotCompact):
            return Compact(master, family, rule, clock).events()
    last = max(year + 1, master.start_time.year + 2)
    window = Span(datetime(year - 1, 1, 1, tzinfo=UTC), datetime(last + 1, 1, 1, tzinfo=UTC))
    return list(_listed(master, family, clock, window))


def _is_peculiar(rule: Rule) -> bool:
    """Whether readers make different things of the rule.

    They do where RFC 5545 (the table in §3.3.10) forbids it, and with week numbers: ical.js counts weeks otherwise, and
    without BYDAY dateutil takes all seven days where others take DTSTART's.
    """
    ordinals = any(ordinal for ordinal, _ in rule.by_day)
    others = (
        rule.by_month, rule.by_year_day, rule.by_month_day,
        rule.by_day, rule.by_hour, rule.by_minute, rule.by_second,
    )  # fmt: skip
    return (
        bool(rule.by_month_day and rule.freq == Freq.WEEKLY)
        or bool(rule.by_week_no)
        or bool(rule.by_year_day and rule.freq in {Freq.MONTHLY, Freq.WEEKLY, Freq.DAILY})
        or (ordinals and rule.freq > Freq.MONTHLY)
        or bool(rule.by_set_pos and not any(others))
    )


def _listed(master: FeedRow, family: Family, clock: Clock, window: Span) -> Iterator[str]:
    rows = {row.recurrence_id: row for row in (master, *family.overrides)}
    entries = [row.entry for row in rows.values()]
    for instance in recurrence.expand(entries, window)[:_LISTED_MOST]:
        row = rows[instance.entry.recurrence_id]
        is_first = row is master and instance.start == master.start_time
        uid = family.uid if is_first else own_uid(family.uid, instance.recurrence_id)
        times = clock.once(instance.start, instance.end, all_day=instance.all_day, time_zone=row.time_zone)
        yield vevent(row, uid, times)
