"""Signing in to the admin: what is written down of it."""

from typing import Any

from django.contrib.auth.password_validation import MinimumLengthValidator
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest

from tenancy import audit
from tenancy.audit import Actor
from tenancy.clients import address_of
from tenancy.models import ActorKind, Staff, Verb


@receiver(user_logged_in)
def _write_down(request: HttpRequest, user: Any, **_: Any) -> None:
    """Who signed in, and from where."""
    if isinstance(user, Staff):
        with audit.acting(Actor(ActorKind.STAFF, user.get_username(), address=address_of(request.META))):
            audit.record(user, Verb.SIGNED_IN)


class NewPasswords(MinimumLengthValidator):
    """Passwords have a length; and as Django tells its validators of each that was stored, it is written down here."""

    def password_changed(self, password: str, user: Any = None) -> None:
        """That there is a new one, never which."""
        if isinstance(user, Staff):
            audit.record_change(user, "password")
