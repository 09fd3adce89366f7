"""System checks of the configuration: each wrong or missing environment variable, with what to write instead."""

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register

from config import env


@register()
def environment_is_complete(**_: Any) -> list[CheckMessage]:
    """Everything that `config/env.py` could not read, at once."""
    return [
        Error(problem.message, hint=problem.hint, obj=problem.name, id=f"config.E{number:03}")
        for number, problem in enumerate(env.problems, start=1)
    ]


_OIDC = {
    "OIDC_CLIENT_ID": "OIDC_RP_CLIENT_ID",
    "OIDC_CLIENT_SECRET": "OIDC_RP_CLIENT_SECRET",
    "OIDC_AUTHORIZE_URL": "OIDC_OP_AUTHORIZATION_ENDPOINT",
    "OIDC_TOKEN_URL": "OIDC_OP_TOKEN_ENDPOINT",
    "OIDC_JWKS_URL": "OIDC_OP_JWKS_ENDPOINT",
}


@register()
def sign_in_is_set_up_whole(**_: Any) -> list[CheckMessage]:
    """An issuer without the rest would be a button that leads nowhere."""
    missing = [name for name, setting in _OIDC.items() if not getattr(settings, setting)]
    if not settings.OIDC_ISSUER or not missing:
        return []
    return [
        Error(
            f"OIDC_ISSUER is set, but not {', '.join(missing)}.",
            hint="The provider's /.well-known/openid-configuration names its addresses; it gave you the other two.",
            id="config.E103",
        )
    ]


@register(deploy=True)
def environment_is_for_production(**_: Any) -> list[CheckMessage]:
    """What serves on one desk and must not serve a company."""
    found: list[CheckMessage] = []
    if not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS:
        found.append(
            Error(
                "ALLOWED_HOSTS is empty or allows every host.",
                hint="Name the hosts under which the service is reached, with commas: calendar.example.com.",
                id="config.E101",
            )
        )
    if not settings.SERVED_OVER_HTTPS:
        found.append(
            Error(
                "PUBLIC_URL is not an https address: bearer tokens and feed tokens would travel in the clear.",
                hint="For example PUBLIC_URL=https://calendar.example.com.",
                id="config.E102",
            )
        )
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        found.append(
            checks.Warning(
                "DATABASE_URL names an SQLite file: one machine, and one writer at a time.",
                hint="For example postgresql://user:password@localhost:5432/calendar.",
                id="config.W101",
            )
        )
    if not settings.REDIS_URL:
        found.append(
            checks.Warning(
                "REDIS_URL is not set: without a broker syncs run inside of the requests that ask for them.",
                hint="For example redis://localhost:6379/0.",
                id="config.W102",
            )
        )
    return found
