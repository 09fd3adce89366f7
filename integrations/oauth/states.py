"""The thread between a browser that we send to a vendor and the account that it comes back for.

The state stands in the address only; here is its digest, the PKCE verifier encrypted, and for whom it was made.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.models import OAuthState

GOOD_FOR = timedelta(minutes=30)
_KEPT_FOR = timedelta(days=1)
_BITS = 256


class StateRefused(Exception):
    """The state in an address is none that can be used. `reason` is for people."""

    def __init__(self, reason: str | Promise) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Started:
    """What the way to the vendor needs to know."""

    verifier: str = field(repr=False)
    login_hint: str


def begin(account_pk: int, *, provider: str, return_to: str, now: datetime) -> str:
    """A new state for connecting this account, good for 30 minutes and one return. Older ones stay good as long."""
    OAuthState.objects.filter(expires_at__lt=now - _KEPT_FOR).delete()
    state = secrets.token_urlsafe(_BITS // 8)
    OAuthState.objects.create(
        digest=_digest(state),
        account_id=account_pk,
        provider=provider,
        # RFC 7636 §4.1: 43 to 128 characters.
        verifier=secrets.token_urlsafe(_BITS // 8 + 16),
        return_to=return_to,
        expires_at=now + GOOD_FOR,
    )
    return state


def started(state: str, *, provider: str, now: datetime) -> Started:
    """What was stored for the state, which stays good; raises `StateRefused`."""
    found = _usable(state, provider=provider, now=now)
    return Started(found.verifier, found.account.email)


def redeem(state: str, *, provider: str, now: datetime) -> OAuthState:
    """The state's row, with its account, spent by this call: of two at once, one. Raises `StateRefused`."""
    found = _usable(state, provider=provider, now=now)
    if not OAuthState.objects.filter(pk=found.pk, redeemed_at=None).update(redeemed_at=now):
        raise StateRefused(_USED)
    return found


_UNKNOWN = _("This link is not one of ours, or the account that it was made for is gone.")
_USED = _("This link has been used already.")
_EXPIRED = _("This link has expired.")


def _usable(state: str, *, provider: str, now: datetime) -> OAuthState:
    rows: QuerySet[OAuthState] = OAuthState.objects.select_related("account__user", "account__company")
    found = rows.defer("account__credentials").filter(digest=_digest(state), provider=provider).first()
    if found is None:
        # A state that came back by another vendor's door is as unknown as none (RFC 9700 §4.4, mix-up).
        raise StateRefused(_UNKNOWN)
    if found.redeemed_at is not None:
        raise StateRefused(_USED)
    if found.expires_at <= now:
        raise StateRefused(_EXPIRED)
    return found


def _digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "replace")).hexdigest()
