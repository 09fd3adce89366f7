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
