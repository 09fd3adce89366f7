"""The sign-in form of the admin."""

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import ngettext
from unfold.forms import AuthenticationForm

from tenancy import attempts
from tenancy.clients import address_of
from tenancy.signin import BROWSER_COOKIE


class SignInForm(AuthenticationForm):
    """As Django's, for so many attempts (see `tenancy.attempts`)."""

    def clean(self) -> dict[str, Any]:
        """Raises a ValidationError before the password is looked at when there were too many."""
        assert self.request is not None
        name = self.cleaned_data.get("username") or ""
        where = {
            "address": address_of(self.request.META),
            "browser": self.request.COOKIES.get(BROWSER_COOKIE, ""),
        }
        if not attempts.begin(name, **where):
            minutes = attempts.minutes_to_wait()
            raise ValidationError(
                ngettext(
                    "Too many attempts. Try again in %(minutes)d minute.",
                    "Too many attempts. Try again in %(minutes)d minutes.",
                    minutes,
                ),
                code="too_many_attempts",
                params={"minutes": minutes},
            )
        cleaned: dict[str, Any] = super().clean()
        attempts.succeeded(name, **where)
        return cleaned
