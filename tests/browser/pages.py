"""Ways into the pages that need no login."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils import timezone

from tenancy import page_links
from tenancy.models import CrmUser


def link_of(user: CrmUser, *, feed: UUID | None = None, **values: Any) -> str:
    """The text of a link for the user."""
    return page_links.issue(user, now=timezone.now(), feed=feed, **values).text


def connect_page(user: CrmUser) -> str:
    """The path of the user's connect page."""
    return reverse("connect", args=[link_of(user)])


def subscribe_page(user: CrmUser, *, feed: UUID | None = None) -> str:
    return reverse("subscribe", args=[link_of(user, feed=feed)])


def expired_link(user: CrmUser) -> str:
    return page_links.issue(user, now=timezone.now() - timedelta(days=2)).text
