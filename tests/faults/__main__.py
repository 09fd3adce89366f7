"""`make faults`: the tries that take too long for `make test`, on a real PostgreSQL and a real broker.

Killed workers and full queues; one refresh token rotated a thousand times by two workers at once; and the histories of
the state machines, FAULT_RUNS times as many as usual (default 25) and other ones each time. The seed is printed:
`FAULT_SEED=… make faults` tries the same again. Arguments go to pytest: python -m tests.faults -k outlook
"""

import os
import secrets
import signal
import subprocess
import sys
from contextlib import ExitStack

from tests import services

PLACES = (
    "tests/faults",
    "tests/calendars/test_crashes.py",
    "tests/calendars/test_credentials.py",
    "tests/calendars/test_syncs_beside_syncs.py",
    "tests/integrations/test_calcom_histories.py",
    "tests/integrations/test_google_machine.py",
    "tests/integrations/test_outlook_machine.py",
)


def main(arguments: list[str]) -> int:
    """Pytest's exit code; 1 when a service cannot be had."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    seed = os.environ.get("FAULT_SEED") or str(secrets.randbelow(2**32))
    print(f"Seed {seed}", flush=True)
    usual = {"FAULT_RUNS": "25", "TOKEN_ROTATIONS": "1000"}
    with ExitStack() as running:
        try:
            database = running.enter_context(services.postgres())
            broker = running.enter_context(services.broker())
        except services.ServiceMissing as error:
            print(f"FAILED: {error}", flush=True)
            return 1
        settings = {"DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": database, "REDIS_URL": broker}
        command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadfile", "-m", ""]
        command += [f"--hypothesis-seed={seed}", *PLACES, *arguments]
        return subprocess.run(command, env={**usual, **os.environ, **settings}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
