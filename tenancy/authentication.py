"""`Authorization: Bearer …` together with `AppId: …`."""

import hashlib

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from tenancy import audit, tokens
from tenancy.callers import Caller
from tenancy.errors import NotAuthenticated
from tenancy.models import ApiKey


class BearerAuthentication(BaseAuthentication):
    """The AppId names the company, the bearer token the caller; each without the other is nobody."""

    def authenticate(self, request: Request) -> tuple[Caller, str]:
        """The caller, as DRF's `request.user`, and a fingerprint of the token; raises `NotAuthenticated`."""
        app_id = request.headers.get("AppId", "").strip()
        scheme, _, token = request.headers.get("Authorization", "").strip().partition(" ")
        if not app_id:
            raise NotAuthenticated("Send your API key in the AppId header.")
        if scheme.lower() != "bearer" or not token.strip():
            raise NotAuthenticated("Send a token in the Authorization header: Bearer …")
        key = ApiKey.objects.select_related("company").filter(digest=ApiKey.digest_of(app_id), active=True).first()
        if key is None:
            raise NotAuthenticated("The AppId is not known.")
        caller = tokens.verify(token.strip(), key.company)
        audit.is_called_by(request._request, caller, key)
        return caller, hashlib.sha256(token.encode()).hexdigest()[:16]

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="calendar"'
