"""Trying what a person typed before any of it is stored: does this server let them in, and does it have calendars?"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.cache import cache

from calendars.providers import (
    BadProviderData,
    CalendarGone,
    Connection,
    NoSuchProvider,
    Throttled,
    Unreachable,
    provider_class,
)
from tenancy.models import CrmUser

# Somebody looks at a page meanwhile, and a thread of the web server waits with them.
REQUEST_SECONDS = 15.0
SECONDS = 25.0


def try_out(user: CrmUser, provider: str, *, email: str, provider_data: dict[str, Any]) -> None:
    """Sign in with this and ask for the list of calendars; nothing is stored.

    Raises `BadProviderData` for what no server need be asked about, and `ProviderError`: `CalendarGone` for an account
    without calendars, `Throttled` while another trial of the same user is under way. Killed midway it leaves nothing
    but that, for a minute.
    """
    try:
        backend = provider_class(provider)
    except NoSuchProvider:
        raise BadProviderData("", f"{provider} accounts cannot be connected on this service.") from None
    credentials = backend.credentials_from(provider_data, email=email)
    deadline = time.monotonic() + SECONDS

    def checkpoint() -> None:
        if time.monotonic() > deadline:
            raise Unreachable("The server takes too long.")

    connection = Connection(
        email=email, credentials=credentials, checkpoint=checkpoint, deadline_seconds=REQUEST_SECONDS
    )
    with _one_at_a_time(user):
        found = backend(connection).calendars()
    if not found:
        raise CalendarGone("The account has no calendars.")


@contextmanager
def _one_at_a_time(user: CrmUser) -> Iterator[None]:
    key = f"trial:{user.pk}"
    if not cache.add(key, 1, timeout=60):
        raise Throttled("Another trial is under way.")
    try:
        yield
    finally:
        cache.delete(key)
