"""CalDAV (RFC 4791), and iCloud as a profile of it."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings

from calendars.providers import (
    Answer,
    BadProviderData,
    CalendarGone,
    CalendarState,
    Connection,
    RemoteCalendar,
)
from integrations.addresses import checked_url
from integrations.caldav import discovery
from integrations.caldav.reading import Collection
from integrations.given import given_text
from integrations.http import Session, basic
from integrations.ical import Reader

_LONGEST_NAME = 255
_LONGEST_PASSWORD = 1024


class CalDAVProvider:
    """`calendars.providers.Provider` for any server. State: {"server_url": …, "homes": [[url, depth], …]}."""

    def __init__(self, connection: Connection) -> None:
        credentials = connection.credentials
        self.connection = connection
        self.server_url: str = credentials["server_url"]
        self.session = Session(
            self.server_url,
            authorization=basic(credentials["username"], credentials["password"]),
            checkpoint=connection.checkpoint,
            deadline_seconds=connection.deadline_seconds,
        )
        self.homes: list[discovery.Home] = []
        # Addresses found for another server are of no use, and may be a stranger's.
        if connection.state.get("server_url") == self.server_url:
            self.homes = [discovery.Home(url, depth) for url, depth in connection.state.get("homes", ())]

    @classmethod
    def credentials_from(cls, provider_data: dict[str, Any], *, email: str) -> dict[str, Any]:
        server_url = given_text(provider_data, "server_url", _LONGEST_NAME * 2)
        if not server_url:
            raise BadProviderData("server_url", "Give the server's address.")
        return _credentials(checked_url(server_url), provider_data, email=email)

    def calendars(self) -> list[RemoteCalendar]:
        if self.homes:
            try:
                return self._listed()
            except CalendarGone:
                # The account moved to another place of its server.
                self.homes = []
        self.homes = discovery.homes(self.session, self.server_url)
        return self._listed()

    def changes(self, calendar: CalendarState) -> Iterator[Answer]:
        reader = Reader(owner_email=self.connection.email, time_zone=calendar.time_zone)
        return Collection(self.session, calendar, reader).changes()

    def state(self) -> dict[str, Any]:
        return {"server_url": self.server_url, "homes": [list(home) for home in self.homes]}

    def _listed(self) -> list[RemoteCalendar]:
        found = [calendar for home in self.homes for calendar in discovery.calendars(self.session, home)]
        return list({calendar.external_id: calendar for calendar in found}.values())


class AppleProvider(CalDAVProvider):
    """iCloud: its address is known, and the user name is the Apple account's e-mail; an app-specific password."""

    @classmethod
    def credentials_from(cls, provider_data: dict[str, Any], *, email: str) -> dict[str, Any]:
        given = given_text(provider_data, "server_url", _LONGEST_NAME * 2)
        server_url = checked_url(given) if given else settings.APPLE_CALDAV_URL
        return _credentials(server_url, provider_data, email=email)


def _credentials(server_url: str, provider_data: dict[str, Any], *, email: str) -> dict[str, Any]:
    username = given_text(provider_data, "username", _LONGEST_NAME) or email
    password = given_text(provider_data, "password", _LONGEST_PASSWORD)
    if not password:
        raise BadProviderData("password", "Give the account's password.")
    if ":" in username:
        raise BadProviderData("username", "A user name cannot hold a colon (RFC 7617).")
    return {"server_url": server_url, "username": username, "password": password}
