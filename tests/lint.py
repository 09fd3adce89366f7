"""`make lint`: everything that a tool can say about the code, all of it in one go."""

import os
import re
import subprocess
import sys
from pathlib import Path

from cryptography.fernet import Fernet

from config.env import BASE_DIR

# Valid values, of nothing that exists: what a production environment looks like.
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "SECRET_KEY": "a-production-like-secret-" + "0123456789abcdef" * 4,
    "FIELD_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "DATABASE_URL": "postgresql://calendar:password@127.0.0.1:1/calendar",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ALLOWED_HOSTS": "calendar.example.com",
    "PUBLIC_URL": "https://calendar.example.com",
}
TESTING = {"DJANGO_SETTINGS_MODULE": "tests.settings"}
# The packages that are ours, and manage.py.
ROOMS = ["busyblocks", "calendars", "config", "icsfeeds", "integrations", "tenancy", "tests", "manage.py"]

_ELSEWHERE = (
    (re.compile(r"(?<![\w./-])/(?:work|root|home)/\w"), "a path of one machine"),
    (re.compile(r"(?:registry\.npmjs|files\.pythonhosted|deb\.debian)\.org"), "a package registry's host"),
)


def main() -> int:
    """Run every check, print what each found, and name those that failed; 1 when any did."""
    python = Path(sys.executable)
    steps: dict[str, tuple[list[str], dict[str, str]]] = {
        "ruff check": ([str(python.with_name("ruff")), "check", "."], {}),
        "ruff format": ([str(python.with_name("ruff")), "format", "--check", "."], {}),
        "mypy": ([str(python), "-m", "mypy", *ROOMS], TESTING),
        "import-linter": ([str(python.with_name("lint-imports"))], TESTING),
        "makemigrations": ([str(python), "manage.py", "makemigrations", "--check", "--dry-run"], TESTING),
        "check --deploy": ([str(python), "manage.py", "check", "--deploy", "--fail-level", "WARNING"], PRODUCTION),
    }
    failed = []
    for name, (command, environment) in steps.items():
        print(f"== {name}", flush=True)
        if subprocess.run(command, cwd=BASE_DIR, env={**os.environ, **environment}, check=False).returncode != 0:
            failed.append(name)
    print("== house rules", flush=True)
    found = traces_of_elsewhere()
    print("\n".join(found) or "nothing found", flush=True)
    if found:
        failed.append("house rules")
    print(f"Failed: {', '.join(failed)}" if failed else "All checks passed.", flush=True)
    return 1 if failed else 0


def traces_of_elsewhere() -> list[str]:
    """Lines of tracked text files that only make sense on the machine where they were written, as path:line: what."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=BASE_DIR, capture_output=True, text=True, check=False)
    found: list[str] = []
    for name in filter(None, listed.stdout.split("\0")):
        path = BASE_DIR / name
        if not path.is_file() or path.resolve() == Path(__file__).resolve():
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, start=1):
            found.extend(f"{name}:{number}: {what}" for pattern, what in _ELSEWHERE if pattern.search(line))
    return found


if __name__ == "__main__":
    sys.exit(main())
