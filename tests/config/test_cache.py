"""The cache over Redis makes its clients once; what it keeps is the business of those who use it."""

from config.cache import RedisCache


def test_calls_share_a_client():
    client = RedisCache("redis://127.0.0.1:1/0", {})._cache
    assert client.get_client("a") is client.get_client("b", write=True)


def test_each_server_has_a_client_of_its_own(monkeypatch):
    client = RedisCache("redis://127.0.0.1:1/0,redis://127.0.0.1:2/0", {})._cache
    found = []
    for index in (0, 1, 0):
        monkeypatch.setattr(client, "_get_connection_pool_index", lambda write, index=index: index)
        found.append(client.get_client("a"))
    ports = [each.connection_pool.connection_kwargs["port"] for each in found]
    assert (ports, found[0] is found[2]) == ([1, 2, 1], True)
