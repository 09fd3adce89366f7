"""The one way out: every request to a vendor goes through here.

Connections are pooled and made only to addresses that `integrations.addresses` lets pass. Nothing is remembered
between requests (no cookies, no proxies or passwords from the environment), every request has a deadline, every body
a size, and every failure a class of the provider port. Redirects are followed here, within the account's own site.
"""

import base64
import contextlib
import contextvars
import email.utils
import functools
import json
import os
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpcore2
import httpx2
import orjson
from django.conf import settings
from django.utils import timezone

from calendars.providers import ReconnectNeeded, ServerFault, Throttled, UnexpectedAnswer, Unreachable
from integrations.addresses import addresses_to_connect, port_of, same_site

USER_AGENT = "crm-calendar-sync/1.0"
MAX_REDIRECTS = 5
LONGEST_RETRY_AFTER = timedelta(hours=6)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Set for the length of one request; the sockets below it read the time that is left.
_deadline: contextvars.ContextVar[float] = contextvars.ContextVar("deadline", default=float("inf"))


class TooLarge(UnexpectedAnswer):
    """The answer is larger than this service takes."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read to its end. `url`: where it came from, after redirects."""

    status: int
    url: httpx2.URL
    headers: httpx2.Headers
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; raises `UnexpectedAnswer` for everything else."""
        found = _parsed(self.body)
        if not isinstance(found, dict):
            raise UnexpectedAnswer(f"What {_site(self.url)} answered is not readable ({self.status}).")
        return found


def basic(username: str, password: str) -> str:
    """The value of an Authorization header (RFC 7617, UTF-8)."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


class Session:
    """Requests on behalf of one account, to its own site only.

    home: where the account lives; `authorization` is sent to that site alone: a header's value (empty: none), or for
    bearer tokens (RFC 6750) `Connection.access_token`. checkpoint is called before every request, redirects included.
    deadline_seconds: how long a request may take to the last byte of its answer; default OUTBOUND_DEADLINE_SECONDS.
    roams: redirects may lead to any public site, for requests without authorization; but never from https to http.
    """

    def __init__(
        self,
        home: str,
        *,
        authorization: str | Callable[[str], str],
        checkpoint: Callable[[], None],
        deadline_seconds: float | None = None,
        roams: bool = False,
    ) -> None:
        assert not (roams and authorization), "credentials stay at home"
        self.home = httpx2.URL(home)
        self.checkpoint = checkpoint
        self.deadline_seconds = deadline_seconds or settings.OUTBOUND_DEADLINE_SECONDS
        self._authorization = authorization
        self._roams = roams

    def request(
        self, method: str, url: str | httpx2.URL, *, body: bytes = b"", headers: dict[str, str], max_bytes: int = 0
    ) -> Reply:
        """The final answer, whatever its status except those below; at most `max_bytes` of body after decompression
        (default: OUTBOUND_MAX_BYTES).

        Raises `ReconnectNeeded` for 401 (of a bearer token: for the second one, the first has it replaced), `Throttled`
        for 429 and for 503 with Retry-After, `ServerFault` for every other 5xx but 507, `Unreachable` for no answer in
        time, `TooLarge`, `AddressRefused`, and `UnexpectedAnswer` for redirects that leave the site or do not end.
        """
        target = self.home.join(url)
        limit = max_bytes or settings.OUTBOUND_MAX_BYTES
        for _ in range(MAX_REDIRECTS + 1):
            if not self._may_visit(target):
                # The credentials stay here; the name tells the user which address to give instead.
                raise UnexpectedAnswer(f"The server sends us on to another site ({_site(target)}).")
            reply = self._authorized(method, target, body, headers, limit)
            if reply.status not in _REDIRECTS or "location" not in reply.headers:
                _raise_for(reply, bearer=not isinstance(self._authorization, str))
                return reply
            target = _redirect_target(reply)
        raise UnexpectedAnswer("The server redirects without end.")

    def _may_visit(self, target: httpx2.URL) -> bool:
        if same_site(self.home, target):
            return True
        return self._roams and (target.scheme == "https" or self.home.scheme == target.scheme == "http")

    def _authorized(self, method: str, url: httpx2.URL, body: bytes, headers: dict[str, str], limit: int) -> Reply:
        self.checkpoint()
        if isinstance(self._authorization, str):
            own = {"Authorization": self._authorization} if self._authorization else {}
            return self._send(method, url, body, headers | own, limit)
        token = self._authorization("")
        reply = self._send(method, url, body, headers | {"Authorization": f"Bearer {token}"}, limit)
        if reply.status != 401:
            return reply
        token = self._authorization(token)
        self.checkpoint()
        return self._send(method, url, body, headers | {"Authorization": f"Bearer {token}"}, limit)

    def _send(self, method: str, url: httpx2.URL, body: bytes, headers: dict[str, str], limit: int) -> Reply:
        seconds = float(settings.OUTBOUND_TIMEOUT_SECONDS)
        request = httpx2.Request(
            method,
            url,
            content=body,
            headers={
                "User-Agent": USER_AGENT,
                "Accept-Encoding": "gzip, deflate",
                **headers,
            },
            extensions={"timeout": {"connect": seconds, "write": seconds, "pool": seconds}},
        )
        # A server may think for long over ten thousand events before it says a word: only the whole has a limit.
        token = _deadline.set(time.monotonic() + self.deadline_seconds)
        try:
            with _failures_named(url):
                response = _answer_to(request)
                with contextlib.closing(response):
                    return Reply(response.status_code, url, response.headers, _body(response, limit))
        finally:
            _deadline.reset(token)


