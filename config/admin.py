"""The admin as a whole: its navigation, and a first page that says what needs a person now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy

from busyblocks.models import BusyBlock, Origin
from calendars.admin import health
from calendars.models import Absence, AccountRun, Calendar, CalendarAccount, Meeting, SyncRun, WithheldEvent
from icsfeeds.models import ICSToken
from integrations.admin import taking_unsigned
from integrations.models import CalcomConnection, CalcomSecret, DeliveryState, RefusedDeliveries, WebhookDelivery
from tenancy.admin.scope import change_url, list_url
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
# Rows that the first page names of each kind; a link leads to the others.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Item:
    """One row that needs a person."""

    title: str
    why: str
    url: str


@dataclass(frozen=True, slots=True)
class Concern:
    """One kind of thing that needs a person: what to do, how many there are, the first of them, all of them."""

    title: str
    advice: str
    count: int
    items: list[Item]
    url: str


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
            items.insert(0, {"title": gettext_lazy("Schedule"), "icon": "calendar_view_week", "link": link})
        if items:
            groups.append({"title": title, "separator": True, "items": items})
    return groups


def no_colors_in_pages(_request: HttpRequest) -> dict[str, dict[str, str]]:
    """Unfold's COLORS: none that it would have to write into a <style>."""
    return {}


def index(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The first page's context, with `concerns`. Two queries for each kind of concern, however many rows there are."""
    accounts, deliveries = _rows(CalendarAccount, request), _rows(WebhookDelivery, request)
    concerns = [
        _concern(
            "Accounts to connect again",
            "The vendor refuses the credentials: their owners have to connect them again.",
            health.faring(accounts, health.RECONNECT),
            lambda account: account.last_error,
            f"{list_url(CalendarAccount)}?health={health.RECONNECT}",
        ),
        _concern(
            "Accounts that fail",
            "They are tried again by themselves, unless the reason says otherwise.",
            health.faring(accounts, health.FAILING),
            lambda account: account.last_error,
            f"{list_url(CalendarAccount)}?health={health.FAILING}",
        ),
        _concern(
            "Deletions held back",
            "A read showed far fewer events than before. Look what would go, and clear the brake if that is right.",
            health.faring(accounts, health.HELD),
            lambda account: f"{account.held} busy blocks held",
            f"{list_url(CalendarAccount)}?health={health.HELD}",
        ),
        _concern(
            "Deliveries that failed",
            "Read why, and replay them when the reason is gone.",
            deliveries.filter(state=DeliveryState.FAILED),
            lambda delivery: delivery.error,
            f"{list_url(WebhookDelivery)}?state__exact={DeliveryState.FAILED.value}",
        ),
        _concern(
            "Companies that take unsigned deliveries",
            "Whoever knows the address can write their meetings: set a secret in Cal.com, and the same here.",
            taking_unsigned(_rows(Company, request)),
            lambda company: f"/calcom/{company.url_id}/webhook",
            f"{list_url(Company)}?calcom=unsigned",
        ),
    ]
    return {
        **context,
        "title": "What needs a person now",
        "concerns": [concern for concern in concerns if concern.count],
    }


def _rows(model: type[Model], request: HttpRequest) -> QuerySet[Any]:
    model_admin = admin.site._registry[model]
    rows: QuerySet[Any] = model_admin.get_queryset(request)
    return rows if model_admin.has_view_permission(request) else rows.none()


def _concern(title: str, advice: str, rows: QuerySet[Any], why: Callable[[Any], str], url: str) -> Concern:
    items = [
        Item(str(row), Truncator(why(row)).chars(160), change_url(row._meta.model, row.pk))
        for row in rows.order_by("-pk")[:_NAMED]
    ]
    return Concern(title, advice, rows.count() if items else 0, items, url)
