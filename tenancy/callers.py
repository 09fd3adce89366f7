"""Who is asking, once it is known."""

from dataclasses import dataclass
from enum import StrEnum

from tenancy.models import Company


class Scope(StrEnum):
    READ = "calendars:read"
    WRITE = "calendars:write"
    ADMIN = "calendars:admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified bearer token of a company: on whose behalf (`None`: the company's own), and what it may do."""

    company: Company
    user_unique_id: str | None
    scopes: frozenset[str]

    # DRF asks its "user" for this.
    is_authenticated = True

    @property
    def is_admin(self) -> bool:
        return Scope.ADMIN in self.scopes

    def may(self, scope: Scope) -> bool:
        return self.is_admin or scope in self.scopes

    def may_reach(self, user_unique_id: str) -> bool:
        """Whether this user's paths are the caller's: their own, or everybody's for an administrator."""
        return self.is_admin or (self.user_unique_id is not None and self.user_unique_id == user_unique_id)
