"""Requests that come when they come: whoever sends them does not wait for the answers to the ones before.

Each is timed from the moment in which it was due, so a service that falls behind is seen to: a client that waited for
its answers would slow down with it, and measure nothing. The requests are rendered before: this thread only moves
bytes, so that it leaves the processors to what it measures.
"""

import selectors
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

CONNECTIONS = 64
# Nobody waits longer than this for what is still missing.
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What came back: seconds from when each was due to its answer, the shortest first."""

    seconds: list[float] = field(repr=False)
    refused: int
    answered_in: float

    def quantile(self, share: float) -> float:
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * share))]


@dataclass(frozen=True, slots=True)
class Burst:
    """Whole HTTP/1.1 requests, offered evenly over `seconds`, each over one of `connections` that are kept alive.

    seconds: 0 offers each as soon as a connection is free, and it is due then: how much can be taken at most.
    """

    requests: Sequence[bytes] = field(repr=False)
    seconds: float
    connections: int = CONNECTIONS

    def at(self, port: int) -> Sent:
        """Send them to a port of this machine; raises when an answer is missing after a minute."""
        with selectors.DefaultSelector() as ready:
            idle: deque[socket.socket] = deque()
            for _ in range(self.connections):
                connection = socket.create_connection(("127.0.0.1", port))
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(connection, selectors.EVENT_READ)
                idle.append(connection)
            try:
                return self._run(ready, idle)
            finally:
                for key in list(ready.get_map().values()):
                    key.fileobj.close()

    def _run(self, ready: selectors.BaseSelector, idle: deque[socket.socket]) -> Sent:
        started, pace = time.perf_counter(), self.seconds / len(self.requests)
        due_of: dict[socket.socket, float] = {}
        answers: dict[socket.socket, bytes] = {}
        taken: list[float] = []
        refused = number = 0
        while len(taken) < len(self.requests):
            now = time.perf_counter() - started
            while idle and number < len(self.requests) and number * pace <= now:
                connection = idle.popleft()
                due_of[connection] = number * pace if pace else now
                connection.sendall(self.requests[number])
                number += 1
            assert now < self.seconds + _PATIENCE, f"{len(self.requests) - len(taken)} answers are missing"
            wait = max(0.0, number * pace - now) if idle and number < len(self.requests) else 0.5
            for key, _ in ready.select(wait):
                connection = key.fileobj  # type: ignore[assignment]
                more = connection.recv(65_536)
                assert more, "the server hung up"
                answer = answers[connection] = answers.get(connection, b"") + more
                if not _is_whole(answer):
                    continue
                now = time.perf_counter() - started
                taken.append(now - due_of.pop(connection))
                refused += not answers.pop(connection).startswith(b"HTTP/1.1 200")
                idle.append(connection)
        return Sent(sorted(taken), refused, time.perf_counter() - started)


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    _, named, length = head.lower().partition(b"content-length:")
    if end and not named:
        return answer.endswith(b"\r\n0\r\n\r\n")
    return bool(end) and len(body) >= int(length.partition(b"\r\n")[0])
