"""Rings for workers without keeping anybody waiting: what comes in a burst is one message.

A delivery is answered when its row is stored. Telling the broker takes as long again, so a thread of its own does it,
for all that came meanwhile. What it has not told when the process dies, the sweep finds: the rows are the queue.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from celery import current_app

# Deliveries in one message; more are more messages, which other workers take.
MOST_IN_ONE = 50
# After a message the next waits so long for company: a burst is ten a second. Who comes alone is told of at once.
REST_SECONDS = 0.1

_lock = threading.Lock()
_bells: dict[int, SimpleQueue[int]] = {}


def announce(pk: int, *, ring: Callable[[list[int]], None]) -> None:
    """Have `ring` called with this row's key soon, perhaps with others'. Where tasks run at once, it is called now."""
    if current_app.conf.task_always_eager:
        ring([pk])
        return
    _bell(ring).put(pk)


def _bell(ring: Callable[[list[int]], None]) -> SimpleQueue[int]:
    # By process: a thread does not survive a fork, and its queue would be left to nobody.
    found = _bells.get(os.getpid())
    if found is not None:
        return found
    with _lock:
        if os.getpid() not in _bells:
            waiting: SimpleQueue[int] = SimpleQueue()
            threading.Thread(target=_ring_for_ever, args=(waiting, ring), name="bell", daemon=True).start()
            _bells[os.getpid()] = waiting
        return _bells[os.getpid()]


def _ring_for_ever(waiting: "SimpleQueue[int]", ring: Callable[[list[int]], None]) -> None:
    while True:
        pks = [waiting.get()]
        with contextlib.suppress(Empty):
            while len(pks) < MOST_IN_ONE:
                pks.append(waiting.get_nowait())
        ring(pks)
        # Asleep, not at the queue: there each delivery of a burst would wake it, and answering has to wait meanwhile.
        if len(pks) < MOST_IN_ONE:
            time.sleep(REST_SECONDS)
