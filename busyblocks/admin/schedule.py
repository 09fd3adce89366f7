"""The schedule page: a user's week, month or agenda, or the free/busy of several side by side, in any zone."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, gettext, gettext_lazy
from rest_framework.exceptions import ValidationError

from busyblocks import filters, schedule, zones
from busyblocks.errors import BudgetExceeded
from busyblocks.models import BusyBlock, FreeBusyType
from busyblocks.timespans import Span
from tenancy.admin.scope import CompanyScopedAdmin, change_url
from tenancy.models import CrmUser

# Side by side, more rows than this fit no screen.
MAX_USERS = 20
_HUES = 8
# What a search shows.
_FOUND = 12
# Where a row's own primary key goes.
_ANY_ROW = 0


class ScheduleForm(forms.Form):
    """Whose time, and in which zone it is read. `users`: those that the staff may see.

    `search` finds more users to choose from, without a script: they stand beside the chosen ones.
    """

    user = forms.ModelMultipleChoiceField(queryset=CrmUser.objects.none(), required=False)
    search = forms.CharField(required=False, max_length=255, strip=True)
    time_zone = forms.ChoiceField(label=gettext_lazy("Time zone"), required=False)

    def __init__(self, *args: Any, users: QuerySet[CrmUser], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices: Any = self.fields["user"]
        choices.queryset = users
        zone: Any = self.fields["time_zone"]
        zone.choices = [("", gettext("The first user's own")), *((name, name) for name in sorted(zones.names()))]

    def clean_user(self) -> list[CrmUser]:
        users: list[CrmUser] = list(self.cleaned_data["user"])
        if len(users) > MAX_USERS:
            raise forms.ValidationError(gettext("At most %(count)s users.") % {"count": MAX_USERS})
        return users

    @property
    def users(self) -> list[CrmUser]:
        """The chosen ones; none where the choice cannot be used."""
        return list(self.cleaned_data.get("user", ()))

    @property
    def zone_name(self) -> str:
        """The zone chosen, else the first user's own, else UTC."""
        return self.cleaned_data.get("time_zone") or _usable(self.users[0].time_zone if self.users else "")


def page(request: HttpRequest, blocks: CompanyScopedAdmin) -> HttpResponse:
    """The page for the users that `user` names (none: it asks for them). A GET shows it, and nothing changes."""
    form = _form(request, blocks)
    form.is_valid()
    users = form.users
    context: dict[str, Any] = {
        **blocks.admin_site.each_context(request),
        "title": gettext("Schedule"),
        "form": form,
        "users": users,
        "found": _found(form, request, blocks),
        "zone_name": form.zone_name,
    }
    if users:
        context["settings"] = {
            "entries": reverse("admin:busyblocks_busyblock_schedule_entries"),
            "block": change_url(BusyBlock, _ANY_ROW),
            "users": [{"id": user.pk, "title": _name(user)} for user in users],
            "zone": form.zone_name,
            # The calendar view knows offsets alone; it needs one to tell where "now" is.
            "offset": _offset(form.zone_name),
            "locale": get_language(),
            "words": _words(),
        }
        context["lanes"] = [(hue, name) for _, hue, name in _lanes(users[0])] if len(users) == 1 else []
        context["types"] = [(kind.value, label) for kind, label in _types().items() if kind != FreeBusyType.FREE]
    return TemplateResponse(request, "admin/schedule.html", context)


def entries(request: HttpRequest, blocks: CompanyScopedAdmin) -> JsonResponse:
    """What lies between `start` and `end` (wall times of `time_zone`), as the calendar view takes it.

    400 with the reason for a question that cannot be answered; 404 for users that the staff may not see.
    """
    form = _form(request, blocks)
    if "user" in form.errors or not form.users:
        raise Http404
    if not form.is_valid():
        return JsonResponse({"error": gettext("There is no such time zone.")}, status=400)
    users, zone_name = form.users, form.zone_name
    bounds = {"start_time": request.GET.get("start", ""), "end_time": request.GET.get("end", "")}
    try:
        span = filters.span_required({**bounds, "time_zone": zone_name})
        return JsonResponse(_drawn(users, span, zone_name), safe=False)
    except ValidationError as error:
        detail: Any = error.detail
        reason = "; ".join(f"{name}: {_sentence(said)}" for name, said in detail.items())
    except BudgetExceeded as error:
        reason = str(error)
    return JsonResponse({"error": reason}, status=400)


