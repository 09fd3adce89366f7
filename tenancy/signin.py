"""Signing in to the admin: what is written down of it, and how a browser is known again."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import MinimumLengthValidator
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse

from tenancy import attempts, audit
from tenancy.audit import Actor
from tenancy.clients import address_of
from tenancy.models import ActorKind, Staff, Verb

BROWSER_COOKIE = "browser"


@receiver(user_logged_in)
def _signed_in(request: HttpRequest, user: Any, **_: Any) -> None:
    """Write down who signed in, and from where; the answer tells the browser that it is known now."""
    if isinstance(user, Staff):
        with audit.acting(Actor(ActorKind.STAFF, user.get_username(), address=address_of(request.META))):
            audit.record(user, Verb.SIGNED_IN)
        request.known_browser = attempts.browser_of(user.get_username())  # type: ignore[attr-defined]


class KnownBrowsers:
    """Middleware: gives a browser in which somebody has signed in the cookie by which `tenancy.attempts` knows it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if (value := getattr(request, "known_browser", None)) is not None:
            response.set_cookie(
                BROWSER_COOKIE,
                value,
                max_age=attempts.BROWSER_COOKIE_SECONDS,
                path="/admin/",
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response


class NewPasswords(MinimumLengthValidator):
    """Passwords have a length; and as Django tells its validators of each that was stored, it is written down here."""

    def password_changed(self, password: str, user: Any = None) -> None:
        """That there is a new one, never which."""
        if isinstance(user, Staff):
            audit.record_change(user, "password")
