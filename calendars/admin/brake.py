"""The page that shows what clearing the brake would delete, and does it when an operator says so."""

import hashlib
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from busyblocks.models import BusyBlock
from calendars.models import Calendar, CalendarAccount
from calendars.sync import brake
from tenancy import audit
from tenancy.admin.scope import list_url
from tenancy.models import Verb

# Rows that the page writes out; the others are counted, and a link leads to all of them.
SHOWN_PER_CALENDAR = 500


@dataclass(frozen=True, slots=True)
class HeldCalendar:
    """A calendar and what would go from it: the first rows by time, how many there are, and where all are listed."""

    calendar: Calendar
    rows: list[BusyBlock]
    count: int
    url: str

    @property
    def unshown(self) -> int:
        return self.count - len(self.rows)


def page(model_admin: Any, request: HttpRequest, accounts: QuerySet[CalendarAccount]) -> HttpResponse | None:
    """First what would be deleted; when exactly that was confirmed, None, and it is gone.

    `seen` is the fingerprint of what the page showed. Rows that a sync held or released since then change it, and
    the operator sees the page again.
    """
    pks = sorted(accounts.values_list("pk", flat=True))
    seen = request.POST.get("seen")
    if seen is None:
        held, fingerprint = _held(pks)
    else:
        with transaction.atomic():
            # The lock that a sync's commit takes: nothing changes between the comparison and the deletion.
            locked = list(CalendarAccount.objects.select_for_update().defer("credentials").filter(pk__in=pks))
            held, fingerprint = _held(pks)
            if held and seen == fingerprint:
                deleted = sum(brake.clear(account) for account in locked)
                for account in locked:
                    audit.record(account, Verb.BRAKE_CLEARED)
                model_admin.message_user(request, f"Held rows deleted: {deleted}.", messages.SUCCESS)
                return None
        if held:
            text = "What is held has changed meanwhile, so nothing was deleted. Look again."
            model_admin.message_user(request, text, messages.WARNING)
    if not held:
        model_admin.message_user(request, "The brake holds nothing here.", messages.INFO)
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Clear the brake",
        "opts": model_admin.opts,
        "held": held,
        "total": sum(item.count for item in held),
        "seen": fingerprint,
        "pks": pks,
        "checkbox": ACTION_CHECKBOX_NAME,
        "from_row": "from_row" in request.POST,
    }
    return TemplateResponse(request, "admin/clear_the_brake.html", context)


def _held(account_pks: list[int]) -> tuple[list[HeldCalendar], str]:
    """What the brake holds in these accounts, by account and calendar, and the fingerprint of it all. Two queries,
    and one for each calendar that has any."""
    rows = BusyBlock.objects.filter(origin__calendar__account__in=account_pks, absent_since__isnull=False)
    pks_of: dict[int, list[int]] = {}
    for pk, origin_pk in rows.order_by("pk").values_list("pk", "origin"):
        pks_of.setdefault(origin_pk, []).append(pk)
    calendars = Calendar.objects.filter(origin__in=pks_of).select_related("account__user")
    held = [
        HeldCalendar(
            calendar,
            list(rows.filter(origin=calendar.origin_id).order_by("start_time", "pk")[:SHOWN_PER_CALENDAR]),
            len(pks_of[calendar.origin_id]),
            f"{list_url(BusyBlock)}?origin__id__exact={calendar.origin_id}&brake=held",
        )
        for calendar in calendars.defer("account__credentials").order_by("account", "name", "pk")
    ]
    everything = sorted(pk for pks in pks_of.values() for pk in pks)
    return held, hashlib.sha256(repr(everything).encode()).hexdigest()
