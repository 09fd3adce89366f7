"""A load that costs next to nothing itself: one thread, a few connections, prepared bytes out, bytes counted in.

Python's own HTTP client takes longer over an answer than the server does, and what is compared would be its pace.
"""

import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil

CONNECTIONS = 4
_HEAD_ENDS, _CHUNKS_END = b"\r\n\r\n", b"\r\n0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Wire:
    """One GET, over and over. status: of every answer; another one raises."""

    port: int
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    status: int = field(default=200, kw_only=True)
    connections: int = field(default=CONNECTIONS, kw_only=True)

    @property
    def question(self) -> bytes:
        lines = [f"GET {self.path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def run(self, count: int) -> float:
        """Seconds that `count` answers took (rounded up to whole rounds of all connections)."""
        question = self.question
        with ExitStack() as stack:
            address = ("127.0.0.1", self.port)
            open_ = [stack.enter_context(socket.create_connection(address, 20)) for _ in range(self.connections)]
            for connection in open_:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            buffer = bytearray(1 << 20)
            started = time.perf_counter()
            for _ in range(-(-count // self.connections)):
                for connection in open_:
                    connection.sendall(question)
                for connection in open_:
                    self._take(connection, buffer)
            return time.perf_counter() - started

    def _take(self, connection: socket.socket, buffer: bytearray) -> None:
        view, held = memoryview(buffer), 0
        while (end := buffer.find(_HEAD_ENDS, 0, held)) < 0:
            held += _received(connection, view[held:])
        head = bytes(view[:end]).lower()
        assert head.startswith(b"http/1.1 %d" % self.status), head
        if self.status == 304:
            return
        held -= end + 4
        _, named, rest = head.partition(b"content-length: ")
        if named:
            left = int(rest.partition(b"\r\n")[0]) - held
            while left > 0:
                left -= _received(connection, view[: min(left, len(buffer))])
            return
        # From the end of the head: a body without chunks ends there.
        last = bytes(view[end + 2 : end + 4 + held])[-len(_CHUNKS_END) :]
        while last != _CHUNKS_END:
            more = _received(connection, view)
            last = (last + bytes(view[max(more - len(_CHUNKS_END), 0) : more]))[-len(_CHUNKS_END) :]


def _received(connection: socket.socket, into: memoryview) -> int:
    count = connection.recv_into(into)
    assert count, "the server hung up"
    return count


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """What the living threads of these processes have computed until now; load beside them is not in it."""
    found = 0
    for process in processes:
        for task in Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
            found += int(task.read_text().split()[0])
    return found / 1e9
