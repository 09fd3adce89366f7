"""Why a caller is turned away."""

from typing import ClassVar


class TenancyError(Exception):
    """A caller could not be let in."""

    code: ClassVar[str] = "tenancy_error"


class NotAuthenticated(TenancyError):
    """Nobody knows who is asking: the AppId or the bearer token is missing, wrong or expired."""

    code = "unauthorized"


class Forbidden(TenancyError):
    """The caller is known and may not do this."""

    code = "forbidden"


class NotFound(TenancyError):
    """A row that the path names beside the view's own (an account of which the calendars are asked)."""

    code = "not_found"

    def __init__(self, resource_name: str) -> None:
        super().__init__(f"No such {resource_name}.")
        self.resource_name = resource_name


class KeysUnavailable(TenancyError):
    """The company's key set cannot be fetched, so nobody can say who is asking."""

    code = "service_unavailable"

    def __init__(self) -> None:
        super().__init__("The company's key set cannot be fetched just now; try again shortly.")
