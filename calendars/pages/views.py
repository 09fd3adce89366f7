"""`/connect/:link`: a person's calendar accounts, how to add one, what is mirrored of each, and how to be rid of it.

Everything is a plain form and works without a script. What a person typed is tried at the vendor before it is stored,
so that what is wrong stands beside the field. All rows begin at the link's user.
"""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from calendars.errors import AlreadyConnected
from calendars.models import Calendar, CalendarAccount
from calendars.oauth import registered_vendor
from calendars.pages import forms, words
from calendars.providers import BadProviderData, ProviderError
from calendars.services import accounts, grants, syncs, trials
from tenancy.page_links import PageLink
from tenancy.pages import by_link

log = structlog.get_logger("pages")


@by_link
def overview(request: HttpRequest, link: PageLink) -> HttpResponse:
    """All accounts of the user with their calendars, and the ways to add another. Three queries."""
    rows = _accounts(link).prefetch_related(
        Prefetch("calendars", Calendar.objects.defer("cursor").order_by("-primary", "name", "pk"), to_attr="listed")
    )
    cards = [_card(account) for account in rows]
    told = {
        "connected": _("Connected. From now on it is kept up to date by itself."),
        "saved": _("Saved."),
        "disconnected": _("Disconnected, and everything that was read from it is deleted."),
    }
    return _page(
        request,
        link,
        "pages/connect.html",
        cards=cards,
        choices=_open_choices(),
        told=told.get(request.GET.get("told", "")) or (told["connected"] if "connected" in request.GET else ""),
        problem=words.return_failure(request.GET.get("problem", "")),
        waits=any(card["health"].waits for card in cards),
    )


@by_link
def connect(request: HttpRequest, link: PageLink, provider: str) -> HttpResponse:
    """The form of one vendor; sent, it is tried, stored, and the first sync is on its way."""
    choice = next((choice for choice in _open_choices() if choice.provider == provider), None)
    if choice is None:
        raise Http404
    form = forms.FORMS[provider](request.POST or None, initial={"email": link.user.email})
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"]
        data = form.provider_data()
        if data is None:
            account = accounts.connect(link.user, provider=provider, email=email, now=timezone.now())
            return HttpResponseRedirect(reverse("connect-go", args=[link.text, account.unique_id]))
        if _is_tried_out(form, link, provider, email=email, data=data):
            account = accounts.connect(
                link.user, provider=provider, email=email, provider_data=data, now=timezone.now()
            )
            syncs.start_for_account(account)
            return _back(link, told="connected")
    return _page(request, link, "pages/connect_form.html", choice=choice, form=form, heading=words.heading_of(choice))


@by_link
def connect_again(request: HttpRequest, link: PageLink, account_id: UUID) -> HttpResponse:
    """Ask for the password, or the address, once more; the rows stay. Google and Outlook ask on their own pages."""
    account = _account(link, account_id)
    if account.provider not in forms.FORMS_AGAIN:
        return HttpResponseRedirect(reverse("connect-go", args=[link.text, account.unique_id]))
    choice = next(choice for choice in words.choices() if choice.provider == account.provider)
    form = forms.FORMS_AGAIN[account.provider](request.POST or None)
    if request.method == "POST" and form.is_valid():
        # Secrets are read here alone: what stays as it was is sent to the server with the new one.
        stored = CalendarAccount.objects.only("credentials").filter(pk=account.pk).first()
        if stored is None:
            raise Http404
        data = {**(stored.credentials or {}), **form.provider_data()}
        if _is_tried_out(form, link, account.provider, email=account.email, data=data):
            try:
                accounts.change(account, provider_data=form.provider_data(), now=timezone.now())
            except AlreadyConnected:
                form.add_error(None, _("This calendar is connected already."))
            else:
                syncs.start_for_account(account)
                return _back(link, told="connected")
    return _page(
        request,
        link,
        "pages/connect_form.html",
        choice=choice,
        form=form,
        account=account,
        heading=words.heading_again(account),
    )


