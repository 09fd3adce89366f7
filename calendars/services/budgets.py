"""How many requests a vendor may be asked, by us as a whole and for each user: counted in the cache, for all workers.

A window is a stretch of the clock (12:00 to 12:01), its counter one key that ends with it. What a window does not hold
waits for the next, as the account's next attempt: nobody sleeps in a worker.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from calendars.models import CalendarAccount
from calendars.providers import Throttled

log = structlog.get_logger("budgets")

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `requests` in each `window_seconds`; of every user apart, or of all together."""

    requests: int
    window_seconds: int
    per_user: bool


def checkpoint(
    account: CalendarAccount, before: Callable[[], None], *, clock: Clock = timezone.now
) -> Callable[[], None]:
    """`before`, and then one request taken from the budgets of the account's vendor; raises `Throttled` where one is
    spent. A cache that cannot be reached counts nothing: the vendor's own 429 is there still."""
    budgets = [Budget(*facts) for facts in settings.CALENDAR_BUDGETS.get(account.provider, ())]
    if not budgets:
        return before
    # The same mailbox may be connected twice, and is one user to its vendor.
    user = hashlib.sha256(account.email.strip().lower().encode()).hexdigest()[:32]
    counters = set[str]()

    def spend() -> None:
        before()
        for budget in budgets:
            _take_one(budget, f"{account.provider}:{user if budget.per_user else 'all'}", counters, now=clock())

    return spend


def _take_one(budget: Budget, whose: str, counters: set[str], *, now: datetime) -> None:
    """`counters`: those that are known to be there."""
    window, into = divmod(now.timestamp(), budget.window_seconds)
    key = f"budget:{whose}:{budget.window_seconds}:{int(window)}"
    try:
        # Whoever is first makes the counter, with their own request in it.
        is_first = key not in counters and cache.add(key, 1, budget.window_seconds * 2)
        spent = 1 if is_first else cache.incr(key)
        counters.add(key)
    except Exception as error:  # noqa: BLE001 (whatever the cache's client raises, also for a key that just ended)
        log.warning("budget_not_counted", error=type(error).__name__)
        counters.discard(key)
        return
    if spent > budget.requests:
        left = timedelta(seconds=budget.window_seconds - into)
        log.info("budget_spent", whose="user" if budget.per_user else "all", window_seconds=budget.window_seconds)
        raise Throttled("This service has asked as often as the vendor allows for now.", retry_after=left)
