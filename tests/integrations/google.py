"""Reading the simulated Google without an engine: alice's primary calendar, on Sunday, 1 March 2026."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import time_machine
from pytest_django import Settings

from busyblocks.entries import Entry
from calendars.providers import Answer, CalendarState, Connection, Mirrored
from integrations.google.provider import GoogleProvider
from tests.contracts.contract import ALICE, Read
from tests.simulators.google import GoogleSimulator

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@contextmanager
def simulated_google(settings: Settings) -> Iterator[GoogleSimulator]:
    """alice can sign in; the service's own settings lead here."""
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with time_machine.travel(NOW, tick=False), GoogleSimulator() as google:
        point_at(settings, google)
        google.add_account(ALICE)
        yield google


def point_at(settings: Settings, google: GoogleSimulator) -> None:
    """Have the service take the simulator for Google."""
    ours = google.settings()
    settings.GOOGLE_API_URL = ours["GOOGLE_API_URL"]
    names = {
        "authorize_url": "GOOGLE_AUTHORIZE_URL",
        "token_url": "GOOGLE_TOKEN_URL",
        "revoke_url": "GOOGLE_REVOKE_URL",
        "client_id": "GOOGLE_CLIENT_ID",
        "client_secret": "GOOGLE_CLIENT_SECRET",
    }
    google_oauth = {**settings.OAUTH["google"], **{key: ours[name] for key, name in names.items()}}
    settings.OAUTH = {**settings.OAUTH, "google": google_oauth}


def provider(google: GoogleSimulator, access_token: Callable[[str], str] | None = None) -> GoogleProvider:
    token, _ = google.grant(ALICE)
    return GoogleProvider(Connection(email=ALICE, credentials={}, access_token=access_token or (lambda refused: token)))


def changes(
    google: GoogleSimulator, cursor: str = "", *, calendar: str = ALICE, stored: Collection[str] = ()
) -> Iterator[Answer]:
    """`stored`: ids of events that the ledger holds."""

    def mirrored(ids: Collection[str]) -> list[Mirrored]:
        return [Mirrored(id_, "", NOW, NOW, False) for id_ in stored if id_ in ids]

    state = CalendarState(external_id=calendar, cursor=cursor, mirrored=mirrored)
    return provider(google).changes(state)


def read(google: GoogleSimulator, cursor: str = "", *, calendar: str = ALICE, stored: Collection[str] = ()) -> Read:
    return Read.of(changes(google, cursor, calendar=calendar, stored=stored))


def entries(read: Read, event_id: str) -> dict[str, Entry]:
    """By recurrence id."""
    return {entry.recurrence_id: entry for entry in read.resources[event_id].entries}
