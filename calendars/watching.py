"""The port of providers that tell when a calendar changes, beside being asked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from calendars.providers import ProviderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel as the vendor knows it. resource_id: what else the vendor wants to hear when it is closed, or ""."""

    id: str
    resource_id: str = ""
    expires_at: datetime


class NotWatchable(ProviderError):
    """The vendor does not tell of changes of this calendar, or not at this address: polling has to do."""

    code = "not_watchable"


@runtime_checkable
class Watcher(Protocol):
    """What a `Provider` can do besides. Every method talks to the vendor and raises `ProviderError`."""

    def watch(self, calendar: str, *, channel_id: str, secret: str, address: str) -> Channel:
        """Have changes of the calendar told at `address`, each message with `secret`. channel_id: a proposal of at most
        64 characters; the answer has the vendor's word. Raises `NotWatchable`."""

    def renew(self, channel: Channel) -> Channel | None:
        """The same channel with a later end; None where only a new one can follow it."""

    def unwatch(self, channel: Channel) -> None:
        """Close it; one that the vendor does not know any more is closed."""
