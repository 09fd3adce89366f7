"""What a clock that was ahead has left behind: moments that keep work waiting until the true clock gets there.

Everything that waits here waits for a moment in a row, and none is ever put off for longer than is known below. What
lies further ahead was written by a clock that has been set back since; it is due now. A lease that is ended too early
costs nothing: the fence keeps its worker from writing.
"""

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import Q

from calendars.models import AccountRun, Calendar, CalendarAccount, Farewell
from calendars.services import channels, credentials, farewells
from calendars.sync import pace

log = structlog.get_logger("clocks")

# Machines of one service need not agree to the second.
_SLACK = timedelta(minutes=2)


def mend(now: datetime) -> int:
    """Make due what no rightly going clock can have put off for so long; the number of accounts concerned. Safe to
    repeat, and at once."""
    latest = {
        "next_attempt_at": max(
            pace.LONGEST_VENDOR_WAIT,
            pace.LONGEST_RETRY * 1.5,
            settings.SYNC_INTERVAL * 1.1,
            settings.SYNC_INTERVAL_WITH_PUSH * 1.1,
        ),
        "vendor_retry_at": pace.LONGEST_VENDOR_WAIT,
        "lease_until": settings.SYNC_LEASE,
        "refresh_until": credentials.TURN,
        "last_attempt_at": timedelta(0),
        "discovered_at": timedelta(0),
        "push_told_at": timedelta(0),
    }
    ahead = {name: {f"{name}__gt": now + wait + _SLACK} for name, wait in latest.items()}
    anything = Q()
    for condition in ahead.values():
        anything |= Q(**condition)
    pks = list(CalendarAccount.objects.filter(anything).values_list("pk", flat=True))
    for name, condition in ahead.items() if pks else ():
        CalendarAccount.objects.filter(pk__in=pks, **condition).update(**{name: now})
    waiting = AccountRun.objects.filter(finished_at=None)
    waiting.filter(enqueued_at__gt=now + _SLACK).update(enqueued_at=now)
    waiting.filter(run__started_at__gt=now + _SLACK, enqueued_at=None).update(enqueued_at=now)
    Calendar.objects.filter(push_retry_at__gt=now + channels.REFUSED_AGAIN_AFTER + _SLACK).update(push_retry_at=None)
    Farewell.objects.filter(next_attempt_at__gt=now + farewells.AGAIN_AFTER + _SLACK).update(next_attempt_at=now)
    if pks:
        log.warning("clock_was_ahead", accounts=len(pks))
    return len(pks)
