"""A bounded load on a server of this machine: two clients, connections kept alive, a fixed number of requests."""

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

CLIENTS = 4
REQUESTS_PER_CLIENT = 75


@dataclass(frozen=True, slots=True)
class Load:
    """One GET, over and over."""

    port: int
    path: str
    headers: dict[str, str]

    def body(self) -> bytes:
        """One answer; raises when it is not 200."""
        return self._get(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20))

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

    def _get(self, connection: http.client.HTTPConnection) -> bytes:
        connection.request("GET", self.path, headers=self.headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (answer.status, body[:300])
        return body


def requests_per_second(load: Load) -> float:
    """Answers per second with CLIENTS at once."""
    started = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(load.series, [REQUESTS_PER_CLIENT] * CLIENTS))
    return CLIENTS * REQUESTS_PER_CLIENT / (time.perf_counter() - started)
