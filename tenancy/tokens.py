"""Bearer tokens: JWTs of the service itself, and of each company's own issuer (RFC 7519, RFC 8725)."""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings

from tenancy.callers import Caller, Scope
from tenancy.errors import NotAuthenticated
from tenancy.jwks import KeySet
from tenancy.models import Company

CLOCK_SKEW = timedelta(seconds=30)
# Far above any real token; what is longer is not worth parsing.
MAX_LENGTH = 8192
_TYPE = "at+jwt"
_MIN_RSA_BITS = 2048
_PEM = re.compile(r"-----BEGIN ([A-Z ]*PUBLIC KEY)-----.+?-----END \1-----", re.DOTALL)


@lru_cache(maxsize=4)
def _private_key(secret: str) -> Ed25519PrivateKey:
    seed = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"bearer tokens").derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def issue(
    company: Company, *, user_unique_id: str | None, scopes: list[Scope], lifetime: timedelta, now: datetime
) -> str:
    """A bearer token of the service's own key (Ed25519, derived from SECRET_KEY), valid for `lifetime` from `now`."""
    claims: dict[str, Any] = {
        "iss": settings.TOKEN_ISSUER,
        "aud": company.url_id,
        "scope": " ".join(scopes),
        "iat": now,
        "exp": now + lifetime,
    }
    if user_unique_id is not None:
        claims["sub"] = user_unique_id
    return jwt.encode(claims, _private_key(settings.SECRET_KEY), algorithm="EdDSA", headers={"typ": _TYPE})


def verify(token: str, company: Company) -> Caller:
    """The caller that `token` speaks for at `company`.

    The token's unverified `iss` only chooses between the two issuers that the company trusts; the algorithm then comes
    from configuration, and of the token's header nothing is used but `kid`, to choose among the configured keys.
    Raises `NotAuthenticated`; `KeysUnavailable` when the company's key set cannot be fetched.
    """
    if len(token) > MAX_LENGTH:
        raise NotAuthenticated("The bearer token is too long.")
    try:
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
        if unverified["payload"].get("iss") == settings.TOKEN_ISSUER:
            claims = _verify_own(token, company, unverified["header"])
        else:
            claims = _verify_companys(token, company, unverified["header"])
    # Beyond PyJWT's own errors: what its parsing lets through for numbers, nesting and key material out of all reason.
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise NotAuthenticated(_reason(error)) from None
    return Caller(company, claims.get("sub"), _scopes(claims))


def _verify_own(token: str, company: Company, header: dict[str, Any]) -> dict[str, Any]:
    # RFC 8725 §3.11: whatever else this key may sign one day is no access token.
    if header.get("typ") != _TYPE:
        raise jwt.InvalidTokenError
    keys = [_private_key(secret).public_key() for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    return _decode(token, keys, "EdDSA", issuer=settings.TOKEN_ISSUER, audience=company.url_id)


def _verify_companys(token: str, company: Company, header: dict[str, Any]) -> dict[str, Any]:
    expected = {"issuer": company.jwt_issuer or None, "audience": company.jwt_audience or None}
    try:
        return _decode(token, _pem_keys(company.jwt_public_keys), company.jwt_algorithm, **expected)
    except jwt.InvalidSignatureError:
        if not company.jwks_url:
            raise
    key_id = header.get("kid")
    published = _key_set(company.jwks_url).find(key_id if isinstance(key_id, str) else None)
    return _decode(token, published, company.jwt_algorithm, **expected)


def _decode(token: str, keys: list[Any], algorithm: str, *, issuer: str | None, audience: str | None) -> dict[str, Any]:
    """The claims, checked. A key of another kind than `algorithm` takes is never tried."""
    for key in keys:
        if not _fits(key, algorithm):
            continue
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=issuer,
                audience=audience,
                leeway=CLOCK_SKEW,
                options={"require": ["exp"], "verify_aud": audience is not None},
            )
        except jwt.InvalidSignatureError:
            continue
    raise jwt.InvalidSignatureError


def _fits(key: Any, algorithm: str) -> bool:
    match algorithm:
        case "RS256":
            return isinstance(key, RSAPublicKey) and key.key_size >= _MIN_RSA_BITS
        case "ES256":
            return isinstance(key, EllipticCurvePublicKey) and key.curve.name == "secp256r1"
        case "EdDSA":
            return isinstance(key, Ed25519PublicKey)
    return False


@lru_cache(maxsize=64)
def _pem_keys(text: str) -> list[Any]:
    """The public keys in `text`, one PEM block after the other; what cannot be read is no key."""
    found = []
    for block in _PEM.finditer(text):
        try:
            found.append(load_pem_public_key(block.group(0).encode()))
        except (ValueError, UnsupportedAlgorithm):
            continue
    return found


@lru_cache(maxsize=256)
def _key_set(url: str) -> KeySet:
    return KeySet(url)


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """RFC 8693 `scope` (blank-separated), or the lists that some issuers write; no claim, no scope."""
    found: list[str] = []
    for name in ("scope", "scp", "scopes"):
        value = claims.get(name)
        if isinstance(value, str):
            found.extend(value.split())
        elif isinstance(value, list):
            found.extend(item for item in value if isinstance(item, str))
    return frozenset(found)


def _reason(error: Exception) -> str:
    if isinstance(error, jwt.ExpiredSignatureError):
        return "The bearer token has expired."
    if isinstance(error, jwt.ImmatureSignatureError):
        return "The bearer token is not valid yet."
    return "The bearer token is not valid for this AppId."
