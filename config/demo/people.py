"""Who the demo is for: a company with a key, a CRM user, and somebody who may sign in to the admin.

Imported once the settings are known: it stands on Django's models.
"""

from datetime import UTC, datetime, timedelta

from tenancy import tokens
from tenancy.callers import Scope
from tenancy.models import ApiKey, Company, CrmUser, Staff

COMPANY = "my-company"
USER = "user-uuid-123"
ADMIN = "admin"
_TOKEN_LIFETIME = timedelta(days=30)


def company() -> Company:
    """The sample company, with the sample user in it."""
    found, _ = Company.objects.get_or_create(url_id=COMPANY, defaults={"name": "My Company"})
    CrmUser.objects.get_or_create(
        company=found,
        unique_id=USER,
        defaults={"name": "Alex Sample", "email": "alex@sample.invalid", "time_zone": "Europe/Berlin"},
    )
    return found


def api_key(company: Company, known: str) -> str:
    """`known` while it is still good for the company, else a new key."""
    if known and ApiKey.objects.filter(company=company, digest=ApiKey.digest_of(known), active=True).exists():
        return known
    return ApiKey.issue(company, label="demo")


def bearer_token(company: Company) -> str:
    """A token that acts for the company and for every user of it, good for 30 days."""
    return tokens.issue(
        company, user_unique_id=None, scopes=[Scope.ADMIN], lifetime=_TOKEN_LIFETIME, now=datetime.now(UTC)
    )


def administrator(password: str) -> None:
    """The admin's login; its password is always the one printed."""
    staff, _ = Staff.objects.get_or_create(username=ADMIN, defaults={"is_staff": True, "is_superuser": True})
    if not staff.check_password(password):
        staff.set_password(password)
        staff.save(update_fields=["password"])
