"""Readers in parallel while syncs and writers change what they read: each sees one state, whole, and never an old one.

On PostgreSQL, where readers and writers truly run at once. Each reader has a memory of its own, as if it were a process
of its own: they share the database and the cache, and nothing else.
"""

import re
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import transaction
from django.utils import timezone

from busyblocks.entries import Entry
from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount
from calendars.services import syncs
from icsfeeds import publication, services
from icsfeeds.models import ICSToken
from icsfeeds.shelf import Shelf
from icsfeeds.wsgi import FeedsFirst
from tenancy.models import bump_revision
from tests.calendars.mirror import MEMORY, mirrored_account, synced
from tests.contracts import memory
from tests.icsfeeds.test_wsgi import ask_whole
from tests.together import at_once

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

EVENTS, SYNCS, WRITES, READERS = 30, 4, 40, 3
_TITLE = re.compile(rb"SUMMARY:generation (\d+)")


@dataclass
class Seen:
    """What all readers were told, and what was surely committed before they asked."""

    committed: int = 0
    over: threading.Event = field(default_factory=threading.Event)
    by_etag: dict[str, set[bytes]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    read: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    unchanged: int = 0


@pytest.fixture
def account(settings: Any, monkeypatch: pytest.MonkeyPatch) -> CalendarAccount:
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: None)
    settings.CALENDAR_PROVIDERS = MEMORY
    return mirrored_account()


def reader(token: ICSToken, seen: Seen) -> None:
    application = FeedsFirst(WSGIHandler())
    environ: dict[str, str] = {}
    generation = 0
    while not seen.over.is_set():
        before = seen.committed
        status, headers, body = ask_whole(application, token, **environ)
        if status == "200 OK":
            shown = {int(number) for number in _TITLE.findall(body)}
            count = body.count(b"BEGIN:VEVENT")
            if len(shown) != 1 or count != EVENTS:
                seen.wrong.append(f"part of a sync: {sorted(shown)}, {count} events")
            generation = max(shown)
            if etag := headers.get("ETag"):
                seen.by_etag.setdefault(etag, set()).add(body)
                environ = {"HTTP_IF_NONE_MATCH": etag}
        elif status == "304 Not Modified":
            seen.unchanged += 1
        else:
            seen.wrong.append(status)
        if generation < before:
            seen.wrong.append(f"{status} of generation {generation}, when {before} was there")
        seen.read.release()


class OwnShelf(threading.local):
    """A shelf that other threads do not see."""

    def __init__(self, most_bytes: int) -> None:
        shelf: Shelf[Any] = Shelf(most_bytes)
        self.get, self.put, self.clear = shelf.get, shelf.put, shelf.clear


def fill(server: memory.MemoryCalendarServer, generation: int) -> None:
    """Half of the events are series, which a feed reads by another statement."""
    start = timezone.now().replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    for number in range(EVENTS):
        begin = start + timedelta(hours=number)
        rule = "FREQ=WEEKLY;COUNT=2" if number % 2 else ""
        entry = Entry(
            start_time=begin, end_time=begin + timedelta(minutes=30), title=f"generation {generation}",
            recurrence_rule=rule, uid=f"event-{number}",
        )  # fmt: skip
        server.put("work", f"event-{number}", entry)


def rewrite(account: CalendarAccount, generation: int) -> None:
    """As a sync applies its plan, without its reads: every row in one transaction, and the revision with them."""
    with transaction.atomic():
        bump_revision(account.user_id, at=timezone.now())
        for rows in (BusyBlock.objects.singles(), BusyBlock.objects.series()):
            rows.of(account.user).update(title=f"generation {generation}", updated_at=timezone.now())


def test_readers_see_whole_syncs_each_under_an_etag_of_its_own(
    account: CalendarAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_bodies", "_prepared"):
        monkeypatch.setattr(publication, name, OwnShelf(1 << 20))
    server, seen = memory.start(), Seen()
    server.add_calendar("work")
    fill(server, 0)
    synced(account)
    token = services.issue(account.user, include_synced=True)

    def write() -> None:
        try:
            for generation in range(1, SYNCS + 1):
                fill(server, generation)
                synced(account)
                seen.committed = generation
            for generation in range(SYNCS + 1, SYNCS + WRITES + 1):
                rewrite(account, generation)
                seen.committed = generation
                # Not so fast that nobody sees any of them.
                assert seen.read.acquire(timeout=30)
            while seen.read.acquire(blocking=False):
                pass
            for _ in range(4 * READERS):
                assert seen.read.acquire(timeout=30)
        finally:
            seen.over.set()

    at_once([write, *[lambda: reader(token, seen)] * READERS])

    assert seen.wrong == []
    assert {len(bodies) for bodies in seen.by_etag.values()} == {1}
    assert len(seen.by_etag) > SYNCS
    assert seen.unchanged > 0
