"""Settings of the test suite: the service's own, under a test environment."""

import os
import tempfile
from pathlib import Path

os.environ.setdefault("SECRET_KEY", "only-for-tests-" + "0123456789" * 5)
os.environ.setdefault("FIELD_ENCRYPTION_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
os.environ.setdefault("DATABASE_URL", f"sqlite:///{Path(__file__).resolve().parent.parent}/var/test.sqlite3")
os.environ.setdefault("ALLOWED_HOSTS", "testserver,localhost,127.0.0.1")
os.environ.setdefault("PUBLIC_URL", "http://testserver")
os.environ.setdefault("LOG_AS_JSON", "false")
os.environ.setdefault("LOG_LEVEL", "WARNING")
if os.environ.get("REDIS_URL") and (worker := os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")):
    # Processes of one run must not empty each other's caches and queues.
    os.environ["REDIS_URL"] = os.environ["REDIS_URL"].rpartition("/")[0] + f"/{int(worker) + 1}"

from config.settings import *  # noqa: F403

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):  # noqa: F405
    # A file as in production: Django's own choice, memory shared by threads, knows no waiting for a lock.
    DATABASES["default"]["TEST"] = {"NAME": f"{tempfile.gettempdir()}/calendar-test-{os.getpid()}.sqlite3"}  # noqa: F405

# A task runs where it is sent, unless a test asks for the real broker (the fixture of that name).
CELERY_TASK_ALWAYS_EAGER = True
# Hashing is slow on purpose; tests sign in often.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
