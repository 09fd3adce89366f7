"""How much one caller may ask, so that a loop gone wild does not take the service from everybody else."""

import time
from typing import TYPE_CHECKING

import structlog
from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView

log = structlog.get_logger("throttle")
_WINDOW_SECONDS = 60


class PerCaller(BaseThrottle):
    """API_REQUESTS_PER_MINUTE for each bearer token; 0 switches it off."""

    def allow_request(self, request: Request, view: "APIView") -> bool:
        limit: int = settings.API_REQUESTS_PER_MINUTE
        return not limit or is_within(f"requests:{request.auth}", limit)

    def wait(self) -> float:
        """Seconds until the next window."""
        return _WINDOW_SECONDS - time.time() % _WINDOW_SECONDS


def is_within(name: str, limit: int) -> bool:
    """Whether this is one of the first `limit` times of the clock's minute that `name` is counted.

    The count lives in the cache. A cache that does not answer lets everybody pass: the limit protects the service,
    it must not take it down.
    """
    key = f"{name}:{int(time.time() // _WINDOW_SECONDS)}"
    try:
        return _counted(key) <= limit
    except Exception as error:  # noqa: BLE001 (each cache has errors of its own)
        log.warning("cache_unreachable", error=type(error).__name__)
        return True


def _counted(key: str) -> int:
    try:
        return cache.incr(key)
    except ValueError:
        # The first of its minute; where two are at once, one of them.
        return 1 if cache.add(key, 1, timeout=2 * _WINDOW_SECONDS) else cache.incr(key)
