"""How often blocks made by hand may recur. Nobody is busy each hour of the day; a mirrored series may say so."""

from collections.abc import Iterable

from busyblocks import rules
from busyblocks.entries import Entry
from busyblocks.errors import RuleRefused
from busyblocks.models import BusyBlock
from tenancy.models import CrmUser

# Of one series: a year of it is read, or prepared, in less than a tenth of a second.
MAX_PER_DAY = 12
# Of all of a user's series that recur more than once a day: as much as one question may cost.
MAX_PER_DAY_OF_USER = 48


def check(entry: Entry) -> None:
    """Raises `RuleRefused`, with the reason, where a series made by hand would recur too often."""
    if _per_day(entry.recurrence_rule) > MAX_PER_DAY:
        raise RuleRefused(f"A block may recur at most {MAX_PER_DAY} times a day.")


def check_user(user: CrmUser, entry: Entry, *, but: BusyBlock | None = None) -> None:
    """Raises `RuleRefused` where the user's series, `but` left out, would with this one recur too often.

    Series of once a day or less count for nothing, and cost no query.
    """
    added = _dense(entry.recurrence_rule)
    if not added:
        return
    others = BusyBlock.objects.of(user).by_hand().filter(recurring=True).exclude(recurrence_rule="")
    if but is not None:
        others = others.exclude(pk=but.pk)
    # Only rules that name times, or hours, can be dense.
    named = others.filter(recurrence_rule__regex="HOURLY|BYHOUR|BYMINUTE|BYSECOND").order_by()
    if added + _sum(named.values_list("recurrence_rule", flat=True).iterator()) > MAX_PER_DAY_OF_USER:
        raise RuleRefused(
            f"Together with the user's other series it would recur more than {MAX_PER_DAY_OF_USER} times a day."
        )


def _sum(texts: Iterable[str]) -> int:
    total = 0
    for text in texts:
        total += _dense(text)
        if total > MAX_PER_DAY_OF_USER:
            break
    return total


def _dense(text: str) -> int:
    often = _per_day(text)
    return often if often > 1 else 0


def _per_day(text: str) -> int:
    if not text:
        return 0
    rule = rules.parse(text)
    return min(rules.per_day(rule), rule.count or rules.MAX_INSTANCES_PER_DAY)
