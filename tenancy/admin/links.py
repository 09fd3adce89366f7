"""Handing a user the link of a page: shown on the page that makes it, stored nowhere."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from tenancy.page_links import PageLink


def link_page(
    model_admin: Any, request: HttpRequest, rows: QuerySet[Any], page: str, issue: Callable[[Any], PageLink]
) -> HttpResponse | None:
    """The link that `issue` makes for the one chosen row, to the page of this URL name; None, with a message, where
    more rows were chosen."""
    chosen = list(rows[:2])
    if len(chosen) != 1:
        model_admin.message_user(request, "Choose one row: each link is for one person.", messages.ERROR)
        return None
    link = issue(chosen[0])
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "A link to hand over",
        "opts": model_admin.opts,
        "link": link,
        "url": f"{settings.PUBLIC_URL}{reverse(page, args=[link.text])}",
        "row": chosen[0],
    }
    response = TemplateResponse(request, "admin/link_issued.html", context)
    response["Cache-Control"] = "no-store"
    return response
