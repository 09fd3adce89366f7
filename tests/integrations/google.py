"""Reading the simulated Google without an engine: alice's primary calendar, on Sunday, 1 March 2026."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import time_machine
from django.conf import settings as django_settings
from django.utils import timezone
from pytest_django import Settings

from busyblocks.entries import Entry
from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount
from calendars.oauth import Tokens
from calendars.providers import Answer, CalendarState, Connection, Mirrored
from calendars.services import accounts
from integrations.google.provider import GoogleProvider
from tenancy.models import CrmUser
from tests.contracts.contract import ALICE, Read
from tests.simulators.google import GoogleSimulator
from tests.simulators.google.server import READ_EVENTS, READ_LIST

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@contextmanager
def simulated_google(settings: Settings) -> Iterator[GoogleSimulator]:
    """alice can sign in; the service's own settings lead here."""
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with time_machine.travel(NOW, tick=False), GoogleSimulator() as google:
        for name, value in where(google).items():
            setattr(settings, name, value)
        google.add_account(ALICE)
        yield google


def where(google: GoogleSimulator) -> dict[str, Any]:
    """Settings of the service that take the simulator for Google."""
    ours = google.settings()
    names = {
        "authorize_url": "GOOGLE_AUTHORIZE_URL",
        "token_url": "GOOGLE_TOKEN_URL",
        "revoke_url": "GOOGLE_REVOKE_URL",
        "client_id": "GOOGLE_CLIENT_ID",
        "client_secret": "GOOGLE_CLIENT_SECRET",
    }
    oauth = django_settings.OAUTH["google"] | {key: ours[name] for key, name in names.items()}
    return {
        "CALENDAR_PROVIDERS": {"google": "integrations.google.provider.GoogleProvider"},
        "GOOGLE_API_URL": ours["GOOGLE_API_URL"],
        "OAUTH": {**django_settings.OAUTH, "google": oauth},
    }


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


def connected(google: GoogleSimulator, owner: CrmUser) -> CalendarAccount:
    """alice's account, as after she came back from Google's page."""
    access_token, refresh_token = google.grant(ALICE)
    tokens = Tokens(
        access_token=access_token,
        refresh_token=refresh_token,
        token_type="Bearer",
        scopes=(READ_LIST, READ_EVENTS),
        expires_at=timezone.now() + google.oauth.lifetime,
    )
    return accounts.connect(owner, provider="google", email=ALICE, tokens=tokens, now=timezone.now())


def rows(account: CalendarAccount) -> dict[tuple[str, str], BusyBlock]:
    """What the mirror holds, by event id and recurrence id."""
    found = BusyBlock.objects.filter(origin__calendar__account=account)
    return {(row.external_event_id, row.recurrence_id): row for row in found}
