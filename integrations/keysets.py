"""Fetch what a company publishes to verify its tokens by (`settings.KEY_SET_FETCHER`)."""

import httpx2
from django.conf import settings

from calendars.providers import ProviderError
from integrations.http import Session

MAX_BYTES = 256 * 1024


def fetch(url: str) -> bytes:
    """The body at `url`, at most 256 KB, over the guarded way out: staff of one company must not reach our network.

    Raises OSError when there is none, whatever the reason.
    """
    try:
        # A request of ours waits for it.
        seconds = 2 * settings.OUTBOUND_TIMEOUT_SECONDS
        session = Session(url, authorization="", checkpoint=_nothing_to_renew, deadline_seconds=seconds)
        reply = session.request("GET", url, headers={"Accept": "application/json"}, max_bytes=MAX_BYTES)
    except (ProviderError, httpx2.InvalidURL) as error:
        raise OSError(type(error).__name__) from None
    if reply.status != 200:
        raise OSError(f"status {reply.status}")
    return reply.body


def _nothing_to_renew() -> None:
    pass
