"""From an account to its provider, ready to be asked."""

from calendars.models import CalendarAccount
from calendars.providers import Connection, Misconfigured, NoSuchProvider, Provider, provider_class
from calendars.services.credentials import TokenKeeper


def open_provider(account: CalendarAccount, keeper: TokenKeeper) -> Provider:
    """The provider of an account; every request of it asks `keeper` first. Raises `Misconfigured`."""
    try:
        backend = provider_class(account.provider)
    except NoSuchProvider:
        raise Misconfigured(f"This service is not set up for {account.get_provider_display()}.") from None
    return backend(
        Connection(
            email=account.email,
            credentials=account.credentials or {},
            state=account.provider_state,
            checkpoint=keeper.checkpoint,
            access_token=keeper.access_token,
        )
    )
