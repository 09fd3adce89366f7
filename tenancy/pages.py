"""What every page has in common that is reached by a link: who may see it, in which language, at what pace.

The link in the path is all that says who somebody is. A browser sends nothing by itself that would help a stranger's
page (no cookie, no session), so a form needs no token against forgery; one that comes from elsewhere is refused all the
same, by what browsers say of it (Sec-Fetch-Site). Django's own check would fail: without a referrer browsers send
`Origin: null`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone, translation
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt

from tenancy import audit, page_links, throttles
from tenancy.audit import Actor
from tenancy.clients import address_of
from tenancy.errors import NotFound
from tenancy.models import ActorKind
from tenancy.page_links import LinkExpired, LinkRefused, PageLink

View = Callable[..., HttpResponse]
# What one link may ask for and change in a minute: more than fingers can, less than a program would.
_LOOKS_A_MINUTE, _CHANGES_A_MINUTE = 240, 40


def by_link(view: View) -> View:
    """A view of (request, link) that is reached by the text of a link; GET, HEAD and POST."""

    @csrf_exempt
    @in_readers_language
    @wraps(view)
    def opened(request: HttpRequest, link: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return guarded(_answer(view, request, link, *args, **kwargs))

    return opened


def in_readers_language(view: View) -> View:
    """The view, in the language that the browser asks for. (No middleware: the API and the admin speak English.)"""

    @wraps(view)
    def translated(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        language = translation.get_language_from_request(request)
        with translation.override(language):
            response = view(request, *args, **kwargs)
        response["Content-Language"] = language
        patch_vary_headers(response, ["Accept-Language"])
        return response

    return translated


def guarded(response: HttpResponse) -> HttpResponse:
    """The address is a secret: no cache keeps the answer, no next page and no search engine hears of it."""
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response


def refusal(request: HttpRequest, status: int, title: str, *sentences: str) -> HttpResponse:
    """A page that says why there is no other."""
    return render(request, "pages/sentences.html", {"title": title, "sentences": sentences}, status=status)


def _answer(view: View, request: HttpRequest, text: str, *args: Any, **kwargs: Any) -> HttpResponse:
    if request.method not in {"GET", "HEAD", "POST"}:
        response = refusal(request, 405, _("This cannot be done"))
        response["Allow"] = "GET, HEAD, POST"
        return response
    try:
        link = page_links.opened(text, now=timezone.now())
    except LinkExpired:
        return refusal(request, 410, _("This link has expired"), _("Ask for a new one where you got this one."))
    except LinkRefused:
        return refusal(
            request,
            404,
            _("This link leads nowhere"),
            _("Perhaps it was not copied to its end. Ask for a new one where you got this one."),
        )
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return refusal(request, 403, _("This came from another site"), _("Nothing was changed."))
    if _is_too_much(request, link):
        return refusal(request, 429, _("That was too much at once"), _("Wait a minute, then try again."))
    who = Actor(ActorKind.LINK, link.user.unique_id, address=address_of(request.META))
    with audit.acting(who), timezone.override(_zone_of(link)):
        try:
            return view(request, link, *args, **kwargs)
        except (Http404, NotFound):
            return refusal(request, 404, _("This is not there any more"), _("Perhaps it was removed meanwhile."))


def _is_too_much(request: HttpRequest, link: PageLink) -> bool:
    changes = request.method == "POST"
    limit, kind = (_CHANGES_A_MINUTE, "change") if changes else (_LOOKS_A_MINUTE, "look")
    return not throttles.is_within(f"page:{kind}:{link.user.pk}", limit)


def _zone_of(link: PageLink) -> ZoneInfo:
    """The user's zone, in which times are told without a script; with one the browser tells them in its own."""
    try:
        return ZoneInfo(link.user.time_zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")