def _drawn(users: list[CrmUser], span: Span, zone_name: str) -> list[dict[str, Any]]:
    """Several users' periods, each in its user's row; else the entries of the one."""
    types = _types()
    if len(users) > 1:
        return [
            {
                "resourceId": period.user,
                "start": period.start.isoformat(),
                "end": period.end.isoformat(),
                "title": types[period.fbtype],
                "classNames": ["period", f"counts-{period.fbtype.value}"],
            }
            for period in schedule.periods(users, span, zone_name)
        ]
    hues = {lane: hue for lane, hue, _ in _lanes(users[0])}
    return [
        {
            "id": str(number),
            "start": drawn.start.isoformat(),
            "end": drawn.end.isoformat(),
            "allDay": drawn.all_day,
            "title": drawn.title or gettext("(no title)"),
            "classNames": [f"hue-{hues.get(drawn.lane, 0)}", f"counts-{drawn.fbtype.value}"],
            "extendedProps": {
                "row": drawn.row,
                "day": drawn.start.date().isoformat(),
                "where": drawn.location,
                "counts": types[drawn.fbtype],
            },
        }
        for number, drawn in enumerate(schedule.entries(users[0], span, zones.zone(zone_name)))
    ]


def _sentence(said: Any) -> str:
    return " ".join(str(reason) for reason in said) if isinstance(said, list) else str(said)


def _form(request: HttpRequest, blocks: CompanyScopedAdmin) -> ScheduleForm:
    users = blocks.choices_of(CrmUser, request).order_by("pk")
    return ScheduleForm(request.GET, users=users)


def _found(form: ScheduleForm, request: HttpRequest, blocks: CompanyScopedAdmin) -> list[CrmUser]:
    """The first users that the search finds beside the chosen ones; none where nothing is looked for."""
    text = form.cleaned_data.get("search", "")
    scoped = blocks.admin_site._registry[CrmUser]
    if not text:
        return []
    users = blocks.choices_of(CrmUser, request).exclude(pk__in=[user.pk for user in form.users])
    rows, _ = scoped.get_search_results(request, users, text)
    return list(rows.order_by("name", "pk")[:_FOUND])


def _name(user: CrmUser) -> str:
    return user.name or user.unique_id


def _lanes(user: CrmUser) -> list[tuple[str, int, str]]:
    """Each source of the user's entries: its lane, its colour's number, its name."""
    own = {"meeting": gettext("Meetings"), "manual": gettext("Made by hand")}
    named = schedule.lanes(user).items()
    return [(lane, number % _HUES, name or own[lane]) for number, (lane, name) in enumerate(named)]


def _types() -> dict[FreeBusyType, str]:
    return {
        FreeBusyType.FREE: gettext("free"),
        FreeBusyType.BUSY: gettext("busy"),
        FreeBusyType.BUSY_UNAVAILABLE: gettext("out of office"),
        FreeBusyType.BUSY_TENTATIVE: gettext("tentative"),
    }


def _words() -> dict[str, str]:
    return {
        "today": gettext("Today"),
        "day": gettext("Day"),
        "week": gettext("Week"),
        "month": gettext("Month"),
        "agenda": gettext("Agenda"),
        "allDay": gettext("all day"),
        "none": gettext("Nothing here."),
        "more": gettext("+%s more"),
        "close": gettext("Close"),
        "previous": gettext("Earlier"),
        "next": gettext("Later"),
        "turn": gettext("Days and views"),
        "failed": gettext("The entries could not be loaded. Try again."),
    }


def _offset(zone_name: str) -> str:
    """The zone's offset from UTC now, "+02:00"; zones have had seconds, but none has them today."""
    return timezone.now().astimezone(zones.zone(zone_name)).isoformat()[-6:]


def _usable(name: str) -> str:
    return name if name in zones.names() else "UTC"
