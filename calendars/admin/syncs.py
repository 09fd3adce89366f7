"""Buttons that start a sync: of an account, of a user, of a company; and the way to the run that it is."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from calendars.models import SyncRun
from calendars.services import syncs
from tenancy import audit
from tenancy.admin.companies import CompanyAdmin
from tenancy.admin.scope import change_url, list_url
from tenancy.admin.users import CrmUserAdmin
from tenancy.models import Company, CrmUser, Verb

# Each takes a few statements, and the page waits for all of them.
MOST_AT_ONCE = 200
_LINKS = 10


def too_many(model_admin: Any, request: HttpRequest, rows: QuerySet[Any]) -> bool:
    """Whether the page would have to wait for too many of them; it says so then."""
    count = rows.count()
    if count > MOST_AT_ONCE:
        text = _("%(count)d rows are too many at once: choose at most %(most)d.")
        model_admin.message_user(request, text % {"count": count, "most": MOST_AT_ONCE}, messages.ERROR)
    return count > MOST_AT_ONCE


def start(
    model_admin: Any,
    request: HttpRequest,
    rows: Iterable[Model],
    begin: Callable[..., SyncRun],
    *,
    force_refresh: bool = False,
) -> HttpResponseRedirect | None:
    """Start a run for each row; the way to it where there is one, else a message with the ways to all of them."""
    runs = []
    for row in rows:
        with transaction.atomic():
            audit.record(row, Verb.SYNC_ASKED, *(["force_refresh"] if force_refresh else []))
            runs.append(begin(row, force_refresh=force_refresh))
    started = [run for run in runs if run.accounts_count]
    if started:
        links = [(change_url(SyncRun, run.pk), run.pk) for run in started[:_LINKS]]
        more = format_html(', <a href="{}" class="underline">{}</a>', list_url(SyncRun), _("all runs"))
        text = format_html(
            "{} {}{}",
            _("Syncs started: %(count)d. See") % {"count": len(started)},
            format_html_join(", ", '<a href="{}" class="underline">run {}</a>', links),
            more if len(started) > _LINKS else "",
        )
        model_admin.message_user(request, text, messages.SUCCESS)
    if idle := len(runs) - len(started):
        idle_text = ngettext(
            "%(count)d has nothing to sync: paused, or never connected.",
            "%(count)d have nothing to sync: paused, or never connected.",
            idle,
        )
        model_admin.message_user(request, idle_text % {"count": idle}, messages.WARNING)
    return HttpResponseRedirect(change_url(SyncRun, started[0].pk)) if len(started) == 1 else None


@admin.action(description=gettext_lazy("Sync now"), permissions=["change"])
def sync_users(model_admin: Any, request: HttpRequest, users: QuerySet[CrmUser]) -> Any:
    """All accounts of these users, a run for each user."""
    return None if too_many(model_admin, request, users) else start(model_admin, request, users, syncs.start_for_user)


@admin.action(description=gettext_lazy("Sync all accounts now"), permissions=["change"])
def sync_companies(model_admin: Any, request: HttpRequest, companies: QuerySet[Company]) -> Any:
    """All accounts of these companies, a run for each company."""
    if too_many(model_admin, request, companies):
        return None
    return start(model_admin, request, companies, syncs.start_for_company)


# What syncs is known on this floor, not on the users' and the companies'.
CrmUserAdmin.actions = (*CrmUserAdmin.actions, sync_users)  # type: ignore[assignment]
CrmUserAdmin.detail_actions = (*CrmUserAdmin.detail_actions, "sync_users")  # type: ignore[assignment]
CompanyAdmin.actions = (*(CompanyAdmin.actions or ()), sync_companies)
CompanyAdmin.detail_actions = (*CompanyAdmin.detail_actions, "sync_companies")
