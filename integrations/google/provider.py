"""Google Calendar, over its API v3."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.utils import timezone

from calendars.providers import Answer, BadProviderData, CalendarState, Connection, RemoteCalendar, UnexpectedAnswer
from calendars.watching import Channel
from integrations.google import push
from integrations.google.client import JSON, Client, text_of
from integrations.google.events import Events, is_stale

# Whoever may write into a calendar plans their own time in it; the others show somebody else's.
_OWN = frozenset({"owner", "writer", "writerWithoutPrivateAccess"})


class GoogleProvider:
    """`calendars.providers.Provider`, and a `Watcher`, for one Google account. It keeps no state."""

    def __init__(self, connection: Connection) -> None:
        self.client = Client(connection)

    @classmethod
    def credentials_from(cls, provider_data: dict[str, Any], *, email: str) -> dict[str, Any]:
        """Always refuses: only Google's own sign-in, or its tokens, connect an account."""
        raise BadProviderData("", "Google accounts are connected by signing in at Google.")

    def calendars(self) -> list[RemoteCalendar]:
        """Every calendar in the user's list but those that they hid or may not read."""
        entries = list(self.client.calendar_entries())
        if not entries:
            # Every account has its primary calendar.
            raise UnexpectedAnswer("Google lists no calendar at all.")
        listed = (_calendar(entry) for entry in entries if _is_listed(entry))
        return list({calendar.external_id: calendar for calendar in listed}.values())

    def changes(self, calendar: CalendarState) -> Iterator[Answer]:
        return Events(self.client, calendar, now=timezone.now()).changes()

    @classmethod
    def is_stale(cls, cursor: str, *, external_id: str, now: datetime) -> bool:
        """Whether the window has moved on since the cursor was given."""
        return is_stale(cursor, external_id=external_id, now=now)

    def state(self) -> dict[str, Any]:
        return {}

    def watch(self, calendar: str, *, channel_id: str, secret: str, address: str) -> Channel:
        return push.watch(self.client, calendar, channel_id=channel_id, secret=secret, address=address)

    def renew(self, channel: Channel) -> Channel | None:
        """Google renews none: another is opened beside it."""
        return None

    def unwatch(self, channel: Channel) -> None:
        push.unwatch(self.client, channel)


def _is_listed(entry: JSON) -> bool:
    return not entry.get("deleted") and not entry.get("hidden") and entry.get("accessRole") != "none"


def _calendar(entry: JSON) -> RemoteCalendar:
    """https://developers.google.com/workspace/calendar/api/v3/reference/calendarList"""
    return RemoteCalendar(
        external_id=text_of(entry, "id"),
        name=text_of(entry, "summaryOverride") or text_of(entry, "summary"),
        color=text_of(entry, "backgroundColor"),
        time_zone=text_of(entry, "timeZone"),
        primary=entry.get("primary") is True,
        wanted=entry.get("accessRole") in _OWN,
    )
