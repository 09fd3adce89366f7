"""From an account to its provider, ready to be asked."""

from calendars.models import CalendarAccount
from calendars.providers import Connection, Misconfigured, NoSuchProvider, Provider, provider_class
from calendars.services import budgets
from calendars.services.credentials import TokenKeeper


def open_provider(account: CalendarAccount, keeper: TokenKeeper) -> Provider:
    """The provider of an account. Each of its requests asks `keeper.checkpoint` first, and is taken from the vendor's
    budgets. Raises `Misconfigured`."""
    try:
        backend = provider_class(account.provider)
    except NoSuchProvider:
        raise Misconfigured(f"This service is not set up for {account.get_provider_display()}.") from None
    return backend(
        Connection(
            email=account.email,
            credentials=account.credentials or {},
            state=account.provider_state,
            checkpoint=budgets.checkpoint(account, keeper.checkpoint),
            access_token=keeper.access_token,
        )
    )
