"""Google's notification channels: opened, told of changes by real requests, stopped.

https://developers.google.com/workspace/calendar/api/guides/push
"""

import contextlib
import email.utils
import itertools
import queue
import threading
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tests.simulators.google.calendars import Refused
from tests.simulators.google.events import JSON

_LONGEST = timedelta(days=30)
_USUAL = timedelta(days=7)


@dataclass(slots=True)
class Channel:
    id: str
    address: str
    token: str
    resource_id: str
    resource_uri: str
    calendar: str
    user: str
    expires_at: datetime
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))


class Channels:
    """callbacks: whether messages are really sent; else they are only kept in `messages`. unwatchable: ids of calendars
    that cannot be watched. plain_http: whether an address may be http, which Google itself refuses."""

    def __init__(self) -> None:
        self.callbacks = False
        self.plain_http = False
        self.unwatchable: set[str] = set()
        self.open: dict[str, Channel] = {}
        self.messages: list[dict[str, str]] = []
        self._outbox: queue.SimpleQueue[tuple[str, dict[str, str]] | None] = queue.SimpleQueue()
        self._pending = 0
        self._idle = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, user: str, calendar: str, wanted: JSON, *, uri: str) -> JSON:
        """events.watch; raises `Refused`."""
        if calendar in self.unwatchable:
            raise Refused(400, "pushNotSupportedForRequestedResource")
        address = str(wanted.get("address", ""))
        if not address.startswith("https://") and not self.plain_http:
            raise Refused(400, "push.webhookUrlNotHttps")
        if wanted.get("type") not in {"web_hook", "webhook"} or not 0 < len(str(wanted.get("id", ""))) <= 64:
            raise Refused(400, "badRequest")
        if wanted["id"] in self.open:
            raise Refused(400, "channelIdNotUnique")
        now = datetime.now(UTC)
        ttl = wanted.get("params", {}).get("ttl")
        expires_at = now + min(timedelta(seconds=int(ttl)), _LONGEST) if ttl else now + _USUAL
        channel = Channel(
            wanted["id"], address, wanted.get("token", ""), f"resource-of-{calendar}", uri, calendar, user, expires_at
        )
        self.open[channel.id] = channel
        self._send(channel, "sync")
        return {
            "kind": "api#channel",
            "id": channel.id,
            "resourceId": channel.resource_id,
            "resourceUri": uri,
            "expiration": str(int(expires_at.timestamp() * 1000)),
            **({"token": channel.token} if channel.token else {}),
        }

    def stop(self, user: str, wanted: JSON) -> None:
        """channels.stop; raises `Refused`."""
        channel = self.open.get(wanted.get("id", ""))
        if channel is None or channel.user != user or channel.resource_id != wanted.get("resourceId"):
            raise Refused(404, "notFound")
        del self.open[channel.id]

    def tell(self, calendar: str, state: str = "exists") -> None:
        """A message on every channel of the calendar."""
        for channel in list(self.open.values()):
            if channel.calendar == calendar and channel.expires_at > datetime.now(UTC):
                self._send(channel, state)

    def wait(self, timeout_seconds: float = 10) -> None:
        """Until every message has been sent and answered, or refused."""
        with self._idle:
            if not self._idle.wait_for(lambda: self._pending == 0, timeout_seconds):
                raise TimeoutError("messages are still on their way")

    def close(self) -> None:
        if self._thread is not None:
            self._outbox.put(None)
            self._thread.join()

    def _send(self, channel: Channel, state: str) -> None:
        headers = {
            "X-Goog-Channel-ID": channel.id,
            "X-Goog-Channel-Expiration": email.utils.format_datetime(channel.expires_at, usegmt=True),
            "X-Goog-Resource-ID": channel.resource_id,
            "X-Goog-Resource-URI": channel.resource_uri,
            "X-Goog-Resource-State": state,
            "X-Goog-Message-Number": str(next(channel.numbers)),
            **({"X-Goog-Channel-Token": channel.token} if channel.token else {}),
        }
        self.messages.append(headers)
        if not self.callbacks:
            return
        with self._idle:
            self._pending += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, daemon=True)
            self._thread.start()
        self._outbox.put((channel.address, headers))

    def _deliver(self) -> None:
        while (message := self._outbox.get()) is not None:
            address, headers = message
            request = urllib.request.Request(address, data=b"", headers=headers, method="POST")
            # Who does not answer has missed it: channels are lossy.
            with contextlib.suppress(OSError), urllib.request.urlopen(request, timeout=5):
                pass
            with self._idle:
                self._pending -= 1
                self._idle.notify_all()
