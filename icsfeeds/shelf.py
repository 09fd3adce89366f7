"""Where prepared feeds are kept: in this process, and in the cache that all processes share.

Nothing here decides whether a feed is current: whoever takes something from the shelf holds it against the ledger's
revision. So whatever is lost, or old, only costs a rendering.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

import structlog
from django.conf import settings
from django.core.cache import cache

from icsfeeds.contents import Contents
from icsfeeds.preparation import Prepared

_SHARED_SECONDS = 7 * 86_400
_SHARED_BYTES_MOST = 8 * 1024 * 1024

Value = TypeVar("Value")
log = structlog.get_logger("feed")


class Shelf(Generic[Value]):
    """The values that were used last, up to so many bytes; safe to use from several threads."""

    def __init__(self, most_bytes: int) -> None:
        self._most, self._held = most_bytes, 0
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Value | None:
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: Value, weight: int) -> None:
        """Keep the value, whatever it weighs, and of the others as many as fit beside it."""
        with self._lock:
            _, before = self._values.pop(key, (None, 0))
            self._values[key] = (value, weight)
            self._held += weight - before
            while self._held > self._most and len(self._values) > 1:
                _, (_, gone) = self._values.popitem(last=False)
                self._held -= gone

    def clear(self) -> None:
        with self._lock:
            self._values.clear()
            self._held = 0


def shared(user_pk: int, contents: Contents) -> Prepared | None:
    """What some process prepared of this; None where there is nothing, or no cache that processes share."""
    if not settings.REDIS_URL:
        return None
    try:
        found = cache.get(_key(user_pk, contents))
    # Whatever ails the cache, or what is in it (another version's pickle), the feed is rendered.
    except Exception as error:  # noqa: BLE001
        log.warning("feed_cache_unavailable", error=type(error).__name__)
        return None
    return found if isinstance(found, Prepared) else None


def share(user_pk: int, contents: Contents, prepared: Prepared) -> None:
    """Let the other processes have it."""
    if not settings.REDIS_URL or weight_of(prepared) > _SHARED_BYTES_MOST:
        return
    try:
        cache.set(_key(user_pk, contents), prepared, _SHARED_SECONDS)
    except Exception as error:  # noqa: BLE001
        log.warning("feed_cache_unavailable", error=type(error).__name__)


def weight_of(prepared: Prepared) -> int:
    """Bytes held, roughly."""
    return sum(len(one.deflated) + 500 for one in prepared.pieces)


def _key(user_pk: int, contents: Contents) -> str:
    return f"feed:{user_pk}:{hashlib.sha256(repr(contents).encode()).hexdigest()[:32]}"
