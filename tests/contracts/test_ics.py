"""A feed at an address keeps the contract, as far as a file without a memory can."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from calendars.providers import CalendarState, Connection, Provider, Snapshot
from integrations.ics.provider import CALENDAR, IcsProvider
from tests.contracts.contract import ALICE, ProviderContract, Read, calendar_object, event
from tests.contracts.faults import over_http
from tests.contracts.mirror import MirrorContract
from tests.proxy import Ask, Canned
from tests.simulators.base import Simulator

_PART = re.compile(r"BEGIN:(VEVENT|VTIMEZONE)\r\n.*?END:\1", re.DOTALL)


class Feed(Simulator):
    """One file, made anew for each who asks from what was put; with an ETag that says when it is the same."""

    provider: type[Provider] = IcsProvider
    name = "ics"
    calendar = CALENDAR

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.uids: dict[str, str] = {}
        self.credentials: dict[str, Any] = {"url": f"{self.url}private/basic.ics"}
        self.gone = False

    def put(self, name: str, text: str) -> None:
        self.texts[name] = text
        self.uids[name] = text.partition("\nUID:")[2].partition("\r")[0]

    def delete(self, name: str) -> None:
        del self.texts[name]

    def id_of(self, name: str) -> str:
        return self.uids[name]

    def lose_cursors(self) -> None:
        """The feed is handed out at another address: what is known of the first says nothing of the second."""
        self.credentials = {"url": f"{self.url}another/basic.ics"}

    def drop_calendar(self) -> None:
        self.gone = True

    @property
    def stored(self) -> dict[str, Any]:
        return self.credentials

    def fail(self, way: str, *, on: int = 1) -> None:  # type: ignore[override]
        super().fail(over_http()[way], on=on, times=2)

    def forget(self, *names: str) -> None:
        self.texts.clear()

    def requests(self) -> int:
        return len(self.asked)

    def respond(self, ask: Ask) -> Canned:
        if self.gone:
            return Canned(404)
        parts = dict.fromkeys(match[0] for text in self.texts.values() for match in _PART.finditer(text))
        body = calendar_object(*parts).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        if ask.headers.get("If-None-Match") == etag:
            return Canned(304)
        return Canned(200, body, {"ETag": etag, "Content-Type": "text/calendar"})


@pytest.fixture
def vendor(settings: Settings) -> Iterator[Feed]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with Feed() as feed:
        yield feed


class TestIcs(ProviderContract, MirrorContract):
    requests_of_a_read = 1

    def test_delta_names_what_was_created_changed_and_deleted_and_nothing_else(self, vendor: Feed) -> None:  # type: ignore[override]
        """A file names nothing: it is read whole, what is the same is only said to be there; absence is deletion."""
        for name in ("kept", "changed", "deleted"):
            vendor.put(name, event(name, "DTSTART:20260320T090000Z", "SUMMARY:Before"))
        first = self.read(vendor)
        vendor.put("created", event("created", "DTSTART:20260321T090000Z"))
        vendor.put("changed", event("changed", "DTSTART:20260320T090000Z", "SUMMARY:After"))
        vendor.delete("deleted")
        provider = vendor.provider(Connection(email=ALICE, credentials=vendor.credentials))
        known = {id_: resource.etag for id_, resource in first.resources.items()}
        state = CalendarState(external_id=CALENDAR, cursor=first.cursor, etags=lambda: known)
        answers = list(provider.changes(state))
        second = Read.of(answers)
        assert isinstance(second.end, Snapshot)
        assert second.end.window is None
        assert set(second.resources) == {"created", "changed"}
        assert second.removed == []
        present = [id_ for answer in answers for id_ in getattr(answer, "present", ())]
        assert present == ["kept"]
