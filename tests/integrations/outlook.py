"""Reading the simulated Graph without an engine: alice's mailbox with the calendar "work", on Monday, 2 March 2026."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from django.conf import settings as django_settings
from django.utils import timezone
from pytest_django import Settings

from busyblocks.entries import Entry
from calendars.models import CalendarAccount
from calendars.oauth import Tokens
from calendars.providers import (
    Answer,
    CalendarState,
    Connection,
    CursorLost,
    Delta,
    Mirrored,
    Page,
    ProviderError,
    ReconnectNeeded,
    Snapshot,
)
from calendars.services import accounts
from calendars.sync.plan import StoredRow, last_words, plan
from integrations.outlook.provider import OutlookProvider
from tenancy.models import CrmUser
from tests.contracts.contract import ALICE, Read
from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.mailbox import Window
from tests.simulators.graph.signin import CLIENT_ID, CLIENT_SECRET

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
FAR_AND_WIDE = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


@contextmanager
def simulated_graph(settings: Settings, *, page_size: int = 50) -> Iterator[GraphSimulator]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with time_machine.travel(NOW, tick=False), GraphSimulator(page_size=page_size) as graph:
        settings.OUTLOOK_API_URL = graph.api_url
        graph.alice.add_calendar("work")
        yield graph


def where(graph: GraphSimulator) -> dict[str, Any]:
    """Settings of the service that take the simulator for Microsoft."""
    registered = {
        "authorize_url": graph.sign_in.authorize_url,
        "token_url": graph.sign_in.token_url,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    oauth = {**django_settings.OAUTH, "outlook": {**django_settings.OAUTH["outlook"], **registered}}
    return {"OUTLOOK_API_URL": graph.api_url, "OAUTH": oauth}


def connected(graph: GraphSimulator, owner: CrmUser) -> CalendarAccount:
    """alice's account, as after she came back from Microsoft's page."""
    tokens = Tokens(
        access_token=graph.sign_in.access_token(),
        refresh_token=graph.sign_in.refresh_token(),
        expires_at=timezone.now() + timedelta(hours=1),
    )
    return accounts.connect(owner, provider="outlook", email=ALICE, tokens=tokens, now=timezone.now())


def no_new_token(refused: str) -> str:
    raise ReconnectNeeded("The vendor gives no new token.")


def provider(graph: GraphSimulator, access_token: Callable[[str], str] | None = None) -> OutlookProvider:
    token = graph.sign_in.access_token()
    ask = access_token or (lambda refused: no_new_token(refused) if refused else token)
    return OutlookProvider(Connection(email="alice@acme.example", credentials={}, access_token=ask))


def changes(
    graph: GraphSimulator, cursor: str = "", *, calendar: str = "work", mirrored: Collection[Mirrored] = ()
) -> Iterator[Answer]:
    """`mirrored`: rows that the ledger holds."""

    def find(ids: Collection[str]) -> list[Mirrored]:
        return [row for row in mirrored if row.external_event_id in ids or row.series_id in ids]

    state = CalendarState(external_id=graph.alice.calendar(calendar).id, cursor=cursor, mirrored=find)
    return provider(graph).changes(state)


def read(
    graph: GraphSimulator, cursor: str = "", *, calendar: str = "work", mirrored: Collection[Mirrored] = ()
) -> Read:
    return Read.of(changes(graph, cursor, calendar=calendar, mirrored=mirrored))


def rows_of(graph: GraphSimulator, window: Window = FAR_AND_WIDE) -> list[Mirrored]:
    """The ledger's rows, had everything in the calendar been mirrored."""
    found = []
    for event in graph.alice.calendar("work").events.values():
        for instance in [event.single] if event.single else event.occurrences.values():
            if instance.inside(window):
                series = "" if event.single else event.id
                found.append(Mirrored(instance.id, series, instance.start, instance.end, event.all_day))
    return found


def row(event_id: str, start: datetime, *, series_id: str = "", all_day: bool = False) -> Mirrored:
    return Mirrored(event_id, series_id, start, start + timedelta(days=1 if all_day else 0, hours=1), all_day)


def titles(read: Read) -> list[str]:
    return sorted(entry.title for resource in read.resources.values() for entry in resource.entries)


def fails_without_an_end(answers: Iterator[Answer], error: type[ProviderError]) -> ProviderError:
    """The failure; what came before it were pages only."""
    try:
        for answer in answers:
            assert isinstance(answer, Page)
    except error as failure:
        return failure
    raise AssertionError(f"no {error.__name__} came")


class Ledger:
    """The mirror of one calendar without a database: rows by event id, written by the engine's own plan."""

    def __init__(self, graph: GraphSimulator, calendar: str = "work") -> None:
        self.graph, self.calendar = graph, calendar
        self.rows: dict[str, Entry] = {}
        self.withheld: set[str] = set()
        self.cursor = ""
        self.window: Window | None = None

    def sync(self) -> None:
        """Read, and apply what was read if it came to its end. Raises what the provider raises."""
        try:
            self._apply(list(self._answers()))
        except CursorLost:
            self.cursor = ""
            self._apply(list(self._answers()))

    def _answers(self) -> Iterator[Answer]:
        rows = [
            Mirrored(entry.external_event_id, entry.series_id, entry.start_time, entry.end_time, entry.all_day)
            for entry in self.rows.values()
        ]
        return changes(self.graph, self.cursor, calendar=self.calendar, mirrored=rows)

    def _apply(self, answers: list[Answer]) -> None:
        *pages, end = answers
        words = last_words([page for page in pages if isinstance(page, Page)])
        stored = {key: [StoredRow(number, entry)] for number, (key, entry) in enumerate(self.rows.items())}
        keys = list(self.rows)
        actions = plan(stored, words)
        for pk in actions.delete:
            del self.rows[keys[pk]]
        for entry in [*actions.create, *(entry for _, entry in (*actions.update, *actions.touch))]:
            self.rows[entry.external_event_id] = entry
        self.withheld = (self.withheld | set(words.withheld)) - set(words.resources) - words.removed
        if isinstance(end, Snapshot):
            assert end.window is not None
            self.window = end.window
            self.withheld &= words.named
            for key, entry in list(self.rows.items()):
                if key not in words.named and touches(entry, end.window):
                    del self.rows[key]
        assert isinstance(end, Snapshot | Delta)
        self.cursor = end.cursor


def touches(entry: Entry, window: Window) -> bool:
    return entry.start_time < window[1] and (entry.end_time > window[0] or entry.start_time >= window[0])
