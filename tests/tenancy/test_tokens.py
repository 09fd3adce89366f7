"""Bearer tokens: who gets in, and who does not (RFC 8725)."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tenancy import tokens
from tenancy.callers import Scope
from tenancy.errors import NotAuthenticated
from tenancy.models import Company

# One key here is too short on purpose.
pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC = ec.generate_private_key(ec.SECP256R1())
ED = Ed25519PrivateKey.generate()
STRANGER = Ed25519PrivateKey.generate()


def pem(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def acme(**fields: Any) -> Company:
    """Acme as a value: no database is needed to judge a token."""
    return Company(url_id="acme", **fields)


GLOBEX = Company(url_id="globex")


def own(company: Company | None = None, *, scopes: tuple[Scope, ...] = (Scope.READ,)) -> str:
    return tokens.issue(company or acme(), user_unique_id="alice", scopes=list(scopes), lifetime=HOUR, now=NOW)


def theirs(key: Any, algorithm: str, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    """A token of acme's own issuer."""
    told = {"sub": "alice", "exp": NOW + HOUR, **claims}
    return jwt.encode(
        {name: value for name, value in told.items() if value is not None}, key, algorithm=algorithm, headers=headers
    )


def forged(header: dict[str, Any], payload: bytes, signature: bytes = b"") -> str:
    parts = (json.dumps(header).encode(), payload, signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@pytest.fixture(autouse=True)
def _at_noon():
    with time_machine.travel(NOW, tick=False):
        yield


def test_own_token_says_who_and_what():
    caller = tokens.verify(own(scopes=(Scope.READ, Scope.WRITE)), acme())

    assert caller.user_unique_id == "alice"
    assert caller.scopes == {"calendars:read", "calendars:write"}


def test_own_token_of_another_company_is_refused():
    with pytest.raises(NotAuthenticated):
        tokens.verify(own(GLOBEX), acme())


def test_own_token_outlives_its_key_while_the_old_key_is_a_fallback(settings):
    token = own()
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "a new one " * 6

    assert tokens.verify(token, acme()).user_unique_id == "alice"

    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(NotAuthenticated):
        tokens.verify(token, acme())


def test_expired_token_is_told_so():
    token = own()
    with time_machine_at(NOW + HOUR + timedelta(seconds=31)), pytest.raises(NotAuthenticated, match="has expired"):
        tokens.verify(token, acme())


def time_machine_at(moment: datetime) -> Any:
    return time_machine.travel(moment, tick=False)


def test_a_clock_may_be_half_a_minute_off():
    token = own()
    with time_machine_at(NOW + HOUR + timedelta(seconds=29)):
        assert tokens.verify(token, acme()).user_unique_id == "alice"


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")], ids=["RS256", "ES256", "EdDSA"]
)
def test_company_signs_with_its_own_key(key, algorithm):
    company = acme(jwt_algorithm=algorithm, jwt_public_keys=pem(key))

    assert tokens.verify(theirs(key, algorithm), company).user_unique_id == "alice"


def test_any_of_several_keys_will_do_whatever_stands_around_them():
    company = acme(jwt_algorithm="EdDSA", jwt_public_keys=f"# old\r\n{pem(RSA)}\n\nnew:\n{pem(STRANGER)}{pem(ED)}")

    assert tokens.verify(theirs(ED, "EdDSA"), company).user_unique_id == "alice"


def test_a_key_that_cannot_be_read_does_not_hide_the_next():
    broken = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"

    assert tokens.verify(theirs(ED, "EdDSA"), acme(jwt_algorithm="EdDSA", jwt_public_keys=broken + pem(ED)))


RS = {"jwt_algorithm": "RS256", "jwt_public_keys": pem(RSA), "jwt_issuer": "https://id.acme", "jwt_audience": "crm"}
GOOD: dict[str, Any] = {"iss": "https://id.acme", "aud": "crm"}


def hmac_token(secret: bytes, **claims: Any) -> str:
    """HS256 by hand: libraries refuse a PEM key as a secret."""
    told = json.dumps({"sub": "alice", "exp": NOW.timestamp() + 3600, **GOOD, **claims}).encode()
    unsigned = forged({"alg": "HS256", "typ": "JWT"}, told).rpartition(".")[0]
    mac = hmac.new(secret, unsigned.encode(), hashlib.sha256).digest()
    return f"{unsigned}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


NEST = b"[" * 5000

