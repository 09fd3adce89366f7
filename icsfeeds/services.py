"""Feed tokens: made, changed, taken away."""

from datetime import datetime
from typing import Any

from icsfeeds.models import ICSToken
from tenancy.models import CrmUser

CHANGEABLE = frozenset({"label", "active", "expires_at", "include_synced"})


def issue(
    user: CrmUser,
    *,
    label: str = "",
    active: bool = True,
    expires_at: datetime | None = None,
    include_synced: bool = False,
) -> ICSToken:
    """A new token of 192 random bits for the feed of `user`. expires_at: the first instant at which it is useless."""
    value = ICSToken.new_value()
    return ICSToken.objects.create(
        company_id=user.company_id,
        user=user,
        digest=ICSToken.digest_of(value),
        encrypted_token=value,
        label=label,
        active=active,
        expires_at=expires_at,
        include_synced=include_synced,
    )


def change(token: ICSToken, **values: Any) -> ICSToken:
    """The token with these of its `CHANGEABLE` fields changed; the next read of the feed sees them."""
    changed = sorted(CHANGEABLE & values.keys())
    for name in changed:
        setattr(token, name, values[name])
    token.save(update_fields=[*changed, "updated_at"])
    return token


def revoke(token: ICSToken) -> None:
    """Delete the token: its address answers 404 from the next request on."""
    token.delete()
