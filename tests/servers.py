"""Real CalDAV servers for the length of a test: Radicale and Xandikos, each on a loopback port in a folder of its own.

    with radicale() as server:
        server.make_calendar("work")
        server.put_events("work", {"standup": text})
        provider = CalDAVProvider(Connection(email=…, credentials=server.credentials))

What a test then does to them is what happens to servers: they go down, forget their tokens, come back empty.
"""

import base64
import hashlib
import http.client
import os
import pickle
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

from radicale.storage import CACHE_VERSION

from config.demo.calendars import RADICALE_CONFIG
from config.demo.children import dies_with
from config.demo.folder import free_port

_UP_SECONDS = 30
# Nothing here outlives the test, so nothing has to reach the disk.
_UNSYNCED = (
    "import os, runpy, sys; os.fsync = lambda file: None; runpy.run_module(sys.argv.pop(1), run_name='__main__')"
)


class CalDAVServer:
    """A server process, stopped and started at will on the same port and folder.

    url: where an account would be pointed to. credentials: what a `Connection` to it holds. Calendars and events go
    by their last name; events are files `<name>.ics`.
    """

    username = "alice"
    password = "alice-secret"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def credentials(self) -> dict[str, str]:
        return {"server_url": self.url, "username": self.username, "password": self.password}

    def start(self) -> None:
        """Up and answering; raises RuntimeError with the last of its log."""
        log = self.folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
                start_new_session=True,
                preexec_fn=dies_with(os.getpid(), signal.SIGKILL),
            )
        deadline = time.monotonic() + _UP_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"The server did not start. Its log ends: {log.read_text()[-1000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Down; the port refuses connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def calendar_url(self, calendar: str) -> str:
        return f"http://127.0.0.1:{self.port}{self._path(calendar)}"

    def make_calendar(
        self, name: str, *, title: str = "", color: str = "", time_zone: str = "", components: str = "VEVENT"
    ) -> None:
        properties = [
            f"<D:displayname>{escape(title or name)}</D:displayname>",
            "<C:supported-calendar-component-set>",
            *(f'<C:comp name="{component}"/>' for component in components.split()),
            "</C:supported-calendar-component-set>",
        ]
        if color:
            properties.append(f"<A:calendar-color>{color}</A:calendar-color>")
        if time_zone:
            properties.append(f"<C:calendar-timezone>{escape(time_zone)}</C:calendar-timezone>")
        body = (
            '<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:A="http://apple.com/ns/ical/">'
            f"<D:set><D:prop>{''.join(properties)}</D:prop></D:set></C:mkcalendar>"
        )
        self.request("MKCALENDAR", self._path(name), body, {"Content-Type": "application/xml"})

    def drop_calendar(self, name: str) -> None:
        self.request("DELETE", self._path(name))

    def put_events(self, calendar: str, events: Mapping[str, str]) -> None:
        """Create or replace events: name → text of the calendar object."""
        for name, text in events.items():
            path = f"{self._path(calendar)}{quote(name)}.ics"
            self.request("PUT", path, text, {"Content-Type": "text/calendar; charset=utf-8"})

    def write_events(self, calendar: str, events: Mapping[str, str]) -> None:
        """Many events at once, by the quickest way that the server has; the calendar is made where it is missing."""
        with suppress(AssertionError):
            self.make_calendar(calendar)
        self.put_events(calendar, events)

    def delete_events(self, calendar: str, names: list[str]) -> None:
        for name in names:
            self.request("DELETE", f"{self._path(calendar)}{quote(name)}.ics")

    def forget_tokens(self) -> None:
        """Every sync token that it gave out is unknown to it, once the calendar has changed again.

        (A token of Radicale's is a digest of the calendar: of the present one it can say that nothing changed.)
        """
        raise NotImplementedError

    def empty(self, calendar: str) -> None:
        """It comes back from a crash with the calendar, and without what was in it or any memory of that."""
        raise NotImplementedError

    def request(self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> bytes:
        """The answer's body; raises AssertionError for a status of 400 or more."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        secret = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        try:
            connection.request(
                method, path, body.encode() or None, {"Authorization": f"Basic {secret}", **(headers or {})}
            )
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status < 400, f"{method} {path}: {answer.status} {text[:300]!r}"
        return text

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _path(self, calendar: str) -> str:
        raise NotImplementedError

    def _answers(self) -> bool:
        try:
            self.request("OPTIONS", "/")
        except (OSError, AssertionError):
            return False
        return True


class Radicale(CalDAVServer):
    def _command(self) -> list[str]:
        (self.folder / "users").write_text(f"{self.username}:{self.password}\n")
        (self.folder / "config").write_text(RADICALE_CONFIG.format(port=self.port, folder=self.folder))
        return [sys.executable, "-c", _UNSYNCED, "radicale", "--config", str(self.folder / "config")]

    def _path(self, calendar: str) -> str:
        return f"/{self.username}/{calendar}/"

    def write_events(self, calendar: str, events: Mapping[str, str]) -> None:
        """As files, with what Radicale remembers of files that it has read; reading them costs it 5 to 40 ms each."""
        if not self._files(calendar).exists():
            self.make_calendar(calendar)
        remembered = self._files(calendar) / ".Radicale.cache" / "item"
        remembered.mkdir(parents=True, exist_ok=True)
        for name, text in events.items():
            (self._files(calendar) / f"{name}.ics").write_text(text, newline="")
            (remembered / f"{name}.ics").write_bytes(_remembered(text))

    def forget_tokens(self) -> None:
        for cache in self.folder.rglob(".Radicale.cache/sync-token"):
            shutil.rmtree(cache)

    def empty(self, calendar: str) -> None:
        for file in self._files(calendar).glob("*.ics"):
            file.unlink()
        shutil.rmtree(self._files(calendar) / ".Radicale.cache", ignore_errors=True)

    def _files(self, calendar: str) -> Path:
        return self.folder / "collections" / "collection-root" / self.username / calendar


def _remembered(text: str) -> bytes:
    """An entry of Radicale's cache (its storage/multifilesystem/cache.py); one that it does not know it ignores."""
    raw = text.encode()
    uid = text.partition("\nUID:")[2].partition("\n")[0].strip()
    etag = f'"{hashlib.sha256(raw).hexdigest()}"'
    digest = hashlib.sha256(CACHE_VERSION + raw).hexdigest()
    return pickle.dumps((digest, uid, etag, text, "VCALENDAR", "VEVENT", 0, 2**40))


class Xandikos(CalDAVServer):
    """It asks for no password on plain http; the one user is called `user`."""

    def _command(self) -> list[str]:
        command = [sys.executable, "-c", _UNSYNCED, "xandikos", "serve", "--defaults", "-l", "127.0.0.1"]
        return [
            *command,
            "-p",
            str(self.port),
            "-d",
            str(self.folder / "data"),
            "--state-dir",
            str(self.folder / "state"),
        ]

    def _path(self, calendar: str) -> str:
        return f"/user/calendars/{calendar}/"

    def forget_tokens(self) -> None:
        # A token names a state of the calendar's git history; under another title all states are others.
        for git in (self.folder / "data" / "user" / "calendars").glob("*/.git"):
            calendar = git.parent.name
            kept = {file.stem: file.read_bytes().decode() for file in git.parent.glob("*.ics")}
            self.drop_calendar(calendar)
            self.make_calendar(calendar, title=f"{calendar} {secrets.token_hex(4)}")
            self.put_events(calendar, kept)

    def empty(self, calendar: str) -> None:
        self.drop_calendar(calendar)
        self.make_calendar(calendar)


@contextmanager
def radicale() -> Iterator[Radicale]:
    """A running Radicale without calendars; user and password are asked for."""
    with _folder() as folder:
        server = Radicale(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def xandikos() -> Iterator[Xandikos]:
    """A running Xandikos with one empty calendar, "calendar"."""
    with _folder() as folder:
        server = Xandikos(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="caldav-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