ATTACKS = [
    ("no signature, and the header says that none is needed", lambda: jwt.encode({**GOOD, "sub": "alice"}, "", "none")),
    ("none in capitals", lambda: forged({"alg": "NONE"}, b'{"sub":"alice"}')),
    ("the public key as an HMAC secret", lambda: hmac_token(pem(RSA).encode())),
    ("a stranger's key", lambda: theirs(STRANGER, "EdDSA", **GOOD)),
    ("the right kind of key, but a stranger's", lambda: theirs(SMALL_RSA, "RS256", **GOOD)),
    (
        "the key brought along in the header (jwk)",
        lambda: theirs(STRANGER, "EdDSA", headers={"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}}, **GOOD),
    ),
    (
        "an address of keys brought along in the header (jku)",
        lambda: theirs(STRANGER, "EdDSA", headers={"jku": "http://127.0.0.1:9/jwks"}, **GOOD),
    ),
    ("a key id that is a path", lambda: theirs(STRANGER, "EdDSA", headers={"kid": "../../../dev/null"}, **GOOD)),
    ("another issuer", lambda: theirs(RSA, "RS256", **{**GOOD, "iss": "https://evil"})),
    ("no issuer", lambda: theirs(RSA, "RS256", aud="crm")),
    ("another audience", lambda: theirs(RSA, "RS256", **{**GOOD, "aud": "shop"})),
    ("no audience", lambda: theirs(RSA, "RS256", iss="https://id.acme")),
    ("no end", lambda: theirs(RSA, "RS256", exp=None, **GOOD)),
    ("an end that is a word", lambda: forged({"alg": "RS256"}, b'{"exp":"tomorrow"}')),
    ("an endless end", lambda: jwt.encode({"exp": float("inf"), **GOOD}, RSA, "RS256")),
    ("a beginning in the future", lambda: theirs(RSA, "RS256", nbf=NOW + HOUR, **GOOD)),
    ("issued in the future", lambda: theirs(RSA, "RS256", iat=NOW + HOUR, **GOOD)),
    ("a subject that is no text", lambda: theirs(RSA, "RS256", sub=["alice", "bob"], **GOOD)),
    ("the service's issuer, the company's key", lambda: theirs(RSA, "RS256", iss="crm-calendar", aud="acme")),
    (
        "the service's issuer and type, a stranger's key",
        lambda: theirs(STRANGER, "EdDSA", headers={"typ": "at+jwt"}, iss="crm-calendar", aud="acme"),
    ),
    ("a payload nested without end", lambda: forged({"alg": "RS256"}, NEST)),
    ("a payload that is a list", lambda: forged({"alg": "RS256"}, b"[1]")),
    ("an issuer that is a list", lambda: forged({"alg": "RS256"}, b'{"iss":["https://id.acme"]}')),
    ("a header that is a list", lambda: forged([], b"{}")),  # type: ignore[arg-type]
    ("a megabyte", lambda: "eyJ" + "a" * 1_000_000),
    ("two dots", lambda: ".."),
    ("nothing that is a token", lambda: "hello"),
    ("text beyond ASCII", lambda: "naïve.tökén.ü"),
    ("bytes that the server could not decode", lambda: "\udc80\udcff.\x00.x"),
    ("a detached payload", lambda: forged({"alg": "RS256", "b64": False, "crit": ["b64"]}, b"")),
]


@pytest.mark.parametrize("token", [token for _, token in ATTACKS], ids=[name for name, _ in ATTACKS])
def test_refused(token):
    with pytest.raises(NotAuthenticated):
        tokens.verify(token(), acme(**RS))


def test_the_token_that_the_attacks_imitate_is_let_in():
    assert tokens.verify(theirs(RSA, "RS256", **GOOD), acme(**RS)).user_unique_id == "alice"


def test_a_short_rsa_key_is_no_key():
    with pytest.raises(NotAuthenticated):
        tokens.verify(theirs(SMALL_RSA, "RS256"), acme(jwt_public_keys=pem(SMALL_RSA)))


def test_own_key_signs_nothing_but_access_tokens(settings):
    claims = {"iss": "crm-calendar", "aud": "acme", "sub": "alice", "exp": NOW + HOUR}
    key = tokens._private_key(settings.SECRET_KEY)

    with pytest.raises(NotAuthenticated):
        tokens.verify(jwt.encode(claims, key, "EdDSA", headers={"typ": "state+jwt"}), acme())


def test_company_without_keys_lets_only_own_tokens_in():
    with pytest.raises(NotAuthenticated):
        tokens.verify(theirs(RSA, "RS256"), acme())


SCOPES = [
    ({"scope": "calendars:read calendars:write"}, {"calendars:read", "calendars:write"}, "RFC 8693's text"),
    ({"scp": ["calendars:admin"]}, {"calendars:admin"}, "a list, as some issuers write"),
    ({"scopes": ["calendars:read", 7, None]}, {"calendars:read"}, "only texts of a list"),
    ({"scope": None}, set(), "no claim grants nothing"),
    ({"scope": ""}, set(), "nor does an empty one"),
    ({"scope": 5}, set(), "nor a number"),
    ({"scope": {"calendars:admin": True}}, set(), "nor an object"),
]


@pytest.mark.parametrize(("claims", "granted"), [row[:2] for row in SCOPES], ids=[row[2] for row in SCOPES])
def test_scopes_of_a_token(claims, granted):
    company = acme(jwt_public_keys=pem(RSA))

    assert tokens.verify(theirs(RSA, "RS256", **claims), company).scopes == granted