def retry_after(headers: httpx2.Headers, *, now: datetime) -> timedelta | None:
    """What `Retry-After` asks for (RFC 9110 §10.2.3: seconds or a date), between 1 s and 6 h; None if unreadable."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        wanted = timedelta(seconds=min(int(text[:12]), LONGEST_RETRY_AFTER.total_seconds()))
    else:
        try:
            moment = email.utils.parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        wanted = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(wanted, timedelta(seconds=1)), LONGEST_RETRY_AFTER)


# Sockets ----------------------------------------------------------------------------------------------------------


class _GuardedStream(httpcore2.NetworkStream):
    """A socket on which no operation outlasts the request's deadline: bytes that trickle do not extend it."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _remaining(timeout, httpcore2.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        remaining = _remaining(timeout, httpcore2.ConnectTimeout)
        return _GuardedStream(self._stream.start_tls(ssl_context, server_hostname, remaining))

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)


class _GuardedBackend(httpcore2.NetworkBackend):
    """Connects to an address that was judged, never to a name. TLS and the Host header keep the name."""

    def __init__(self) -> None:
        self._backend = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        remaining = _remaining(timeout, httpcore2.ConnectTimeout)
        failure: Exception = httpcore2.ConnectError("no address")
        for address in addresses_to_connect(host, port, timeout_seconds=remaining)[:4]:
            try:
                remaining = _remaining(timeout, httpcore2.ConnectTimeout)
                return _GuardedStream(
                    self._backend.connect_tcp(address, port, remaining, local_address, socket_options)
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


class _GuardedTransport(httpx2.HTTPTransport):
    def __init__(self) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=15,
            network_backend=_GuardedBackend(),
        )


@functools.lru_cache(maxsize=4)
def _transport(process_id: int, allowed_hosts: tuple[str, ...]) -> _GuardedTransport:
    # A forked worker must not share its parent's sockets; a host that is not allowed any more must not stay connected.
    return _GuardedTransport()


def _answer_to(request: httpx2.Request) -> httpx2.Response:
    transport = _transport(os.getpid(), tuple(settings.OUTBOUND_ALLOWED_HOSTS))
    try:
        response = transport.handle_request(request)
    except (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError):
        # The server closed a kept connection just as it was used again. What only reads is asked once more; a POST
        # may have done its work already, and a refresh token is good for one use.
        if request.method == "POST":
            raise
        response = transport.handle_request(request)
    response.request = request
    return response


def _remaining(timeout: float | None, too_late: type[Exception]) -> float:
    left = _deadline.get() - time.monotonic()
    if left <= 0:
        raise too_late("deadline")
    return left if timeout is None else min(left, timeout)


# Answers ----------------------------------------------------------------------------------------------------------


def _body(response: httpx2.Response, limit: int) -> bytes:
    too_large = TooLarge(f"The answer is larger than {limit // 1024} KiB.")
    if int(response.headers.get("content-length", "0") or 0) > limit:
        raise too_large
    parts: list[bytes] = []
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
    return b"".join(parts)


@contextlib.contextmanager
def _failures_named(url: httpx2.URL) -> Iterator[None]:
    """Turn the transport's exceptions into the port's. Their texts are not passed on: they are no plain words."""
    try:
        yield
    except httpx2.TimeoutException:
        raise Unreachable(f"{_site(url)} did not answer in time.") from None
    except httpx2.ConnectError as error:
        if isinstance(error.__context__, ssl.SSLError) or "CERTIFICATE" in str(error).upper():
            raise Unreachable(f"The certificate of {_site(url)} cannot be verified.") from None
        raise Unreachable(f"{_site(url)} cannot be reached.") from None
    except httpx2.DecodingError:
        raise Unreachable(f"{_site(url)} sent an answer that cannot be decompressed.") from None
    except httpx2.HTTPError:
        raise Unreachable(f"{_site(url)} broke off its answer.") from None
    except (httpx2.InvalidURL, UnicodeError):
        raise UnexpectedAnswer("The server names an address that is none.") from None


def _raise_for(reply: Reply, *, bearer: bool) -> None:
    site, status = _site(reply.url), reply.status
    if status == 401:
        raise ReconnectNeeded(
            f"{site} does not let us in any more." if bearer else f"{site} refused the user name or password."
        )
    if status == 429 or (status == 503 and "retry-after" in reply.headers):
        wait = retry_after(reply.headers, now=timezone.now())
        raise Throttled(f"{site} asks us to come back later ({status}).", retry_after=wait)
    # 507 speaks of a listing's length (RFC 6578 §3.6), not of a failure.
    if status >= 500 and status != 507:
        raise ServerFault(f"{site} has a problem of its own ({status}).")


def _parsed(body: bytes) -> Any:
    """What the JSON says; None for no JSON."""
    try:
        return orjson.loads(body)
    except ValueError:
        # Half a surrogate pair, as in a text that was cut off: strict readers refuse the whole answer for it.
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None


def _redirect_target(reply: Reply) -> httpx2.URL:
    try:
        return reply.url.join(reply.headers["location"]).copy_with(fragment=None)
    except (httpx2.InvalidURL, ValueError):
        raise UnexpectedAnswer("The server redirects to an address that is none.") from None


def _site(url: httpx2.URL) -> str:
    """Host and unusual port: all of an address that may stand in a message."""
    host = url.host[:100]
    return host if url.port is None else f"{host}:{port_of(url)}"
