"""What a run's page shows beside its fields: how far it is, and what each calendar brought."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from calendars.models import AccountRun, Calendar, CalendarRun
from calendars.services.progress import Progress
from tenancy.admin.scope import change_url

# Calendars that the page writes out; those that have something to tell come first.
SHOWN = 200


@dataclass(frozen=True, slots=True)
class CalendarRow:
    """What one calendar brought. withheld: (event's id, reason), the first of them."""

    account: str
    name: str
    url: str
    row: CalendarRun
    withheld: list[tuple[str, str]]

    @property
    def unnamed(self) -> int:
        """How many were withheld beside those that are named."""
        return max(0, self.row.events_withheld - len(self.withheld))


def told(now: Progress, *, at: datetime) -> dict[str, Any]:
    """The progress in words and numbers, as the page and its script show it."""
    return {
        "share": round(100 * now.share),
        "done": now.done,
        "accounts": now.accounts,
        "finished": now.finished,
        "state": _state(now),
        "words": _words(now),
        "left": _left(now, at),
    }


def calendars_of(parts: QuerySet[AccountRun]) -> tuple[list[CalendarRow], int]:
    """What each calendar brought to these parts, and how many are not shown. Two statements."""
    rows = CalendarRun.objects.filter(part__in=parts)
    quiet = Case(
        When(error="", events_withheld=0, events_held=0, then=Value(1)), default=Value(0), output_field=IntegerField()
    )
    shown = (
        rows.select_related("part__account")
        .defer("part__account__credentials", "part__account__provider_state")
        .annotate(quiet=quiet)
        .order_by("quiet", "part", "pk")
    )
    found = [
        CalendarRow(
            str(row.part.account) if row.part.account is not None else _("a disconnected account"),
            row.name or _("(no name)"),
            change_url(Calendar, row.calendar_id) if row.calendar_id is not None else "",
            row,
            [(str(event), str(reason)) for event, reason in row.withheld],
        )
        for row in shown[:SHOWN]
    ]
    return found, rows.count() - len(found)


def _state(now: Progress) -> str:
    if now.finished:
        return _("Finished, and something went wrong") if now.failed else _("Finished")
    return _("Under way") if now.taken_up else _("Waits for a worker")


def _words(now: Progress) -> str:
    words = [_("%(done)d of %(all)d accounts") % {"done": now.done, "all": now.accounts}]
    if now.calendars and not now.finished:
        words.append(_("%(done)d of %(all)d calendars") % {"done": now.calendars_done, "all": now.calendars})
    words.append(
        ngettext("%(count)d event changed", "%(count)d events changed", now.changed) % {"count": now.changed}
        + f" (+{now.created} ~{now.updated} −{now.deleted})"
    )
    if now.withheld:
        words.append(_("%(count)d withheld") % {"count": now.withheld})
    if now.failed:
        words.append(
            ngettext("%(count)d account failed", "%(count)d accounts failed", now.failed) % {"count": now.failed}
        )
    return " · ".join(words)


def _left(now: Progress, at: datetime) -> str:
    if now.finished:
        return ""
    left = now.left(at)
    if left is None:
        return _("Nobody knows yet how long it takes.")
    seconds = int(left.total_seconds()) + 1
    if seconds < 90:
        return _("About %(count)d seconds left") % {"count": seconds}
    return _("About %(count)d minutes left") % {"count": round(seconds / 60)}
