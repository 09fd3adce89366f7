"""An OpenID provider: consent by the test, one-use codes with PKCE, signed ID tokens, userinfo and a key set.

It refuses whatever the specification has it refuse: an unknown client or redirect URI, a missing state, nonce or
challenge, a code that was used or a verifier that does not fit. https://openid.net/specs/openid-connect-core-1_0.html
"""

import base64
import hashlib
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from tests.proxy import Ask, Canned
from tests.simulators.base import Simulator, form_of, json_answer, path_of

CLIENT_ID, CLIENT_SECRET = "calendar-admin", "simulated-secret"


@cache
def _key(name: str) -> rsa.RSAPrivateKey:
    """One for all tests: making one takes as long as some of them."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class OpenIdProvider(Simulator):
    """redirect_uris: those registered. claims: changed by a test, they stand in the next ID tokens instead of the true
    ones; `said` likewise in the answers of userinfo. signed_by: the name of the key."""

    def __init__(self) -> None:
        super().__init__()
        self.redirect_uris: set[str] = set()
        self.claims: dict[str, Any] = {}
        self.said: dict[str, Any] = {}
        self.signed_by = "published"
        self._codes: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}
        self._access: dict[str, dict[str, Any]] = {}

    @property
    def issuer(self) -> str:
        return self.url.rstrip("/")

    def sign_in(self, address: str, person: Mapping[str, Any]) -> str:
        """The person (claims, at least `sub`) signs in where a browser was sent to, and agrees; where the
        browser is sent then."""
        asked = dict(parse_qsl(urlsplit(address).query))
        assert urlsplit(address).path == "/authorize"
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["redirect_uri"] in self.redirect_uris
        assert "openid" in asked["scope"].split()
        assert len(asked["state"]) >= 16
        assert len(asked["nonce"]) >= 16
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        with self.lock:
            self._codes[code] = (asked, dict(person))
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def respond(self, ask: Ask) -> Canned:
        match path_of(ask):
            case "/token":
                return self._token(form_of(ask))
            case "/userinfo":
                return self._userinfo(ask.headers.get("Authorization", ""))
            case "/jwks":
                public = RSAAlgorithm.to_jwk(_key("published").public_key(), as_dict=True)
                return json_answer({"keys": [{**public, "kid": "1", "alg": "RS256", "use": "sig"}]})
        return Canned(404)

    def _token(self, form: Mapping[str, str]) -> Canned:
        asked, person = self._codes.pop(form.get("code", ""), (None, {}))
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return json_answer({"error": "invalid_client"}, 401)
        if (
            asked is None
            or form.get("grant_type") != "authorization_code"
            or form.get("redirect_uri") != asked["redirect_uri"]
            or base64.urlsafe_b64encode(verifier).decode().rstrip("=") != asked["code_challenge"]
        ):
            return json_answer({"error": "invalid_grant"}, 400)
        now = datetime.now(UTC)
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": person["sub"],
            "nonce": asked["nonce"],
            "iat": now,
            "exp": now + timedelta(minutes=5),
            **self.claims,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        access = secrets.token_urlsafe(16)
        self._access[access] = person
        token = jwt.encode(claims, _key(self.signed_by), algorithm="RS256", headers={"kid": "1"})
        return json_answer({"access_token": access, "token_type": "Bearer", "id_token": token, "expires_in": 300})

    def _userinfo(self, authorization: str) -> Canned:
        person = self._access.get(authorization.removeprefix("Bearer "))
        return json_answer({**person, **self.said}) if person is not None else Canned(401)
