"""Who may do what: scope by verb, and the user that the path names."""

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from tenancy.callers import Caller, Scope
from tenancy.errors import Forbidden


class MayReachUser(BasePermission):
    """Reading takes calendars:read, changing calendars:write; another user's path takes calendars:admin."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        caller = request.user
        assert isinstance(caller, Caller)
        needed = Scope.READ if request.method in SAFE_METHODS else Scope.WRITE
        if not caller.may(needed):
            raise Forbidden(f"The token lacks the scope {needed}.")
        user_unique_id = view.kwargs.get("user_unique_id")
        if user_unique_id is not None and not caller.may_reach(user_unique_id):
            raise Forbidden("The token is not this user's and lacks the scope calendars:admin.")
        return True


class IsCompanyAdmin(BasePermission):
    """What concerns the whole company takes calendars:admin."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user.is_admin:
            raise Forbidden(f"This takes a token with the scope {Scope.ADMIN}.")
        return True
