"""`/subscribe/:link`: a person's feeds, and how to have one in the calendar program that they use.

A link of the user shows all of their feeds; the link of one feed shows that one. Everything is a plain form.
"""

import io
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import segno
from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from icsfeeds import services
from icsfeeds.models import Detail, ICSToken
from icsfeeds.serializers import feed_url
from tenancy.page_links import PageLink
from tenancy.pages import by_link

_LONGEST_LABEL = 255


@by_link
def feeds(request: HttpRequest, link: PageLink) -> HttpResponse:
    """The user's feeds, and (POST) a new one; with the link of one feed, that feed."""
    if link.feed is not None:
        return HttpResponseRedirect(reverse("subscribe-feed", args=[link.text, link.feed]))
    if request.method == "POST":
        label = request.POST.get("label", "").replace("\0", "").strip()[:_LONGEST_LABEL]
        token = services.issue(link.user, label=label, detail=_detail(request))
        return _back(link, token, told="made")
    now = timezone.now()
    rows = [(token, token.usable_at(now)) for token in _feeds(link).defer("encrypted_token")]
    return _page(request, link, "pages/feeds.html", feeds=rows, told=_told(request))


@by_link
def feed(request: HttpRequest, link: PageLink, feed_id: UUID) -> HttpResponse:
    """One feed: its address, buttons for each program, a picture of it; and (POST) how much it tells."""
    token = _feed(link, feed_id)
    if request.method == "POST":
        services.change(token, detail=_detail(request))
        return _back(link, token, told="saved")
    https, title = feed_url(token), token.label or str(link.user.company)
    webcal = "webcal://" + https.partition("://")[2]
    added = urlencode({"url": https, "name": title})
    return _page(
        request,
        link,
        "pages/feed.html",
        feed=token,
        usable=token.usable_at(timezone.now()),
        address=https,
        webcal=webcal,
        # Google wants the scheme of subscriptions, else it takes the address for one of its own calendars.
        google=f"https://calendar.google.com/calendar/r?{urlencode({'cid': webcal})}",
        outlook=f"https://outlook.live.com/calendar/0/addfromweb?{added}",
        office=f"https://outlook.office.com/calendar/0/addfromweb?{added}",
        picture=_picture(webcal),
        told=_told(request),
    )


@by_link
def rotate(request: HttpRequest, link: PageLink, feed_id: UUID) -> HttpResponse:
    """Ask whether it is meant, then give the feed a new address; the old one is dead at once."""
    token = _feed(link, feed_id)
    if request.method == "POST":
        services.rotate(token)
        return _back(link, token, told="rotated")
    return _page(request, link, "pages/rotate.html", feed=token)


def url_of(link: PageLink) -> str:
    """Where the page is reached from outside."""
    return f"{settings.PUBLIC_URL}{reverse('subscribe', args=[link.text])}"


def _feeds(link: PageLink) -> QuerySet[ICSToken]:
    rows = ICSToken.objects.filter(company=link.user.company_id, user=link.user)
    return rows if link.feed is None else rows.filter(unique_id=link.feed)


def _feed(link: PageLink, feed_id: UUID) -> ICSToken:
    token = _feeds(link).select_related("company", "user").filter(unique_id=feed_id).first()
    if token is None:
        raise Http404
    return token


def _detail(request: HttpRequest) -> str:
    return Detail.BUSY if request.POST.get("detail") == Detail.BUSY else Detail.FULL


def _told(request: HttpRequest) -> str:
    known = {
        "made": _("The feed is made. Now add it to your calendar."),
        "saved": _("Saved. Programs show it when they ask next."),
        "rotated": _("This is the new address. The old one is dead: add the feed anew wherever you use it."),
    }
    return known.get(request.GET.get("told", ""), "")


def _picture(text: str) -> SafeString:
    """A QR code as SVG, without colours or sizes of its own; the address stands in it as squares, not as text."""
    file = io.BytesIO()
    segno.make(text, error="m").save(
        file, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=1, nl=False, svgclass=None, lineclass=None
    )
    return mark_safe(file.getvalue().decode())  # noqa: S308 (squares; nothing of the text)


def _back(link: PageLink, token: ICSToken, **values: str) -> HttpResponse:
    return HttpResponseRedirect(f"{reverse('subscribe-feed', args=[link.text, token.unique_id])}?{urlencode(values)}")


def _page(request: HttpRequest, link: PageLink, template: str, **context: Any) -> HttpResponse:
    return render(request, template, {"link": link, "company": link.user.company, **context})
