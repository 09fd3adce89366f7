"""Whose booking it is."""

from calendars.models import CalendarAccount
from tenancy.models import Company, CrmUser


def host(company: Company, email: str) -> CrmUser | None:
    """The company's user with a calendar account of this e-mail (connected ones first, then the oldest), else with
    this e-mail of their own; letter case does not count. None when nobody has it.
    """
    if not email:
        return None
    account = (
        CalendarAccount.objects.filter(company=company, email__iexact=email)
        .select_related("user")
        .defer("credentials", "provider_state")
        .order_by("-connected", "pk")
        .first()
    )
    if account is not None:
        return account.user
    return CrmUser.objects.filter(company=company, email__iexact=email).order_by("pk").first()
