"""A bounded load on a server of this machine: two clients, connections kept alive, a fixed number of requests."""

import http.client
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

CLIENTS = 4
REQUESTS_PER_CLIENT = 75


@dataclass(frozen=True, slots=True)
class Load:
    """One GET, over and over."""

    port: int
    path: str
    headers: dict[str, str]
    status: int = field(default=200, kw_only=True)

    def body(self) -> bytes:
        """One answer's; raises when it has another status."""
        return self._get(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20))

    def header(self, name: str) -> str:
        """Of one answer; raises when there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", self.path, headers=self.headers)
        value = connection.getresponse().headers[name]
        connection.close()
        return str(value)

    def length(self) -> int:
        """Bytes of one answer, which is never held as a whole."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", self.path, headers=self.headers)
        answer, count = connection.getresponse(), 0
        assert answer.status == self.status, answer.status
        while chunk := answer.read(65_536):
            count += len(chunk)
        connection.close()
        return count

    def wait(self) -> None:
        """Return when the server answers; raises after 20 seconds."""
        deadline = time.monotonic() + 20
        while True:
            try:
                self.body()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return

    def series(self, count: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        for _ in range(count):
            self._get(connection)
        connection.close()

    @contextmanager
    def connected(self) -> Iterator[Callable[[], bytes]]:
        """What asks once more over one connection, and returns the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        yield lambda: self._get(connection)
        connection.close()

    def _get(self, connection: http.client.HTTPConnection) -> bytes:
        self._send(connection)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == self.status, (answer.status, body[:300])
        return body

    def _send(self, connection: http.client.HTTPConnection) -> None:
        connection.request("GET", self.path, headers=self.headers)


@dataclass(frozen=True, slots=True)
class Post(Load):
    """One question with a JSON body, over and over."""

    question: dict[str, Any]

    def _send(self, connection: http.client.HTTPConnection) -> None:
        headers = {**self.headers, "Content-Type": "application/json"}
        connection.request("POST", self.path, body=json.dumps(self.question), headers=headers)


def requests_per_second(load: Load) -> float:
    """Answers per second with CLIENTS at once."""
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(load.series, [REQUESTS_PER_CLIENT] * CLIENTS))
    return CLIENTS * REQUESTS_PER_CLIENT / (time.perf_counter() - started)


@dataclass(frozen=True, slots=True)
class Delivery(Load):
    """One body posted as it is, over and over."""

    sent: bytes

    def _send(self, connection: http.client.HTTPConnection) -> None:
        connection.request("POST", self.path, body=self.sent, headers=self.headers)


def latencies(load: Load, *, clients: int, each: int) -> tuple[float, list[float]]:
    """Answers per second with `clients` at once, and the seconds that each answer took, the shortest first."""

    def series(count: int) -> list[float]:
        found = []
        with load.connected() as ask:
            for _ in range(count):
                started = time.perf_counter()
                ask()
                found.append(time.perf_counter() - started)
        return found

    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        taken = list(pool.map(series, [each] * clients))
    return clients * each / (time.perf_counter() - started), sorted(seconds for one in taken for seconds in one)
