"""The one reader of the environment: typed values, and a list of what is wrong with them.

A value that is missing or cannot be read never stops the import of the settings: it is noted in `problems`,
which `config/checks.py` turns into system-check errors with a hint. So `manage.py check` tells everything that
is wrong at once instead of dying at the first.

Beside a running demo, commands need no settings of their own: when neither SECRET_KEY nor DATABASE_URL is given,
the file that the demo writes (`var/demo.env`, NAME=value lines) is read first.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import environ
from cryptography.fernet import Fernet

BASE_DIR = Path(__file__).resolve().parent.parent
_HOST = re.compile(r"\*|\.?[\w-]+(\.[\w-]+)*\.?|\[[0-9a-f:.]+\]", re.IGNORECASE)
DEMO_FILE = BASE_DIR / "var" / "demo.env"


@dataclass(frozen=True, slots=True)
class Problem:
    """One environment variable that is missing or wrong, and what to write instead."""

    name: str
    message: str
    hint: str


problems: list[Problem] = []


def adopt_demo_file(path: Path = DEMO_FILE) -> None:
    """Take NAME=value lines of the demo's file into the environment, unless the caller configured anything."""
    if os.environ.get("SECRET_KEY") or os.environ.get("DATABASE_URL") or not path.exists():
        return
    for line in path.read_text().splitlines():
        name, separator, value = line.partition("=")
        # What is empty is as good as not set, here as everywhere.
        if separator and not os.environ.get(name):
            os.environ[name] = value


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, default).strip()


def required(name: str, hint: str, fallback: str) -> str:
    """The value; when it is missing, `fallback`, and a problem noted."""
    value = text(name)
    if not value:
        problems.append(Problem(name, f"{name} is not set.", hint))
    return value or fallback


def flag(name: str, default: bool = False) -> bool:
    value = text(name).lower()
    if value in {"", "1", "true", "yes", "on", "0", "false", "no", "off"}:
        return default if not value else value in {"1", "true", "yes", "on"}
    problems.append(Problem(name, f"{name} is not a yes or a no.", "Use true or false."))
    return default


def integer(name: str, default: int, *, least: int = 0, most: int = 1_000_000_000) -> int:
    """A whole number; the bound above keeps spans of time within what Python can reckon with."""
    value = text(name)
    if not value:
        return default
    if value.isascii() and value.isdigit() and len(value) <= len(str(most)) and least <= int(value) <= most:
        return int(value)
    problems.append(Problem(name, f"{name} is not a whole number from {least} to {most}.", f"For example {default}."))
    return default


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """One of `choices`, which are in upper case; the value's own case does not count."""
    value = text(name).upper() or default
    if value in choices:
        return value
    problems.append(Problem(name, f"{name} is none of its values.", f"Use one of {', '.join(choices)}."))
    return default


def words(name: str, default: str = "") -> list[str]:
    """Comma-separated values, without blanks."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def hosts(name: str) -> list[str]:
    """Comma-separated host names as Django's ALLOWED_HOSTS takes them: neither schemes nor ports."""
    found = words(name)
    if not all(_HOST.fullmatch(host) for host in found):
        problems.append(
            Problem(name, f"{name} holds more than host names.", "Without scheme and port: calendar.example.com.")
        )
    return found


def database(name: str = "DATABASE_URL") -> dict[str, Any]:
    """Django's DATABASES entry for a URL (postgresql://… or sqlite:///…)."""
    hint = "For example postgresql://user:password@localhost:5432/calendar."
    url = required(name, hint, f"sqlite:///{BASE_DIR / 'var' / 'db.sqlite3'}")
    entry: dict[str, Any] = {}
    # Looked at first: the library's warning about a scheme that it does not know repeats the password.
    if url.startswith(("postgresql://", "postgres://", "sqlite:")):
        try:
            entry = dict(environ.Env.db_url_config(url))
        except (ValueError, TypeError, KeyError):
            entry = {}
    named = entry.get("NAME") not in (None, "", ":memory:")
    if not named or not str(entry.get("ENGINE", "")).endswith(("postgresql", "sqlite3")):
        # The value itself may hold a password: it is not repeated.
        problems.append(Problem(name, f"{name} is not a PostgreSQL or SQLite URL that names a database.", hint))
        entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    # A socket's folder stands percent-encoded in the host's place (PostgreSQL, "Connection URIs").
    entry["HOST"] = unquote(entry.get("HOST") or "")
    return entry


def url(name: str, default: str = "", *, schemes: tuple[str, ...] = ("http", "https")) -> str:
    """A URL of one of `schemes` without a trailing slash; "" when unset."""
    value = text(name, default).rstrip("/")
    if value:
        try:
            parts = urlsplit(value)
            # A socket's address has a path and no host; reading a port that is none raises.
            place = parts.path if parts.scheme == "unix" else parts.hostname
            good = parts.scheme in schemes and bool(place) and parts.port != 0
        except ValueError:
            good = False
        if not good:
            problems.append(Problem(name, f"{name} is not a {' or '.join(schemes)} URL.", "Give scheme and host."))
            return default
    return value


def fernet_keys(name: str) -> list[str]:
    """Comma-separated Fernet keys, the newest first: the first encrypts, all decrypt."""
    hint = (
        "Make one: python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'. "
        "Put a new key in front and keep the old ones until manage.py rotate_encryption has run."
    )
    keys = words(name)
    if not keys:
        problems.append(Problem(name, f"{name} is not set.", hint))
    for number, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except (ValueError, TypeError):
            problems.append(Problem(name, f"Key {number} of {name} is not a Fernet key.", hint))
            return [Fernet.generate_key().decode()]
    return keys or [Fernet.generate_key().decode()]
