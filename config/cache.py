"""The cache over Redis: Django's own, with a client that is made once."""

from typing import Any

from django.core.cache.backends import redis


class _Client(redis.RedisCacheClient):
    """Django makes a client of redis-py for every call, which takes longer than the call. They hold no state but the
    pool that they are made for, and Django has one of these for each thread.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._made: dict[int, Any] = {}

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        # Pools are kept as long as this client is.
        pool = self._get_connection_pool(write)  # type: ignore[attr-defined]  # the stubs know public names only
        if id(pool) not in self._made:
            self._made[id(pool)] = self._client(connection_pool=pool)  # type: ignore[attr-defined]
        return self._made[id(pool)]


class RedisCache(redis.RedisCache):
    """As Django's."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _Client
