"""A broker that cannot be reached costs a request little, and nothing is lost by it."""

from typing import Any

import pytest
from kombu.exceptions import OperationalError

from calendars import tasks
from calendars.services import doorbell, syncs


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What reached for a broker that is down."""
    attempts: list[Any] = []

    def refuse(**facts: Any) -> None:
        attempts.append(facts)
        raise OperationalError("Connection refused")

    monkeypatch.setitem(doorbell._quiet, "until", 0.0)
    monkeypatch.setattr(tasks.sync_account, "apply_async", refuse)
    return attempts


def test_dead_broker_raises_nothing(tried: list[Any]) -> None:
    doorbell.ring(syncs.SYNC_ACCOUNT, 1, queue="push")
    assert len(tried) == 1


def test_many_rings_at_a_dead_broker_wait_for_it_once(tried: list[Any]) -> None:
    for account_pk in range(100):
        doorbell.ring(syncs.SYNC_ACCOUNT, account_pk, queue="push")
    assert len(tried) == 1


def test_broker_that_came_back_is_rung_again(tried: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    doorbell.ring(syncs.SYNC_ACCOUNT, 1, queue="push")
    monkeypatch.setitem(doorbell._quiet, "until", 0.0)
    doorbell.ring(syncs.SYNC_ACCOUNT, 2, queue="push")
    assert len(tried) == 2
