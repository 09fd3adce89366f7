"""What the demo keeps in `var/`: its secrets, its database, its logs, and the settings that commands beside it read."""

import fcntl
import json
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cryptography.fernet import Fernet

from config.env import BASE_DIR, DEMO_FILE

VAR = BASE_DIR / "var"
LOGS = VAR / "log"
DATABASE = VAR / "demo.sqlite3"
_SECRETS = VAR / "demo-secrets.json"


class CannotStart(Exception):
    """The demo cannot run here and now; the message says what to do."""


@contextmanager
def locked() -> Iterator[None]:
    """Hold this folder for one demo. Raises CannotStart when another has it."""
    VAR.mkdir(mode=0o700, exist_ok=True)
    LOGS.mkdir(exist_ok=True)
    with (VAR / "demo.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart("A demo is running in this folder already. Stop it first: Ctrl-C there.") from None
        yield


def load_secrets() -> dict[str, str]:
    """The demo's secrets, made at its first run and kept, so that printed keys stay good."""
    fresh = {
        "secret_key": secrets.token_urlsafe(50),
        "encryption_key": Fernet.generate_key().decode(),
        "admin_password": secrets.token_urlsafe(12),
        "calendar_password": secrets.token_urlsafe(12),
        "calendar_port": str(free_port()),
        "api_key": "",
    }
    kept = json.loads(_SECRETS.read_text()) if _SECRETS.exists() else {}
    return {**fresh, **kept}


def save_secrets(values: Mapping[str, str]) -> None:
    _write_private(_SECRETS, json.dumps(values, indent=1))


def write_settings(settings: Mapping[str, str]) -> None:
    """`var/demo.env`, which `manage.py` reads when nothing else is configured."""
    _write_private(DEMO_FILE, "".join(f"{name}={value}\n" for name, value in settings.items()))


def free_port() -> int:
    """A loopback port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _write_private(path: Path, text: str) -> None:
    """Readable by its owner only from the first byte on, and never half written."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    partial.replace(path)
