"""What `manage.py check --deploy` says about vendors."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.checks import CheckMessage, register
from django.db import Error

from tenancy.models import Company

_SHOWN = 5


@register(deploy=True)
def companies_sign_their_webhooks(
    *, app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Without a secret anybody who knows the address can write a company's meetings."""
    try:
        companies = Company.objects.filter(calcom_secrets=None).order_by("url_id").values_list("url_id", flat=True)
        found = list(companies[: _SHOWN + 1])
    except Error:
        # No tables yet, or no database: other checks and commands say so.
        return []
    if not found:
        return []
    names = ", ".join(found[:_SHOWN]) + (" …" if len(found) > _SHOWN else "")
    return [
        checks.Warning(
            f"These companies accept unsigned Cal.com deliveries: {names}.",
            hint="Give each a Cal.com secret in the admin, or with create_company --calcom-secret.",
            id="integrations.W001",
        )
    ]
