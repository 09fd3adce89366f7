"""A server between us and a vendor: it counts what is asked, passes it on, and misbehaves where a test says so.

    with Proxy(server.port) as proxy:
        proxy.answer = lambda ask: Canned(503, headers={"Retry-After": "120"}) if ask.method == "REPORT" else None

Without a vendor behind it, everything that the test does not answer is 404.
"""

import contextlib
import http.client
import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass(frozen=True, slots=True)
class Canned:
    """An answer. promised: a Content-Length that is not the body's. trickle: after the body, a byte now and then,
    until the client hangs up. silent: nothing at all until then. reset: the connection breaks instead."""

    status: int = 207
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    promised: int | None = None
    trickle: bool = False
    silent: bool = False
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as it came in. number: from 1."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    _port: int | None

    def forward(self) -> Canned:
        """What the vendor answers."""
        if self._port is None:
            return Canned(404)
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(self.method, self.path, self.body or None, {**headers, "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return Canned(answer.status, answer.read(), kept)
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Proxy:
    """url: where to point an account. asked: every request so far. answer: None for an ask passes it on.

    connections: the clients' ports, one for each connection that was made.
    """

    def __init__(self, port_behind: int | None = None, *, port: int = 0) -> None:
        self.asked: list[Ask] = []
        self.answer: Callable[[Ask], Canned | None] = lambda ask: None
        self.connections: set[int] = set()
        self._open: list[socket.socket] = []
        self._behind = port_behind
        self._closing = threading.Event()
        self._lock = threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else each body waits 40 ms for the acknowledgement of its headers.
            disable_nagle_algorithm = True

            def __getattr__(self, name: str) -> Callable[[], None]:
                if name.startswith("do_"):
                    return lambda: proxy._handle(self)
                raise AttributeError(name)

            def setup(self) -> None:
                proxy.connections.add(self.client_address[1])
                proxy._open.append(self.request)
                super().setup()

            def log_message(self, *arguments: object) -> None:
                """Tests read `asked`."""

        self._server = _Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()

    def hang_up(self) -> None:
        """Close every connection that clients keep, without a word."""
        for kept in self._open:
            with contextlib.suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def methods(self) -> list[str]:
        return [ask.method for ask in self.asked]

    def forget(self) -> None:
        self.asked.clear()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self._lock:
            ask = Ask(len(self.asked) + 1, handler.command, handler.path, dict(handler.headers), body, self._behind)
            self.asked.append(ask)
        canned = self.answer(ask) or ask.forward()
        try:
            self._send(handler, canned)
        except OSError:
            handler.close_connection = True

    def _send(self, handler: BaseHTTPRequestHandler, canned: Canned) -> None:
        if canned.silent:
            _wait_for_end(handler.connection, self._closing)
        if canned.silent or canned.reset:
            # Closed with no time to linger, and behind the back of those who would end it in order: a reset.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(handler.connection.detach())
            handler.close_connection = True
            return
        handler.send_response(canned.status)
        for name, value in canned.headers.items():
            handler.send_header(name, value)
        length = len(canned.body) if canned.promised is None else canned.promised
        handler.send_header("Content-Length", str(10**6 if canned.trickle else length))
        handler.end_headers()
        handler.wfile.write(canned.body)
        while canned.trickle and not self._closing.wait(0.01):
            handler.wfile.write(b" ")
        if canned.promised is not None:
            handler.close_connection = True


def _wait_for_end(connection: socket.socket, closing: threading.Event) -> None:
    """Until the client hangs up, or sends what nobody asked for, or the server closes."""
    while not closing.is_set():
        readable, _, _ = select.select([connection], [], [], 0.02)
        if readable:
            return
