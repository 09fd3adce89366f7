"""Deaths of a worker: before or after any step of a sync."""

from collections.abc import Callable
from typing import Any

from calendars.services import runs
from calendars.sync import health, listing, mirror
from calendars.sync import lease as leases
from calendars.sync.spool import Spool


class Killed(BaseException):
    """No handler of the engine's catches it, as none catches SIGKILL."""


def dies_before(step: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        raise Killed

    return wrapped


def dies_after(step: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        step(*args, **kwargs)
        raise Killed

    return wrapped


# Where each is looked up, and its name there.
STEPS: list[tuple[Any, str]] = [
    (runs, "take_up"),
    (health, "say_attempt"),
    (listing, "reconcile"),
    (Spool, "add"),
    (mirror, "apply"),
    (mirror, "_count"),
    (mirror, "_write"),
    (health, "settle"),
    (runs, "close"),
    (leases, "release"),
]
WAYS = (dies_before, dies_after)
