"""The first page of the admin: what needs a person now, how accounts fare, and what the last day brought.

A few statements that the database answers from indexes and counts, however many accounts there are; nothing is fetched
row by row but the handful of rows that the page names.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Count, Model, QuerySet, Sum
from django.db.models.functions import TruncHour
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from calendars.admin import health
from calendars.models import AccountRun, CalendarAccount, Meeting, ProviderName, RunState, SyncHour, SyncRun
from calendars.models.meeting import MeetingStatus
from calendars.services import queues, syncs
from config.charts import Chart, chart, hours_until
from icsfeeds.models import ReadHour
from integrations.admin import taking_unsigned
from integrations.models import CalcomSecret, DeliveryState, WebhookDelivery
from tenancy.admin.scope import change_url, list_url, visible_rows
from tenancy.models import Company

# Rows that the page names of each kind; a link leads to the others.
_NAMED = 5

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Button:
    """What solves it: an action of the row's list, posted for this row, or a page."""

    label: Text
    url: str
    action: str = ""
    pk: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """One row that needs a person."""

    title: str
    why: str
    url: str
    button: Button | None


@dataclass(frozen=True, slots=True)
class Concern:
    """One kind of thing that needs a person: what to do, how many there are, the first of them, all of them."""

    title: Text
    advice: Text
    count: int
    items: list[Item]
    url: str


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a provider's accounts: how many fare so, the share of a bar that they take, and where they are listed."""

    word: str
    slug: str
    count: int
    x: float
    width: float
    url: str


@dataclass(frozen=True, slots=True)
class ProviderRow:
    name: str
    count: int
    url: str
    parts: list[Part]
    text: str


@dataclass(frozen=True, slots=True)
class Tile:
    """A number, what it counts, and a word beside it."""

    title: Text
    number: int | None
    note: str
    url: str
    worries: bool = False


