"""The vendor in memory keeps the contract, so what the engine's tests find out holds for real ones."""

from typing import Any

import pytest
from django.conf import LazySettings

from calendars.providers import CalendarState, Connection, Delta, ReconnectNeeded, Snapshot, Throttled, Unreachable
from integrations.ical import Reader
from tests.calendars.mirror import MEMORY
from tests.contracts import faults, memory
from tests.contracts.contract import ALICE, ProviderContract, Read
from tests.contracts.mirror import MirrorContract


class MemoryVendor:
    calendar = "work"
    provider = memory.MemoryProvider
    name = "caldav"
    credentials: dict[str, Any]
    faults = {way: meanings[-1](f"It was {way}.") for way, meanings in faults.WAYS.items()} | {
        "throttled": Throttled("It was throttled.", retry_after=faults.WAIT)
    }

    def __init__(self) -> None:
        self.server = memory.start(page_size=3)
        self.server.add_calendar("work")
        self.credentials = self.stored = {"username": "alice", "password": "secret"}
        self.time_zone = ""

    def put(self, name: str, text: str) -> None:
        reader = Reader(owner_email=ALICE, time_zone=self.time_zone)
        self.server.put("work", name, *reader.entries(text, external_event_id=name))

    def delete(self, name: str) -> None:
        self.server.delete("work", name)

    def id_of(self, name: str) -> str:
        return name

    def lose_cursors(self) -> None:
        self.server.lose_cursors()

    def drop_calendar(self) -> None:
        self.server.drop_calendar("work")

    def requests(self) -> int:
        return self.server.requests

    def fail(self, way: str, *, on: int = 1) -> None:
        self.server.fail_next(self.faults[way], after_pages=on - 1)

    def recover(self) -> None:
        self.server.recover()

    def forget(self, *names: str) -> None:
        self.server.empty("work")


@pytest.fixture
def vendor(settings: LazySettings) -> MemoryVendor:
    settings.CALENDAR_PROVIDERS = MEMORY
    return MemoryVendor()


class TestMemory(ProviderContract, MirrorContract):
    def entries(self, vendor: Any, text: str, *, time_zone: str = "") -> Any:
        # Entries are stored understood, so the calendar's zone counts when they are put there.
        vendor.time_zone = time_zone
        return super().entries(vendor, text, time_zone=time_zone)


class TestFaults:
    """What the engine's tests ask of it."""

    def changes(self, server: memory.MemoryCalendarServer, **facts: Any) -> Read:
        provider = memory.MemoryProvider(Connection(email=ALICE, credentials={"password": "secret"}))
        return Read.of(provider.changes(CalendarState(external_id="work", **facts)))

    def test_failure_comes_after_the_pages_asked_for_and_only_once(self) -> None:
        server = memory.start(page_size=1)
        for number in range(3):
            server.put("work", f"e{number}", memory.entry("2026-03-02T09:00"))
        server.fail_next(Unreachable("cut off"), after_pages=2)
        provider = memory.MemoryProvider(Connection(email=ALICE, credentials={}))
        answers = provider.changes(CalendarState(external_id="work"))
        assert [page.resources[0].external_event_id for page in (next(answers), next(answers))] == ["e0", "e1"]
        with pytest.raises(Unreachable):
            next(answers)
        assert isinstance(self.changes(server).end, Snapshot)

    def test_failure_after_more_pages_than_there_are_keeps_the_end_back(self) -> None:
        server = memory.start()
        server.put("work", "e", memory.entry("2026-03-02T09:00"))
        server.fail_next(Unreachable("cut off"), after_pages=5)
        with pytest.raises(Unreachable):
            self.changes(server)

    def test_server_without_cursors_tells_unchanged_events_by_etag(self) -> None:
        server = memory.start()
        server.cursors = False
        server.put("work", "same", memory.entry("2026-03-02T09:00"))
        server.put("work", "changed", memory.entry("2026-03-02T09:00"))
        known = server.ids("work")
        server.put("work", "changed", memory.entry("2026-03-02T10:00"))
        provider = memory.MemoryProvider(Connection(email=ALICE, credentials={}))
        page, end = provider.changes(CalendarState(external_id="work", etags=lambda: known))
        assert page.present == ("same",)
        assert [resource.external_event_id for resource in page.resources] == ["changed"]
        assert isinstance(end, Snapshot)

    def test_unreadable_event_is_withheld_and_named_when_removed(self) -> None:
        server = memory.start()
        server.put_unreadable("work", "odd", "It has no start.")
        first = self.changes(server)
        assert first.withheld == {"odd": "It has no start."}
        server.delete("work", "odd")
        second = self.changes(server, cursor=first.cursor)
        assert second.removed == ["odd"]
        assert isinstance(second.end, Delta)

    def test_wrong_password_asks_to_reconnect(self) -> None:
        server = memory.start(password="another")
        with pytest.raises(ReconnectNeeded):
            self.changes(server)
