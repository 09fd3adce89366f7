"""Access tokens: valid when they are asked for, refreshed by one worker at a time.

A turn at refreshing is a compare-and-swap on the account's row, for as long as `refresh_until` says. The row's
`credentials_version` grows with every change of the credentials, so whoever comes second sees that there is something
new, and takes that. The vendor is never called inside a transaction.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from cryptography.fernet import InvalidToken
from django.core.cache import cache
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Q
from django.utils import timezone

from calendars.models import CalendarAccount
from calendars.oauth import Tokens, oauth_vendor
from calendars.providers import (
    Misconfigured,
    NoSuchProvider,
    ProviderError,
    ReconnectNeeded,
    Unreachable,
)
from tenancy.encryption import fernet

log = structlog.get_logger("credentials")

Clock = Callable[[], datetime]

# A token that expires within this is replaced before it is used: the request may take a while.
REFRESH_BEFORE = timedelta(seconds=60)
# How long a dead worker keeps the others from refreshing. One that is only slow does no harm later: what it brings is
# stored only in the place of what it went with.
TURN = timedelta(seconds=60)
# A database that cannot store a new token is asked again after these; the vendor may have made the old one void.
STORE_AGAIN_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 4, 8, 14)
_RESCUED_FOR_SECONDS = 7 * 24 * 3600
_FIRST_LOOK_SECONDS, _LONGEST_LOOK_SECONDS = 0.02, 0.25
_MOST_TURNS = 3


@dataclass(frozen=True, slots=True)
class _Stored:
    """The credentials of an account, as they stand in its row."""

    provider: str
    version: int
    credentials: dict[str, Any] = field(repr=False)
    expires_at: datetime | None

    def opens(self, refused: str, at: datetime) -> bool:
        token = self.credentials.get("access_token")
        return bool(token) and token != refused and (self.expires_at is None or self.expires_at > at)


class TokenKeeper:
    """`Connection.access_token` of one account, for one sync. version: of the credentials that were last read.

    checkpoint is called before each look at what another worker is doing about the token.
    """

    def __init__(
        self, account_pk: int, *, checkpoint: Callable[[], None] = lambda: None, clock: Clock = timezone.now
    ) -> None:
        self._account_pk, self._clock = account_pk, clock
        self._stored: _Stored | None = None
        self.checkpoint = checkpoint
        self.version: int | None = None

    def know(self, account: CalendarAccount) -> None:
        """Spare the first look at the row: `account` was read just now."""
        self.version = account.credentials_version
        if account.credentials is not None:
            self._stored = _Stored(
                account.provider, account.credentials_version, account.credentials, account.token_expires_at
            )

    def access_token(self, refused: str) -> str:
        """A token that is valid now and is not `refused`. Raises `ReconnectNeeded` when the vendor gives none any
        more, and another `ProviderError` when it could not be asked."""
        if self._stored is None or not self._stored.opens(refused, self._clock() + REFRESH_BEFORE):
            self._stored = self._renewed(refused)
            self.version = self._stored.version
        token: str = self._stored.credentials["access_token"]
        return token

    def _renewed(self, refused: str) -> _Stored:
        deadline = time.monotonic() + TURN.total_seconds()
        pause, turns = _FIRST_LOOK_SECONDS, 0
        while True:
            now = self._clock()
            stored = _read(self._account_pk)
            self.version = stored.version
            if stored.opens(refused, now + REFRESH_BEFORE):
                return stored
            if not stored.credentials.get("refresh_token"):
                raise ReconnectNeeded("The access token is not valid any more, and there is none to renew it with.")
            if until := _take_turn(self._account_pk, stored, now):
                turns += 1
                renewed = self._refresh(stored, until, refused)
                if renewed is not None:
                    return renewed
            elif stored.opens(refused, now):
                # Somebody else is at it; what there is will do until they have finished.
                return stored
            else:
                self.checkpoint()
                time.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_LOOK_SECONDS)
            if turns > _MOST_TURNS or time.monotonic() > deadline:
                raise Unreachable("The access token is being renewed, and that takes too long.")

    def _refresh(self, stored: _Stored, until: datetime, refused: str) -> _Stored | None:
        """The new credentials, stored; None when others were stored meanwhile."""
        rescued = _rescued(self._account_pk, stored.version)
        try:
            tokens = rescued or _vendor(stored.provider).refreshed(stored.credentials)
        except ProviderError as error:
            _give_up_turn(self._account_pk, stored, until)
            if _version(self._account_pk) != stored.version:
                return None
            if error.retryable and stored.opens(refused, self._clock()):
                log.warning("refresh_failed", account=self._account_pk, code=error.code)
                return stored
            raise
        except BaseException:
            _give_up_turn(self._account_pk, stored, until)
            raise
        renewed = _Stored(stored.provider, stored.version + 1, tokens.replacing(stored.credentials), tokens.expires_at)
        if not _store(self._account_pk, stored, renewed, tokens):
            return None
        # What lay in the cache may have grown old there; the vendor's own answer is taken as it is.
        return renewed if rescued is None or renewed.opens(refused, self._clock() + REFRESH_BEFORE) else None


def _read(account_pk: int) -> _Stored:
    rows = CalendarAccount.objects.filter(pk=account_pk)
    try:
        row = rows.values_list("provider", "credentials_version", "credentials", "token_expires_at").first()
    except InvalidToken:
        raise Misconfigured("The stored credentials cannot be decrypted with the configured keys.") from None
    if row is None:
        raise ReconnectNeeded("The account is not connected.")
    provider, version, stored, expires_at = row
    if stored is None:
        raise ReconnectNeeded("The account is not connected.")
    return _Stored(provider, version, stored, expires_at)


def _version(account_pk: int) -> int | None:
    return CalendarAccount.objects.filter(pk=account_pk).values_list("credentials_version", flat=True).first()


def _vendor(provider: str) -> Any:
    try:
        return oauth_vendor(provider)
    except NoSuchProvider:
        raise Misconfigured(f"This service is not set up to renew access to {provider} accounts.") from None


def _take_turn(account_pk: int, stored: _Stored, now: datetime) -> datetime | None:
    """Until when this worker alone may refresh what it has read; None when another does, or has."""
    until = now + TURN
    free = Q(refresh_until=None) | Q(refresh_until__lt=now)
    taken = CalendarAccount.objects.filter(free, pk=account_pk, credentials_version=stored.version).update(
        refresh_until=until
    )
    return until if taken else None


def _give_up_turn(account_pk: int, stored: _Stored, until: datetime) -> None:
    CalendarAccount.objects.filter(pk=account_pk, credentials_version=stored.version, refresh_until=until).update(
        refresh_until=None
    )


def _store(account_pk: int, stored: _Stored, renewed: _Stored, tokens: Tokens) -> bool:
    """Put the new credentials in the old ones' place; False when those were not there any more.

    A database that fails is asked again; for one that goes on failing the tokens are kept, encrypted, in the cache.
    """
    for pause in (*STORE_AGAIN_SECONDS, None):
        try:
            rows = CalendarAccount.objects.filter(pk=account_pk, credentials_version=stored.version)
            return bool(
                rows.update(
                    credentials=renewed.credentials,
                    token_expires_at=renewed.expires_at,
                    credentials_version=renewed.version,
                    refresh_until=None,
                )
            )
        except (OperationalError, InterfaceError) as error:
            log.warning("token_not_stored_yet", account=account_pk, error=type(error).__name__)
            if not connection.in_atomic_block:
                connection.close()
            if pause is not None:
                time.sleep(pause)
    _rescue(account_pk, stored.version, tokens)
    raise Unreachable("The database did not take the new access token.")


# What the database did not take ---------------------------------------------------------------------------------------


def _rescue(account_pk: int, version: int, tokens: Tokens) -> None:
    said = {
        **tokens.as_credentials(),
        "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else "",
    }
    try:
        cache.set(_key(account_pk, version), fernet().encrypt(json.dumps(said).encode()), _RESCUED_FOR_SECONDS)
    except Exception as error:  # noqa: BLE001 (whatever the cache's client raises: nothing more can be done)
        log.error("token_lost", account=account_pk, error=type(error).__name__)


def _rescued(account_pk: int, version: int) -> Tokens | None:
    try:
        kept = cache.get(_key(account_pk, version))
        said = json.loads(fernet().decrypt(kept)) if kept else None
    except Exception as error:  # noqa: BLE001 (a cache that is down, or keys that were rotated away)
        log.warning("rescued_token_unreadable", account=account_pk, error=type(error).__name__)
        return None
    if said is None:
        return None
    expires_at = datetime.fromisoformat(said.pop("expires_at")) if said["expires_at"] else None
    return Tokens(**{**said, "scopes": tuple(said["scopes"]), "expires_at": expires_at})


def _key(account_pk: int, version: int) -> str:
    return f"unstored-token:{account_pk}:{version}"
