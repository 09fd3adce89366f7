"""`make test`: the whole suite on SQLite, then what uses a database or a broker again on the real ones.

Arguments go to pytest in both runs: python -m tests -k feed
"""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack

from tests import services

# What does not touch a database is the same on every one; browsers see the same pages, and some tests say of themselves
# that no database could make a difference (`once`).
_FIRST = "not services"
_SECOND = "(database or services) and not browser and not once"
_NOTHING_COLLECTED = 5


def main(arguments: list[str]) -> int:
    """The first run's exit code, else the second's; 1 when a service cannot be had."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print("The whole suite, on SQLite:", flush=True)
    # Whatever database and broker are given are for the second run.
    on_sqlite = pytest(_FIRST, arguments, DATABASE_URL="", REDIS_URL="")
    with ExitStack() as running:
        try:
            database = running.enter_context(services.postgres())
            broker = running.enter_context(services.broker())
        except services.ServiceMissing as error:
            print(f"FAILED: {error}", flush=True)
            return 1
        print("Again on a real PostgreSQL and a real broker:", flush=True)
        on_services = pytest(_SECOND, arguments, DATABASE_URL=database, REDIS_URL=broker)
    return on_sqlite or on_services


def pytest(selection: str, arguments: list[str], **environment: str) -> int:
    """Run pytest on the tests that `selection` marks; its exit code. With arguments, one run may select nothing."""
    kept = {name: value for name, value in os.environ.items() if name not in environment}
    # Importing the service has named the production's settings.
    given = {"DJANGO_SETTINGS_MODULE": "tests.settings"} | {name: value for name, value in environment.items() if value}
    # One file, one process: its servers start once.
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-m", selection, *arguments]
    code = subprocess.run(command, env={**kept, **given}, check=False).returncode
    return 0 if arguments and code == _NOTHING_COLLECTED else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
