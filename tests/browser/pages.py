"""Ways into the pages."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from tenancy import page_links
from tenancy.models import CrmUser, Staff


def link_of(user: CrmUser, *, feed: UUID | None = None, **values: Any) -> str:
    """The text of a link for the user."""
    return page_links.issue(user, now=timezone.now(), feed=feed, **values).text


def connect_page(user: CrmUser) -> str:
    """The path of the user's connect page."""
    return reverse("connect", args=[link_of(user)])


def subscribe_page(user: CrmUser, *, feed: UUID | None = None) -> str:
    return reverse("subscribe", args=[link_of(user, feed=feed)])


def sign_in(page: Page, site: str) -> None:
    """The tab is an operator's from now on."""
    operator, _ = Staff.objects.get_or_create(username="operator", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(operator)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site}])
