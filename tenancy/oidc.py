"""Signing in with the company's own account (OpenID Connect), off until it is set up.

mozilla-django-oidc speaks the protocol: the code flow with state, nonce and PKCE. Added here is what it leaves open:
that the ID token is of our provider, for us, and not expired (OpenID Connect Core §3.1.3.7), that the provider's other
answer speaks of the same person (§5.3.2), that only staff who exist and are active come in, and that a failure leads
back to the sign-in page with a sentence. The addresses are the operator's, not anybody's.
"""

from typing import Any

import jwt
import requests
import structlog
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import SuspiciousOperation
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from tenancy.models import Staff

log = structlog.get_logger("signin")

EMAIL = "email"


def is_on() -> bool:
    """Whether it is set up."""
    return bool(settings.OIDC_ISSUER and settings.OIDC_RP_CLIENT_ID)


def context(_request: HttpRequest) -> dict[str, bool]:
    """For the sign-in page's template."""
    return {"oidc_is_on": is_on()}


class StaffBackend(OIDCAuthenticationBackend):
    """The member of staff whom the provider names; nobody is made."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> Staff | None:
        """Only what comes by the callback, which has a nonce: no form can bring a code."""
        if not is_on() or not credentials.get("nonce"):
            return None
        found: Staff | None = super().authenticate(request, **credentials)
        return found

    def verify_token(self, token: str, **known: Any) -> dict[str, Any]:
        """The ID token's claims. Raises SuspiciousOperation, or PyJWT's errors."""
        claims: dict[str, Any] = super().verify_token(token, **known)
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience or []
        if claims.get("iss") != settings.OIDC_ISSUER:
            raise SuspiciousOperation("The token is of another issuer.")
        if settings.OIDC_RP_CLIENT_ID not in audiences:
            raise SuspiciousOperation("The token is for somebody else.")
        if claims.get("azp", settings.OIDC_RP_CLIENT_ID) != settings.OIDC_RP_CLIENT_ID:
            raise SuspiciousOperation("The token was made for another client.")
        if "exp" not in claims or not claims.get("sub"):
            raise SuspiciousOperation("The token does not say until when it is good, or whom it is of.")
        return claims

    def get_userinfo(self, access_token: str, id_token: str, payload: dict[str, Any]) -> dict[str, Any]:
        """The claims of the ID token, and what the provider says beside it, where it is asked."""
        if not settings.OIDC_OP_USER_ENDPOINT:
            return payload
        said: dict[str, Any] = super().get_userinfo(access_token, id_token, payload)
        if said.get("sub") != payload["sub"]:
            raise SuspiciousOperation("The provider speaks of two people.")
        return {**payload, **said}

    def verify_claims(self, claims: dict[str, Any]) -> bool:
        """An e-mail says who it is only where the provider has verified it."""
        value = claims.get(settings.OIDC_CLAIM)
        if not isinstance(value, str) or not value:
            return False
        return settings.OIDC_CLAIM != EMAIL or claims.get("email_verified") is True

    def filter_users_by_claims(self, claims: dict[str, Any]) -> QuerySet[Staff]:
        """Staff of that e-mail; by another claim, of that user name. Two of one e-mail are nobody."""
        staff = Staff.objects.filter(is_active=True, is_staff=True)
        value = claims[settings.OIDC_CLAIM]
        return staff.filter(email__iexact=value) if settings.OIDC_CLAIM == EMAIL else staff.filter(username=value)

    def get_user(self, user_id: Any) -> Staff | None:
        """As Django's own: a session of somebody who is not active any more is nobody's."""
        found = ModelBackend.get_user(self, user_id)
        return found if isinstance(found, Staff) else None


class Start(OIDCAuthenticationRequestView):
    """On to the provider."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if not is_on():
            raise Http404
        response: HttpResponse = super().get(request)
        response["Cache-Control"] = "no-store"
        return response


class Callback(OIDCAuthenticationCallbackView):
    """Back from the provider."""

    def get(self, request: HttpRequest) -> HttpResponse:
        if not is_on():
            raise Http404
        try:
            response: HttpResponse = super().get(request)
        except (
            SuspiciousOperation,
            requests.RequestException,
            jwt.PyJWTError,
            ValueError,
            KeyError,
            TypeError,
        ) as error:
            # Its text may quote the provider's answer, tokens and all: only its kind is written down.
            log.warning("oidc_sign_in_failed", error=type(error).__name__)
            return self.login_failure()
        return response

    @property
    def success_url(self) -> str:
        wanted: str | None = self.request.session.get("oidc_login_next")
        return wanted or reverse("admin:index")

    def login_failure(self) -> HttpResponse:
        """The same sentence for whatever reason: who is staff here is nobody's business."""
        messages.error(self.request, _("That sign-in did not work. Ask whoever administers this service."))
        return HttpResponseRedirect(reverse("admin:login"))


urlpatterns = [
    path("admin/oidc/start/", Start.as_view(), name="oidc_authentication_init"),
    path("admin/oidc/callback/", Callback.as_view(), name="oidc_authentication_callback"),
]
