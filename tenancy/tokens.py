"""Bearer tokens: JWTs of the service itself, and of each company's own issuer (RFC 7519, RFC 8725)."""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from tenancy.callers import Caller, Scope
from tenancy.errors import NotAuthenticated
from tenancy.models import Company

_CLOCK_SKEW = timedelta(seconds=30)


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
    return jwt.encode(claims, _private_key(settings.SECRET_KEY), algorithm="EdDSA", headers={"typ": "at+jwt"})


def verify(token: str, company: Company) -> Caller:
    """The caller that `token` speaks for at `company`; raises `NotAuthenticated`.

    The token's unverified `iss` only chooses between the two issuers that the company trusts; key and algorithm then
    come from configuration, never from the token's header.
    """
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
        if issuer == settings.TOKEN_ISSUER:
            claims = _verify_own(token, company)
        else:
            claims = _verify_companys(token, company)
    except (jwt.PyJWTError, ValueError) as error:
        raise NotAuthenticated(_reason(error)) from None
    subject = claims.get("sub")
    return Caller(company, str(subject) if subject is not None else None, _scopes(claims))


def _verify_own(token: str, company: Company) -> dict[str, Any]:
    public_keys = [
        _private_key(secret).public_key() for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]
    return _decode(token, public_keys, "EdDSA", issuer=settings.TOKEN_ISSUER, audience=company.url_id)


def _verify_companys(token: str, company: Company) -> dict[str, Any]:
    keys: list[Any] = []
    if company.jwks_url:
        keys.append(_jwks(company.jwks_url).get_signing_key_from_jwt(token).key)
    keys.extend(_pem_keys(company.jwt_public_keys))
    if not keys:
        raise jwt.InvalidIssuerError
    return _decode(
        token,
        keys,
        company.jwt_algorithm,
        issuer=company.jwt_issuer or None,
        audience=company.jwt_audience or None,
    )


def _decode(token: str, keys: list[Any], algorithm: str, *, issuer: str | None, audience: str | None) -> dict[str, Any]:
    failure: jwt.PyJWTError = jwt.InvalidSignatureError()
    for key in keys:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=issuer,
                audience=audience,
                leeway=_CLOCK_SKEW,
                options={"require": ["exp"], "verify_aud": audience is not None},
            )
        except (jwt.InvalidSignatureError, jwt.InvalidKeyError) as error:
            failure = error
    raise failure


@lru_cache(maxsize=256)
def _jwks(url: str) -> jwt.PyJWKClient:
    return jwt.PyJWKClient(url, cache_keys=True, lifespan=300, timeout=5)


def _pem_keys(text: str) -> list[str]:
    end = "-----END PUBLIC KEY-----"
    return [f"{part.strip()}\n{end}\n" for part in text.split(end) if part.strip()]


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """RFC 8693 `scope` (blank-separated), or the lists that some issuers write."""
    found: list[str] = []
    for name in ("scope", "scp", "scopes"):
        value = claims.get(name, ())
        found.extend(value.split() if isinstance(value, str) else [str(item) for item in value or ()])
    return frozenset(found)


def _reason(error: Exception) -> str:
    if isinstance(error, jwt.ExpiredSignatureError):
        return "The bearer token has expired."
    return "The bearer token is not valid for this AppId."
