"""The demo's processes: started, watched, started again, and stopped in order with nothing left behind."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.env import BASE_DIR

# A child that falls this soon after its start would only fall again.
SHORTEST_LIFE_SECONDS = 10
_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 8
_LAST_LINES = 15


class ChildFailed(Exception):
    """A process of the demo ended by itself and is not worth another start."""


@dataclass(slots=True)
class Child:
    """One process: how to start it, where it logs, and the signal that ends it when the demo itself was killed."""

    name: str
    command: list[str]
    log: Path
    orphan_signal: signal.Signals = signal.SIGKILL
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started: float = field(default=0.0, init=False)

    def start(self) -> None:
        self.started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=BASE_DIR,
                # A session of its own: Ctrl-C reaches only the demo, which stops everything in order.
                start_new_session=True,
                preexec_fn=dies_with(os.getpid(), self.orphan_signal),
            )

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """Ask, wait, then end whatever is left of the process's group."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def last_lines(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join(f"  {line}" for line in lines) or "  (it wrote nothing)"


class Children:
    """All processes of the demo, in the order of their start; they stop in the opposite order."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def start(self, child: Child) -> None:
        child.log.write_bytes(b"")
        self._children.append(child)
        child.start()

    def watch(self, *, restart: bool) -> None:
        """Report children that ended. With `restart` they start again, but not those that fall at once.

        Raises ChildFailed with the last lines of the child's log.
        """
        for child in self._children:
            if not child.ended():
                continue
            assert child.process is not None
            how = _ending(child.process.returncode)
            if not restart or time.monotonic() - child.started < SHORTEST_LIFE_SECONDS:
                raise ChildFailed(f"{child.name} {how}. The end of {child.log}:\n{child.last_lines()}")
            say(f"{child.name} {how}; starting it again.")
            child.stop()
            child.start()

    def wait_until(self, ready: Callable[[], bool], *, what: str, seconds: float) -> None:
        """Return when `ready()`; raises ChildFailed when a child ends or `seconds` have passed."""
        deadline = time.monotonic() + seconds
        while not ready():
            self.watch(restart=False)
            if time.monotonic() > deadline:
                raise ChildFailed(f"{what} did not come up within {seconds:.0f} seconds.")
            time.sleep(0.05)

    def stop(self) -> None:
        for child in reversed(self._children):
            child.stop()


def dies_with(parent: int, orphan_signal: signal.Signals) -> Callable[[], None]:
    """What a child of `parent` calls to be sent `orphan_signal` when its parent dies (prctl(2))."""
    libc = ctypes.CDLL(None, use_errno=True)

    def ask() -> None:
        if sys.platform == "linux":
            libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal))
            # The parent may have died before the question was put.
            if os.getppid() != parent:
                os._exit(1)

    return ask


def say(line: str) -> None:
    """A line of progress. Standard output is kept for the lines that a shell evaluates."""
    print(line, file=sys.stderr, flush=True)


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"
