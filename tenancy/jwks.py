"""The public keys that a company publishes (RFC 7517), fetched rarely, briefly, and never twice at once.

What a caller can provoke is bounded: one fetch at a time for each address, at most one in `REFETCH_AFTER` however
many unknown key ids are presented, and nobody waits longer than `PATIENCE` (`BRIEF_PATIENCE` when the old keys would
do). Keys that were fetched once keep serving while the address is down, for at most `STALE_AFTER`.
"""

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

import jwt
import structlog
from django.conf import settings
from django.utils.module_loading import import_string

from tenancy.errors import KeysUnavailable

log = structlog.get_logger("jwks")

FRESH_FOR_SECONDS = 300.0
REFETCH_AFTER_SECONDS = 10.0
STALE_AFTER_SECONDS = 3600.0
PATIENCE_SECONDS = 5.0
BRIEF_PATIENCE_SECONDS = 1.0


def fetch(url: str) -> bytes:
    """The bytes at the address, as the configured fetcher brings them; raises OSError or ValueError."""
    fetcher: Callable[[str], bytes] = import_string(settings.KEY_SET_FETCHER)
    return fetcher(url)


class KeySet:
    """The keys at one address."""

    def __init__(
        self, url: str, *, fetch: Callable[[str], bytes] = fetch, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, list[Any]] = {}
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching: Future[None] | None = None

    def find(self, key_id: str | None) -> list[Any]:
        """Keys to try for a token that names `key_id` in its header, or every key when it names none.

        An id that is not among them is looked for once more at the address: keys rotate. Raises `KeysUnavailable`
        when there is nothing to judge by.
        """
        known = bool(self._keys) and (key_id is None or key_id in self._keys)
        if not known or self._age(self._fetched_at) >= FRESH_FOR_SECONDS:
            self._refresh(BRIEF_PATIENCE_SECONDS if known else PATIENCE_SECONDS)
        if self._age(self._fetched_at) >= STALE_AFTER_SECONDS:
            raise KeysUnavailable
        if key_id is None:
            return [key for keys in self._keys.values() for key in keys]
        # Keys that carry no id may be anybody's.
        return self._keys.get(key_id, []) + self._keys.get("", [])

    def _age(self, moment: float | None) -> float:
        return float("inf") if moment is None else self._clock() - moment

    def _refresh(self, patience: float) -> None:
        """Fetch, unless that was tried a moment ago; wait for a fetch that is under way, until it is `patience` old."""
        with self._lock:
            if self._fetching is None:
                if self._age(self._tried_at) < REFETCH_AFTER_SECONDS:
                    return
                self._tried_at = self._clock()
                self._fetching = Future()
                # A thread, because a socket's timeout bounds each read and not their sum.
                threading.Thread(target=self._run, args=(self._fetching,), daemon=True).start()
            fetching = self._fetching
            left = patience - self._age(self._tried_at)
        try:
            fetching.result(timeout=max(left, 0))
        except FutureTimeout:
            return

    def _run(self, done: Future[None]) -> None:
        keys = None
        try:
            keys = _read(self._fetch(self._url))
        except (OSError, ValueError, RecursionError, jwt.PyJWTError):
            log.warning("key_set_not_fetched", exc_info=True)
        finally:
            with self._lock:
                if keys is not None:
                    self._keys, self._fetched_at = keys, self._clock()
                self._fetching = None
            done.set_result(None)


def _read(body: bytes) -> dict[str, list[Any]]:
    """Signing keys by id; keys of kinds that we cannot use are passed over. Raises ValueError on anything else."""
    document = json.loads(body)
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWK set")
    found: dict[str, list[Any]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        try:
            key = jwt.PyJWK.from_dict(entry).key
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
        key_id = entry.get("kid", "")
        found.setdefault(key_id if isinstance(key_id, str) else "", []).append(key)
    return found
