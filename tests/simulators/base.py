"""What every simulated vendor is: an HTTP server that counts its requests and fails where a test says so.

    simulator.fail(Canned(500))                        # the next request
    simulator.fail(truncated, on=3, path="/events")    # the third from now whose path holds "/events"
    simulator.before(lambda: simulator.delete("standup"), on=2)

A fault that is an answer takes the vendor's place: the request never happened there. A fault that is a function gets
the vendor's true answer, after it did what was asked, and makes of it what the client sees.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.proxy import Ask, Canned, Proxy

Fault = Canned | Callable[[Canned], Canned]


@dataclass(slots=True)
class _Planned:
    """`left`: how many more fitting requests pass before it happens; `times`: how often it happens then."""

    fault: Fault | None
    left: int
    times: int
    path: str
    act: Callable[[], object]


class Simulator(Proxy):
    """A vendor. Subclasses answer in `respond`, which is called for one request at a time, with `lock` held.

    Whatever a test changes by hand has to hold `lock` too. An exception in `respond` is answered as 500 and raised
    again where the `with` ends, so that no test passes over a simulator's own fault.
    """

    def __init__(self, port: int = 0) -> None:
        super().__init__(port=port)
        self.lock = threading.RLock()
        self.crashes: list[Exception] = []
        self._planned: list[_Planned] = []
        self.answer = self._answer

    def respond(self, ask: Ask) -> Canned:
        raise NotImplementedError

    def fail(self, fault: Fault, *, on: int = 1, times: int = 1, path: str = "") -> None:
        """Do `fault` to the request number `on` from now, and to the `times` - 1 after it; only requests whose path
        or query holds `path` count."""
        with self.lock:
            self._planned.append(_Planned(fault, on - 1, times, path, lambda: None))

    def before(self, act: Callable[[], object], *, on: int = 1, path: str = "") -> None:
        """Call `act` just before the request number `on` from now is answered."""
        with self.lock:
            self._planned.append(_Planned(None, on - 1, 1, path, act))

    def recover(self) -> None:
        """Nothing that was planned happens any more."""
        with self.lock:
            self._planned.clear()

    def asked_for(self, path: str) -> list[Ask]:
        """The requests so far whose path or query holds `path`."""
        return [ask for ask in self.asked if path in ask.path]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self.crashes and error is None:
            raise self.crashes[0]

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def _answer(self, ask: Ask) -> Canned:
        try:
            with self.lock:
                fault = self._due(ask)
                if isinstance(fault, Canned):
                    return fault
                true = self.respond(ask)
            return fault(true) if fault else true
        except Exception as error:  # noqa: BLE001 (raised again by __exit__)
            self.crashes.append(error)
            return Canned(500, b"the simulator itself failed")

    def _due(self, ask: Ask) -> Fault | None:
        due: Fault | None = None
        for planned in list(self._planned):
            if planned.path not in ask.path:
                continue
            if planned.left > 0:
                planned.left -= 1
                continue
            planned.act()
            planned.times -= 1
            if not planned.times:
                self._planned.remove(planned)
            due = due or planned.fault
        return due


class Between(Simulator):
    """A real server on this machine's port `behind`, with a simulator's faults in front of it."""

    def __init__(self, behind: int) -> None:
        super().__init__()
        self._behind = behind

    def respond(self, ask: Ask) -> Canned:
        return ask.forward()


# Faults on true answers ------------------------------------------------------------------------------------------


def truncated(true: Canned) -> Canned:
    """Half of the body, under a Content-Length that fits it."""
    return replace(true, body=true.body[: len(true.body) // 2])


def cut_off(true: Canned) -> Canned:
    """A Content-Length larger than the body, and then the end of the connection."""
    return replace(true, promised=len(true.body) + 100)


def reset(true: Canned) -> Canned:
    """The connection breaks before a word is said; what was asked has been done."""
    return replace(true, reset=True)


def never_begun(true: Canned) -> Canned:
    """Not even the headers come, until the client gives up."""
    return replace(true, silent=True)


def never_done(true: Canned) -> Canned:
    """The body, and then a byte now and then until the client gives up."""
    return replace(true, trickle=True)


def as_html(true: Canned) -> Canned:
    """A page for people, with a status of 200, as gateways and captive portals send."""
    return Canned(200, b"<!DOCTYPE html><title>Sign in</title>", {"Content-Type": "text/html; charset=utf-8"})


def without(name: str) -> Callable[[Canned], Canned]:
    """The true answer without one member of its JSON object."""

    def fault(true: Canned) -> Canned:
        return replace(true, body=_json({key: value for key, value in json.loads(true.body).items() if key != name}))

    return fault


# Requests and answers ----------------------------------------------------------------------------------------------


def json_answer(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Canned:
    return Canned(status, _json(body), {"Content-Type": "application/json; charset=UTF-8", **(headers or {})})


def path_of(ask: Ask) -> str:
    """Without the query, still percent-encoded."""
    return urlsplit(ask.path).path


def query_of(ask: Ask) -> dict[str, str]:
    """Of a repeated name the last."""
    return dict(parse_qsl(urlsplit(ask.path).query, keep_blank_values=True))


def form_of(ask: Ask) -> dict[str, str]:
    return dict(parse_qsl(ask.body.decode(), keep_blank_values=True))


def header_of(ask: Ask, name: str) -> str:
    return next((value for key, value in ask.headers.items() if key.lower() == name.lower()), "")


def _json(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
