"""Who may do what: scope by verb, and the user that the path names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from tenancy.callers import Caller, Scope
from tenancy.errors import Forbidden

if TYPE_CHECKING:
    # DRF reads its settings, and with them this module, while `rest_framework.views` is still being imported.
    from rest_framework.views import APIView


class MayReachUser(BasePermission):
    """Reading takes calendars:read, changing calendars:write, and each takes calendars:admin to reach more than the
    one user that the token names.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        caller = request.user
        assert isinstance(caller, Caller)
        needed = Scope.READ if request.method in SAFE_METHODS else Scope.WRITE
        if not caller.may(needed):
            raise Forbidden(f"The token lacks the scope {needed}; ask its issuer for a token that has it.")
        user_unique_id = view.kwargs.get("user_unique_id")
        if user_unique_id is not None and not caller.may_reach(user_unique_id):
            raise Forbidden(
                f"A token that names no user reaches users only with the scope {Scope.ADMIN}; ask its issuer for it."
                if caller.user_unique_id is None
                else f"The token speaks for another user; to reach this one it takes the scope {Scope.ADMIN}."
            )
        return True


class MayAsk(BasePermission):
    """A question with a body: reading, though it is a POST. The view says of which users the caller may know."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        caller = request.user
        assert isinstance(caller, Caller)
        if not caller.may(Scope.READ):
            raise Forbidden(f"The token lacks the scope {Scope.READ}; ask its issuer for a token that has it.")
        return True


class IsCompanyAdmin(BasePermission):
    """What concerns the whole company takes calendars:admin."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        caller = request.user
        assert isinstance(caller, Caller)
        if not caller.is_admin:
            raise Forbidden(f"This concerns the whole company and takes a token with the scope {Scope.ADMIN}.")
        return True
