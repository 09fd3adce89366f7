"""One message for many deliveries."""

import threading
from collections.abc import Iterator

import pytest
from celery import current_app

from integrations import bell

PATIENCE_SECONDS = 20


@pytest.fixture
def with_workers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tasks are sent, not run; the bell of this process is a new one."""
    monkeypatch.setattr(bell, "_bells", {})
    eager, current_app.conf.task_always_eager = current_app.conf.task_always_eager, False
    yield
    current_app.conf.task_always_eager = eager


def test_burst_is_few_messages_and_each_row_is_in_one(with_workers: None) -> None:
    messages: list[list[int]] = []
    all_came, all_told = threading.Event(), threading.Event()

    def ring(pks: list[int]) -> None:
        # While the broker is told of the first, the others come.
        assert all_came.wait(PATIENCE_SECONDS)
        messages.append(pks)
        if sum(map(len, messages)) == 200:
            all_told.set()

    for pk in range(200):
        bell.announce(pk, ring=ring)
    all_came.set()
    assert all_told.wait(PATIENCE_SECONDS)
    assert sorted(pk for pks in messages for pk in pks) == list(range(200))
    assert max(map(len, messages)) == bell.MOST_IN_ONE
    assert len(messages) <= 1 + -(-200 // bell.MOST_IN_ONE)


def test_one_alone_is_told_without_waiting_for_company(with_workers: None) -> None:
    told = threading.Event()
    bell.announce(1, ring=lambda pks: told.set())
    assert told.wait(PATIENCE_SECONDS)


def test_without_workers_it_is_done_at_once() -> None:
    told: list[int] = []
    bell.announce(7, ring=told.extend)
    assert told == [7]
