"""A company's published keys: rotation, and an address that is down, slow or hostile."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import OKPAlgorithm

from integrations import keysets
from tenancy import jwks, tokens
from tenancy.errors import KeysUnavailable, NotAuthenticated
from tenancy.models import Company

OLD, NEW = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def published(*keys: tuple[str | None, Ed25519PrivateKey], **more: Any) -> bytes:
    entries = [
        {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), **({"kid": kid} if kid else {}), **more}
        for kid, key in keys
    ]
    return json.dumps({"keys": entries}).encode()


class Address:
    """A key set's address that counts, fails and moves its clock at will."""

    def __init__(self, body: bytes) -> None:
        self.body: bytes | Exception = body
        self.visits = 0
        self.now = 1000.0
        self.keys = jwks.KeySet("https://id.acme/jwks", fetch=self.fetch, clock=lambda: self.now)

    def fetch(self, url: str) -> bytes:
        self.visits += 1
        if isinstance(self.body, Exception):
            raise self.body
        return self.body


def test_keys_are_fetched_once_for_many_tokens():
    address = Address(published(("old", OLD)))

    for _ in range(20):
        assert len(address.keys.find("old")) == 1

    assert address.visits == 1


def test_rotated_key_is_found_at_once():
    address = Address(published(("old", OLD)))
    address.keys.find("old")
    address.body = published(("new", NEW))
    address.now += jwks.REFETCH_AFTER_SECONDS

    assert len(address.keys.find("new")) == 1


def test_withdrawn_key_is_gone_when_the_set_is_no_longer_fresh():
    address = Address(published(("old", OLD)))
    address.keys.find("old")
    address.body = published(("new", NEW))
    address.now += jwks.FRESH_FOR_SECONDS

    assert address.keys.find("old") == []


def test_a_thousand_unknown_key_ids_cost_one_visit():
    address = Address(published(("old", OLD)))

    for number in range(1000):
        assert address.keys.find(f"guess-{number}") == []

    assert address.visits == 1


def test_token_without_key_id_is_tried_with_every_key():
    assert len(Address(published(("a", OLD), ("b", NEW))).keys.find(None)) == 2


def test_key_without_id_is_tried_for_every_token():
    assert len(Address(published((None, OLD))).keys.find("whatever")) == 1


def test_keys_serve_on_while_their_address_is_down():
    address = Address(published(("old", OLD)))
    address.keys.find("old")
    address.body = OSError("refused")
    address.now += jwks.STALE_AFTER_SECONDS - 1

    assert len(address.keys.find("old")) == 1


def test_keys_that_nobody_could_renew_for_an_hour_are_worth_nothing():
    address = Address(published(("old", OLD)))
    address.keys.find("old")
    address.body = OSError("refused")
    address.now += jwks.STALE_AFTER_SECONDS

    with pytest.raises(KeysUnavailable):
        address.keys.find("old")


NO_KEY_SET = [
    (OSError("refused"), "the server is down"),
    (b"<html>", "a page"),
    (b"[]", "a list"),
    (b'{"keys": {}}', "keys that are no list"),
    (b"[" * 100_000, "a nest"),
    (b"\xff\xfe", "bytes"),
]


@pytest.mark.parametrize("body", [row[0] for row in NO_KEY_SET], ids=[row[1] for row in NO_KEY_SET])
def test_without_a_key_set_nobody_can_judge(body):
    with pytest.raises(KeysUnavailable):
        Address(body).keys.find("old")


def test_while_down_the_address_is_left_in_peace():
    address = Address(b"")
    address.body = OSError("refused")

    for _ in range(50):
        with pytest.raises(KeysUnavailable):
            address.keys.find("old")

    assert address.visits == 1


def test_keys_for_encryption_and_shared_secrets_are_passed_over():
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}
    body = json.loads(published(("enc", OLD), use="enc"))
    body["keys"] += [secret, {"kty": "RSA", "kid": "broken"}, "no object", {"kty": "EC", "crv": "P-999"}]

    assert Address(json.dumps(body).encode()).keys.find(None) == []