def index(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The page's context. The number of statements is the same however many rows there are."""
    now = timezone.now()
    return {
        **context,
        "title": _("What needs a person now"),
        "concerns": [concern for concern in _concerns(request) if concern.count],
        "providers": _providers(request),
        "legend": [(word, _slug(word)) for word in health.WORDS],
        "charts": _charts(request, now),
        "tiles": _tiles(request, now),
        "runs": _runs(request),
        "runs_url": list_url(SyncRun),
        "accounts_url": list_url(CalendarAccount),
        "now": now,
    }


# What needs a person -------------------------------------------------------------------------------------------------


def _concerns(request: HttpRequest) -> Iterable[Concern]:
    accounts, deliveries = _rows(CalendarAccount, request), _rows(WebhookDelivery, request)
    yield _concern(
        request,
        gettext_lazy("Accounts to connect again"),
        gettext_lazy("The vendor refuses the credentials: their owners have to connect them again."),
        health.faring(accounts, health.RECONNECT),
        why=lambda account: account.last_error,
        query={"health": health.RECONNECT},
        action=("connect_again", gettext_lazy("Connect again")),
    )
    yield _concern(
        request,
        gettext_lazy("Accounts that fail"),
        gettext_lazy("They are tried again by themselves, unless the reason says otherwise."),
        health.faring(accounts, health.FAILING),
        why=lambda account: account.last_error,
        query={"health": health.FAILING},
        action=("sync_now", gettext_lazy("Sync now")),
    )
    yield _concern(
        request,
        gettext_lazy("Deletions held back"),
        gettext_lazy(
            "A read showed far fewer events than before. Look what would go, and clear the brake if that is right."
        ),
        health.faring(accounts, health.HELD),
        why=lambda account: (
            ngettext("%(count)d busy block held", "%(count)d busy blocks held", account.held) % {"count": account.held}
        ),
        query={"health": health.HELD},
        action=("clear_the_brake", gettext_lazy("See what would go")),
    )
    yield _concern(
        request,
        gettext_lazy("Deliveries that failed"),
        gettext_lazy("Read why, and replay them when the reason is gone."),
        deliveries.filter(state=DeliveryState.FAILED),
        why=lambda delivery: delivery.error,
        query={"state__exact": DeliveryState.FAILED.value},
        action=("replay", gettext_lazy("Replay")),
    )
    yield _concern(
        request,
        gettext_lazy("Bookings of nobody known"),
        gettext_lazy("Nobody has their host's e-mail. Give each to a user, or the e-mail to its user."),
        _rows(Meeting, request).filter(
            user=None,
            deleted_at=None,
            end_time__gte=timezone.now(),
            status__in=(MeetingStatus.SCHEDULED, MeetingStatus.PENDING),
        ),
        why=lambda meeting: f"{meeting.title}, {meeting.organizer_email}",
        query={"host": "unknown"},
        opened=gettext_lazy("Assign"),
    )
    yield _concern(
        request,
        gettext_lazy("Companies that take unsigned deliveries"),
        gettext_lazy("Whoever knows the address can write their meetings: set a secret in Cal.com, and the same here."),
        taking_unsigned(_rows(Company, request)),
        why=lambda company: f"/calcom/{company.url_id}/webhook",
        query={"calcom": "unsigned"},
        page=(CalcomSecret, gettext_lazy("Add a secret")),
    )


def _concern(
    request: HttpRequest,
    title: Text,
    advice: Text,
    rows: QuerySet[Any],
    *,
    why: Callable[[Any], str],
    query: dict[str, str],
    action: tuple[str, Text] | None = None,
    page: tuple[type[Model], Text] | None = None,
    opened: Text | None = None,
) -> Concern:
    """Two statements. The button is there for whoever may use it: an action, a page where something is added, or the
    row's own page."""
    model = rows.model
    may_act = action is not None and action[0] in admin.site._registry[model].get_actions(request)
    may_add = page is not None and admin.site._registry[page[0]].has_add_permission(request)

    may_change = opened is not None and admin.site._registry[model].has_change_permission(request)

    def button(row: Any) -> Button | None:
        if opened is not None and may_change:
            return Button(opened, change_url(model, row.pk))
        if action is not None and may_act:
            return Button(action[1], list_url(model), action[0], row.pk)
        if page is not None and may_add:
            return Button(page[1], f"{list_url(page[0])}add/?{urlencode({'company': row.pk})}")
        return None

    items = [
        Item(str(row), Truncator(why(row)).chars(160), change_url(model, row.pk), button(row))
        for row in rows.order_by("-pk")[:_NAMED]
    ]
    count = rows.order_by().count() if items else 0
    return Concern(title, advice, count, items, f"{list_url(model)}?{urlencode(query)}")


# How accounts fare ---------------------------------------------------------------------------------------------------


def _providers(request: HttpRequest) -> list[ProviderRow]:
    """One row for each vendor that has accounts, the largest first. One statement."""
    accounts = health.with_word(_may_see(CalendarAccount, request, "company").order_by())
    counts: dict[str, dict[str, int]] = {}
    for provider, word, count in accounts.values_list("provider", "word").annotate(count=Count("pk")):
        counts.setdefault(provider, {})[word] = count
    rows = [_provider(provider, words) for provider, words in counts.items()]
    return sorted(rows, key=lambda row: (-row.count, row.name))


def _provider(provider: str, words: dict[str, int]) -> ProviderRow:
    total, x, parts = sum(words.values()), 0.0, []
    url = f"{list_url(CalendarAccount)}?{urlencode({'provider__exact': provider})}"
    for word in health.WORDS:
        if count := words.get(word, 0):
            width = round(100 * count / total, 2)
            parts.append(Part(word, _slug(word), count, x, width, f"{url}&{urlencode({'health': word})}"))
            x = round(x + width, 2)
    name = str(ProviderName(provider).label) if provider in ProviderName.values else provider
    text = ", ".join(f"{part.count} {part.word}" for part in parts)
    return ProviderRow(name, total, url, parts, f"{name}: {text}")


def _slug(word: str) -> str:
    return word.replace(" ", "-")


# The last day --------------------------------------------------------------------------------------------------------


def _charts(request: HttpRequest, now: datetime) -> list[Chart]:
    """Three statements."""
    since = hours_until(now)[0]
    syncs_of: dict[datetime, tuple[int, int, int, int]] = {
        hour: (count, failures, changed, milliseconds)
        for hour, count, failures, changed, milliseconds in _may_see(SyncHour, request, "company")
        .filter(hour__gte=since)
        .order_by()
        .values_list("hour")
        .annotate(Sum("syncs"), Sum("failures"), Sum("events_changed"), Sum("milliseconds"))
    }
    reads = dict(
        _may_see(ReadHour, request, "company")
        .filter(hour__gte=since)
        .order_by()
        .values_list("hour")
        .annotate(Sum("reads"))
    )
    deliveries = dict(
        _may_see(WebhookDelivery, request, "company")
        .filter(received_at__gte=since)
        .order_by()
        .values_list(TruncHour("received_at"))
        .annotate(Count("pk"))
    )
    seconds = {hour: spent / count / 1000 for hour, (count, _failed, _changed, spent) in syncs_of.items() if count}
    total = sum(count for count, *_rest in syncs_of.values())
    average = sum(spent for *_rest, spent in syncs_of.values()) / total / 1000 if total else 0
    return [
        chart(_("Events changed"), {hour: of[2] for hour, of in syncs_of.items()}, now=now),
        chart(_("Seconds for a sync"), seconds, now=now, shown=average, decimals=1),
        chart(_("Syncs that failed"), {hour: of[1] for hour, of in syncs_of.items()}, now=now, colour="bad"),
        chart(_("Webhooks"), deliveries, now=now),
        chart(_("Feed reads"), reads, now=now),
    ]


def _tiles(request: HttpRequest, now: datetime) -> list[Tile]:
    """Three statements, and one question to the broker."""
    due = queues.overdue(_may_see(CalendarAccount, request, "company"), now=now)
    waits = _passed(now - due.since) if due.since is not None else ""
    note = _("the first for %(time)s") % {"time": waits} if waits else _("none waits")
    late = due.since is not None and (now - due.since).total_seconds() > 2 * syncs.POLL_AGAIN_AFTER.total_seconds()
    tiles = [
        Tile(gettext_lazy("Accounts due for a sync"), due.count, note, list_url(CalendarAccount), late),
        Tile(
            gettext_lazy("Accounts of open runs"),
            queues.unfinished(_may_see(AccountRun, request, "run__company")),
            _("that somebody asked for"),
            f"{list_url(SyncRun)}?status__exact={RunState.IN_PROGRESS.value}",
        ),
        Tile(
            gettext_lazy("Deliveries waiting"),
            _may_see(WebhookDelivery, request, "company").filter(state=DeliveryState.RECEIVED).order_by().count(),
            _("from Cal.com"),
            f"{list_url(WebhookDelivery)}?state__exact={DeliveryState.RECEIVED.value}",
        ),
    ]
    # Messages do not say whose they are: their number is the operator's business.
    if request.user.is_superuser:
        lengths = queues.lengths()
        for name in queues.NAMES:
            number = lengths[name] if lengths is not None else None
            tiles.append(Tile(_("Queue “%(name)s”") % {"name": name}, number, _("messages") if lengths else "", ""))
    return tiles


def _runs(request: HttpRequest) -> list[dict[str, Any]]:
    """The last runs that somebody asked for, with how far they are. Two statements."""
    newest = list(_may_see(SyncRun, request, "company").order_by("-pk").values_list("pk", flat=True)[:_NAMED])
    rows: QuerySet[Any] = syncs.with_totals(SyncRun.objects.filter(pk__in=newest)).select_related("user")
    return [
        {
            "run": run,
            "whose": str(run.user) if run.user is not None else _("everybody"),
            "url": change_url(SyncRun, run.pk),
            "state": RunState(run.status).label,
            "changed": run.events_created + run.events_updated + run.events_deleted,
        }
        for run in rows.order_by("-pk")
    ]


def _passed(time: Any) -> str:
    """A time that has passed, in the unit that says enough."""
    seconds = max(0, int(time.total_seconds()))
    for size, unit in ((86_400, _("d")), (3600, _("h")), (60, _("min"))):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _rows(model: type[Model], request: HttpRequest) -> QuerySet[Any]:
    """As the model's own list has them."""
    model_admin = admin.site._registry[model]
    rows: QuerySet[Any] = model_admin.get_queryset(request)
    return rows if model_admin.has_view_permission(request) else rows.none()


def _may_see(model: type[Model], request: HttpRequest, company_lookup: str) -> QuerySet[Any]:
    """The rows of the staff's company, to be counted."""
    return visible_rows(model._default_manager.all(), request.user, company_lookup)