@by_link
def go(request: HttpRequest, link: PageLink, account_id: UUID) -> HttpResponse:
    """On to the vendor's own page. A page of its own and not a redirect: browsers count those as part of the form
    before, which may lead nowhere else (form-action)."""
    account = _account(link, account_id)
    back = settings.PUBLIC_URL + reverse("connect", args=[link.text])
    url = grants.link(account, return_to=back, now=timezone.now())
    if not url:
        raise Http404
    # On this host, whatever its name is outside.
    path = url.removeprefix(settings.PUBLIC_URL)
    return _page(request, link, "pages/connect_go.html", account=account, url=path)


@by_link
def choose(request: HttpRequest, link: PageLink, account_id: UUID) -> HttpResponse:
    """Which of the account's calendars are mirrored: of those that the form showed, the ticked ones."""
    account = _account(link, account_id)
    if request.method != "POST":
        return _back(link)
    shown, wanted = set(request.POST.getlist("shown")), set(request.POST.getlist("on"))
    for calendar in Calendar.objects.filter(account=account).defer("cursor"):
        name = str(calendar.unique_id)
        if name not in shown or calendar.sync_enabled == (name in wanted):
            continue
        if calendar.sync_enabled:
            accounts.leave_out(calendar, now=timezone.now())
        else:
            accounts.take_in(calendar, now=timezone.now())
            syncs.start_for_account(account)
    return _back(link, told="saved")


@by_link
def disconnect(request: HttpRequest, link: PageLink, account_id: UUID) -> HttpResponse:
    """Ask whether it is meant, then do it: the account, its secrets and everything mirrored from it go."""
    account = _account(link, account_id)
    if request.method == "POST":
        accounts.disconnect(account, now=timezone.now())
        return _back(link, told="disconnected")
    return _page(request, link, "pages/disconnect.html", account=account)


def _accounts(link: PageLink) -> QuerySet[CalendarAccount]:
    if link.feed is not None:
        # The link of one feed leads to nothing else.
        raise Http404
    rows = CalendarAccount.objects.filter(company=link.user.company_id, user=link.user)
    return rows.defer("credentials", "provider_state").order_by("pk")


def _account(link: PageLink, account_id: UUID) -> CalendarAccount:
    account = _accounts(link).filter(unique_id=account_id).first()
    if account is None:
        raise Http404
    return account


def _card(account: Any) -> dict[str, Any]:
    held = sum(calendar.held_count for calendar in account.listed)
    return {
        "account": account,
        "calendars": account.listed,
        "health": words.health_of(account, held=held),
        "title": words.name_of(account),
    }


def _open_choices() -> list[words.Choice]:
    """Those that this service can connect: of Google and Outlook, what it is registered with."""
    return [
        choice
        for choice in words.choices()
        if accounts.has_backend(choice.provider)
        and (choice.provider not in settings.CALENDAR_OAUTH or registered_vendor(choice.provider) is not None)
    ]


def _is_tried_out(form: Any, link: PageLink, provider: str, *, email: str, data: dict[str, Any]) -> bool:
    """Whether the vendor lets them in; where not, the form says why."""
    try:
        trials.try_out(link.user, provider, email=email, provider_data=data)
    except BadProviderData as refused:
        code = refused.field
    except ProviderError as error:
        log.info("trial_failed", provider=provider, code=error.code)
        code = error.code
    else:
        return True
    field, said = words.trial_failure(provider, code)
    place = form.address_field if field == "address" else field
    form.add_error(place if place in form.fields else None, said)
    return False


def _back(link: PageLink, **values: str) -> HttpResponse:
    query = f"?{urlencode(values)}" if values else ""
    return HttpResponseRedirect(reverse("connect", args=[link.text]) + query)


def _page(request: HttpRequest, link: PageLink, template: str, **context: Any) -> HttpResponse:
    return render(request, template, {"link": link, "company": link.user.company, **context})
