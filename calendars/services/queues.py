"""What waits for a worker: in the broker, and in the rows that the broker only rings for."""

from dataclasses import dataclass
from datetime import datetime

import structlog
from django.conf import settings
from django.db.models import Count, Min, QuerySet
from redis import Redis, RedisError

from calendars.models import AccountRun, CalendarAccount

log = structlog.get_logger("queues")

# Every queue that something is sent to, the most urgent first.
NAMES = ("push", "webhooks", "poll", "bulk")
# A page waits for this, so a broker that is down must not hold it.
_PATIENCE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Overdue:
    """Accounts whose next sync has come: how many, and since when the first of them waits."""

    count: int
    since: datetime | None


def lengths() -> dict[str, int] | None:
    """Queue → messages that no worker has taken; None where there is no broker, or it does not answer."""
    if not settings.REDIS_URL:
        return None
    try:
        patience = {"socket_timeout": _PATIENCE_SECONDS, "socket_connect_timeout": _PATIENCE_SECONDS}
        with Redis.from_url(settings.REDIS_URL, **patience) as broker, broker.pipeline(transaction=False) as asked:
            # A queue of the Redis transport is a list of its name.
            for name in NAMES:
                asked.llen(name)
            return dict(zip(NAMES, map(int, asked.execute()), strict=True))
    except (RedisError, OSError) as error:
        log.warning("broker_unreachable", error=type(error).__name__)
        return None


def overdue(accounts: QuerySet[CalendarAccount], *, now: datetime) -> Overdue:
    """Of these accounts, those that are due and that nobody syncs at this moment."""
    found = accounts.order_by().due(now).unleased(now).aggregate(count=Count("pk"), since=Min("next_attempt_at"))  # type: ignore[attr-defined]
    return Overdue(found["count"], found["since"])


def unfinished(parts: QuerySet[AccountRun]) -> int:
    """How many accounts of runs that somebody asked for are not through."""
    return parts.order_by().filter(finished_at=None).count()
