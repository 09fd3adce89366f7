"""The admin as a whole: its navigation."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext

from busyblocks.models import BusyBlock, Origin
from calendars.models import Absence, AccountRun, Calendar, CalendarAccount, Meeting, SyncRun, WithheldEvent
from icsfeeds.models import ICSToken
from integrations.models import CalcomConnection, CalcomSecret, RefusedDeliveries, WebhookDelivery
from tenancy.admin.scope import list_url
from tenancy.models import ApiKey, AuditEntry, Company, CrmUser, Staff

_BUSY_TIME = "Busy time"
# Group, then (model, title, icon). The icons are names of the Material Symbols that Unfold ships.
_NAVIGATION: tuple[tuple[str, tuple[tuple[type[Model], str, str], ...]], ...] = (
    (
        "Calendars",
        (
            (CalendarAccount, "Accounts", "manage_accounts"),
            (Calendar, "Calendars", "calendar_month"),
            (SyncRun, "Runs", "sync"),
            (AccountRun, "Runs by account", "rule"),
            (WithheldEvent, "Withheld events", "report"),
        ),
    ),
    (
        _BUSY_TIME,
        (
            (BusyBlock, "Busy blocks", "event_busy"),
            (Meeting, "Meetings", "groups"),
            (Absence, "Absences", "beach_access"),
            (Origin, "Sources", "input"),
        ),
    ),
    ("Feeds", ((ICSToken, "Feed tokens", "rss_feed"),)),
    (
        "Cal.com",
        (
            (WebhookDelivery, "Deliveries", "inbox"),
            (RefusedDeliveries, "Refused deliveries", "block"),
            (CalcomSecret, "Secrets", "key"),
            (CalcomConnection, "API keys", "sync_alt"),
        ),
    ),
    (
        "Companies and access",
        (
            (Company, "Companies", "domain"),
            (CrmUser, "CRM users", "person"),
            (ApiKey, "API keys", "vpn_key"),
            (Staff, "Staff", "badge"),
            (Group, "Groups", "group_work"),
            (AuditEntry, "Audit log", "history"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar's groups, with the lists that this member of staff may see."""
    groups = []
    for title, entries in _NAVIGATION:
        items = [
            {"title": name, "icon": icon, "link": list_url(model)}
            for model, name, icon in entries
            if admin.site._registry[model].has_view_permission(request)
        ]
        if items and title == _BUSY_TIME:
            link = reverse("admin:busyblocks_busyblock_schedule")
            items.insert(0, {"title": gettext("Schedule"), "icon": "calendar_view_week", "link": link})
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def no_colors_in_pages(_request: HttpRequest) -> dict[str, dict[str, str]]:
    """Unfold's COLORS: none that it would have to write into a <style>."""
    return {}