def test_nobody_waits_for_a_fetch_that_hangs(monkeypatch):
    monkeypatch.setattr(jwks, "PATIENCE_SECONDS", 0.01)
    hanging, visits = threading.Event(), []

    def fetch(_url: str) -> bytes:
        visits.append(1)
        hanging.wait(10)
        return published(("old", OLD))

    keys = jwks.KeySet("https://id.acme/jwks", fetch=fetch)
    for _ in range(10):
        with pytest.raises(KeysUnavailable):
            keys.find("old")
    fetching = keys._fetching
    hanging.set()
    assert fetching is not None
    fetching.result(10)

    assert len(visits) == 1
    assert len(keys.find("old")) == 1


# Over the wire ------------------------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = self.server.answers[self.path]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def issuer(settings) -> Iterator[ThreadingHTTPServer]:
    """An issuer's server on this machine, for which the operator vouches."""
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.answers = {}
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def url_of(issuer: ThreadingHTTPServer, path: str) -> str:
    return f"http://127.0.0.1:{issuer.server_port}{path}"


def signed(key: Ed25519PrivateKey, kid: str) -> str:
    claims = {"sub": "alice", "scope": "calendars:read", "exp": datetime.now(UTC) + timedelta(hours=1)}
    return jwt.encode(claims, key, "EdDSA", headers={"kid": kid})


def test_company_is_believed_by_the_keys_at_its_address(issuer):
    issuer.answers["/jwks"] = (200, {"Content-Type": "application/json"}, published(("old", OLD), ("new", NEW)))
    acme = Company(url_id="acme", jwt_algorithm="EdDSA", jwks_url=url_of(issuer, "/jwks"))

    assert tokens.verify(signed(NEW, "new"), acme).user_unique_id == "alice"
    with pytest.raises(NotAuthenticated):
        tokens.verify(signed(NEW, "old"), acme)


def test_pem_keys_serve_while_the_address_is_down():
    key = OLD.public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    acme = Company(url_id="acme", jwt_algorithm="EdDSA", jwks_url="http://127.0.0.1:9/jwks", jwt_public_keys=pem)

    assert tokens.verify(signed(OLD, "old"), acme).user_unique_id == "alice"
    with pytest.raises(KeysUnavailable):
        tokens.verify(signed(NEW, "new"), acme)


def test_redirects_to_another_site_are_not_followed(issuer):
    issuer.answers["/moved"] = (302, {"Location": f"http://localhost:{issuer.server_port}/jwks"}, b"")

    with pytest.raises(OSError, match="UnexpectedAnswer"):
        jwks.fetch(url_of(issuer, "/moved"))


def test_an_endless_key_set_is_cut(issuer):
    issuer.answers["/jwks"] = (200, {}, b" " * (keysets.MAX_BYTES + 1))

    with pytest.raises(OSError, match="TooLarge"):
        jwks.fetch(url_of(issuer, "/jwks"))


def test_a_page_that_says_no_is_no_key_set(issuer):
    issuer.answers["/jwks"] = (403, {}, published(("old", OLD)))

    with pytest.raises(OSError, match="403"):
        jwks.fetch(url_of(issuer, "/jwks"))


def test_our_own_network_is_no_address_for_keys(issuer, settings):
    issuer.answers["/jwks"] = (200, {}, published(("old", OLD)))
    settings.OUTBOUND_ALLOWED_HOSTS = []

    with pytest.raises(OSError, match="AddressRefused"):
        jwks.fetch(url_of(issuer, "/jwks"))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://id.acme/jwks", "data:,{}", "", "http://[", "http://"])
def test_only_http_addresses_are_fetched(url):
    with pytest.raises(OSError, match=r"^\w+$"):
        jwks.fetch(url)
