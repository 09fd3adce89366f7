"""The port: what a calendar vendor must answer, and how it may fail.

A provider is made for one account and one sync. It speaks the vendor's language and knows nothing of the database;
the engine knows nothing of transports. `settings.CALENDAR_PROVIDERS` names the classes, as Django names its caches.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from busyblocks.entries import Entry


def _no_tokens(refused: str) -> str:
    raise ReconnectNeeded("The account has no access token.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a provider is told: whose account, the secrets, and what it asked to be reminded of.

    credentials: as `Provider.credentials_from` made them. state: the provider's own JSON from its last visit.
    checkpoint: to be called before every request; it renews the lease, and raises to stop a sync that lost it.
    access_token: for vendors with OAuth, a bearer token that is valid now; called with "" before a request, and with
    the token that the vendor has just answered 401 to, to have it replaced (once: a second 401 is a `ReconnectNeeded`).
    deadline_seconds: how long one request may take; None: as long as a worker has time.
    """

    email: str
    credentials: dict[str, Any] = field(repr=False)
    state: dict[str, Any] = field(default_factory=dict)
    checkpoint: Callable[[], None] = lambda: None
    access_token: Callable[[str], str] = field(default=_no_tokens, repr=False)
    deadline_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteCalendar:
    """A calendar in the vendor's list. `external_id` is stable and at most 512 characters.

    wanted: whether it is mirrored unless the user says otherwise; not so a calendar that tells of others' time.
    """

    external_id: str
    name: str = ""
    color: str = ""
    time_zone: str = ""
    primary: bool = False
    wanted: bool = True


class Mirrored(NamedTuple):
    """One mirrored entry: whose it is at the vendor, and when; UTC, as `Entry` has them."""

    external_event_id: str
    series_id: str
    start_time: datetime
    end_time: datetime
    all_day: bool


def _nothing_mirrored(ids: Collection[str]) -> list[Mirrored]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarState:
    """Where the mirror of one calendar stands, for the provider's eyes.

    etags: external_event_id → etag of everything mirrored or withheld, called only by providers whose server cannot
    tell changes otherwise. mirrored: what is stored under these event ids, or as an instance of a series with one of
    these ids. time_zone: IANA, for floating times; "" when unknown (UTC then).
    """

    external_id: str
    time_zone: str = ""
    cursor: str = ""
    etags: Callable[[], dict[str, str]] = dict
    mirrored: Callable[[Collection[str]], list[Mirrored]] = _nothing_mirrored


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """All that the remote says of one event: its single entry, or a master and its overrides.

    `whole`: these are all entries of the event, others stored under its id go. Otherwise only these change; in a full
    read all its parts together are the whole, and what they lack is absent.
    """

    external_event_id: str
    entries: tuple[Entry, ...]
    etag: str = ""
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """An event that exists at the remote and was not understood: what is stored of it stays as it is."""

    external_event_id: str
    reason: str
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of an answer. `present` names events that exist unchanged (an etag listing's); `removed` those gone."""

    resources: tuple[Resource, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    removed: tuple[str, ...] = ()
    present: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The end of a full read: the pages held everything (inside the window, where there is one).

    Absence means deletion, subject to the brake. window: [start, end), UTC; None: the whole calendar.
    """

    cursor: str
    window: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """The end of a read of changes since the cursor: what the pages do not name did not change."""

    cursor: str


Answer = Page | Snapshot | Delta


class Provider(Protocol):
    """One vendor, for one account and one sync."""

    def __init__(self, connection: Connection) -> None: ...

    @classmethod
    def credentials_from(cls, provider_data: dict[str, Any], *, email: str) -> dict[str, Any]:
        """The credentials to store for what a client sent, defaults filled in, without talking to the vendor's API.

        Raises `BadProviderData` naming the field that cannot be used.
        """

    def calendars(self) -> list[RemoteCalendar]:
        """Everything the account can mirror now, completely, or a `ProviderError`."""

    def changes(self, calendar: CalendarState) -> Iterator[Answer]:
        """Pages, then exactly one Snapshot or Delta as the last item.

        With a cursor: the changes since, or `CursorLost`. Without: everything. A read that stops without its last
        item is a failure, whatever came before it. Raises `ProviderError`.
        """

    def state(self) -> dict[str, Any]:
        """What to hand back in `Connection.state` next time; JSON, no secrets."""


class ProviderError(Exception):
    """A vendor could not be read; nothing was learnt about the events."""

    code: ClassVar[str] = "provider_error"
    # Whether the same request may work later by itself.
    retryable: ClassVar[bool] = True
    advice: ClassVar[str] = "It is tried again by itself."

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreachable(ProviderError):
    """No usable answer came: refused, timed out, cut off, or a 5xx."""

    code = "unreachable"


class ServerFault(Unreachable):
    """The vendor answered with a 5xx: perhaps to this request alone."""


class Throttled(ProviderError):
    """The vendor asked to be left alone for `retry_after`."""

    code = "throttled"

    def __init__(self, reason: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class UnexpectedAnswer(ProviderError):
    """The vendor answered something that its protocol does not allow."""

    code = "unexpected_answer"


class ReconnectNeeded(ProviderError):
    """The vendor refused the credentials; only the user can mend that."""

    code = "reconnect_needed"
    retryable = False
    advice = "Connect the account again."


class Misconfigured(ProviderError):
    """The operator of this service has to change something."""

    code = "misconfigured"
    retryable = False
    advice = "Ask the operator of this service."


class InternalFault(ProviderError):
    """A fault of this service's own stopped the sync; it has been logged."""

    code = "internal_error"


class AddressRefused(ProviderError):
    """The address is one that this service must not call."""

    code = "address_refused"
    retryable = False
    advice = "Give a public http(s) address, or have the operator allow the host."


class CalendarGone(ProviderError):
    """This one calendar does not exist (any more)."""

    code = "calendar_gone"


class CursorLost(ProviderError):
    """The vendor does not know the cursor any more: read everything again. Never an empty calendar."""

    code = "cursor_lost"


class BadProviderData(Exception):
    """What a client gave to connect with cannot be used. `field`: "server_url", …"""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason


class NoSuchProvider(Exception):
    """No backend is configured under this name."""


def provider_class(name: str) -> type[Provider]:
    """The configured backend; raises `NoSuchProvider`."""
    try:
        dotted_path = settings.CALENDAR_PROVIDERS[name]
    except KeyError:
        raise NoSuchProvider(name) from None
    backend: type[Provider] = import_string(dotted_path)
    return backend


def reads_all(name: str, cursor: str, *, external_id: str, now: datetime) -> bool:
    """Whether a read from `cursor` is known before to read the whole calendar.

    A backend whose cursors grow stale with time says so in a class method `is_stale(cursor, *, external_id, now)`.
    """
    if not cursor:
        return True
    try:
        is_stale = getattr(provider_class(name), "is_stale", None)
    except NoSuchProvider:
        return False
    return is_stale is not None and bool(is_stale(cursor, external_id=external_id, now=now))
