"""Fixtures for every test, and the marks that tests get by themselves."""

import os
from collections.abc import Iterator

import pytest
from celery import current_app
from django.conf import settings
from django.core.cache import cache
from hypothesis import settings as hypothesis_settings

from calendars.services import hours
from icsfeeds import accesses, guessing, lookup, publication
from integrations.calcom import senders

# The same examples in every run, and no judgement by the clock.
hypothesis_settings.register_profile("suite", deadline=None, derandomize=True, print_blob=True)
# `make faults`: others each time, by the seed that it prints.
hypothesis_settings.register_profile("faults", deadline=None, derandomize=False, print_blob=True, database=None)
hypothesis_settings.load_profile("faults" if "FAULT_RUNS" in os.environ else "suite")

pytest_plugins = ["tests.cast"]

_DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "django_db_reset_sequences"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a database: those tests run on PostgreSQL too."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("django_db") or fixtures & _DATABASE_FIXTURES:
            item.add_marker("database")


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """No test finds what another has cached, or kept in memory."""
    cache.clear()
    publication.forget()
    guessing.forget()
    lookup.forget()
    senders.forget()


@pytest.fixture(autouse=True)
def _reads_are_written_when_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """No thread writes a test's counts while the next one runs: `accesses.write()` does where it must."""
    for counts in (accesses, hours):
        counts.forget()
        monkeypatch.setattr(counts, "_started", lambda: None)


@pytest.fixture
def broker() -> Iterator[str]:
    """The real broker's URL; while the test runs, tasks are sent there instead of being run. Mark it `services`."""
    assert settings.REDIS_URL, "this test needs REDIS_URL: run it with make test"
    eager, current_app.conf.task_always_eager = current_app.conf.task_always_eager, False
    yield settings.REDIS_URL
    current_app.conf.task_always_eager = eager
