"""Outlook and Microsoft 365, over Microsoft Graph v1.0."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from calendars.providers import (
    Answer,
    BadProviderData,
    CalendarGone,
    CalendarState,
    Connection,
    ReconnectNeeded,
    RemoteCalendar,
    UnexpectedAnswer,
)
from calendars.watching import Channel
from integrations.outlook import push
from integrations.outlook.graph import Forbidden, Graph, NotThere
from integrations.outlook.reading import CalendarView, Cursor
from integrations.window import window_at

_LONGEST_ID = 512
# How often the window moves: a delta token is bound to its window, so each move costs a full read.
WINDOW_STEP = timedelta(days=28)


class OutlookProvider:
    """`calendars.providers.Provider` for a mailbox. It keeps no state, and asks for one thing at a time."""

    def __init__(self, connection: Connection) -> None:
        self.graph = Graph(connection)

    @classmethod
    def credentials_from(cls, provider_data: dict[str, Any], *, email: str) -> dict[str, Any]:
        """Always refuses: only Microsoft's own sign-in, or its tokens, connect an account."""
        raise BadProviderData("", "Outlook accounts are connected by signing in at Microsoft.")

    def calendars(self) -> list[RemoteCalendar]:
        try:
            items = [item for body in self.graph.pages(f"{self.graph.base}/me/calendars") for item in body["value"]]
        except Forbidden as error:
            raise ReconnectNeeded(error.reason) from None
        except NotThere:
            raise UnexpectedAnswer("Microsoft Graph does not know this account's calendars.") from None
        mine = {_owner(item) for item in items if item.get("isDefaultCalendar")}
        found = [_calendar(item, wanted=not mine or _owner(item) in mine) for item in items]
        return list({calendar.external_id: calendar for calendar in found}.values())

    def changes(self, calendar: CalendarState) -> Iterator[Answer]:
        window = window_at(timezone.now(), key=calendar.external_id, step=WINDOW_STEP)
        try:
            yield from CalendarView(self.graph, calendar, window).changes()
        except NotThere:
            raise CalendarGone("The calendar is not in this mailbox any more.") from None
        except Forbidden as error:
            # Calendars of others can be listed and yet not be read.
            raise CalendarGone(error.reason) from None

    @classmethod
    def is_stale(cls, cursor: str, *, external_id: str, now: datetime) -> bool:
        """Whether the window has moved on since the cursor was given."""
        known = Cursor.parse(cursor)
        return known is None or known.window != window_at(now, key=external_id, step=WINDOW_STEP)

    def state(self) -> dict[str, Any]:
        return {}

    def watch(self, calendar: str, *, channel_id: str, secret: str, address: str) -> Channel:
        """Graph names its subscriptions itself: channel_id is not used."""
        return push.watch(self.graph, calendar, secret=secret, address=address)

    def renew(self, channel: Channel) -> Channel | None:
        return push.renew(self.graph, channel)

    def unwatch(self, channel: Channel) -> None:
        push.unwatch(self.graph, channel)


def _calendar(item: dict[str, Any], *, wanted: bool) -> RemoteCalendar:
    """https://learn.microsoft.com/graph/api/resources/calendar"""
    external_id = item.get("id")
    if not isinstance(external_id, str) or not 0 < len(external_id) <= _LONGEST_ID:
        raise UnexpectedAnswer("Microsoft Graph listed a calendar without an id that can be used.")
    return RemoteCalendar(
        external_id=external_id,
        name=str(item.get("name") or ""),
        color=str(item.get("hexColor") or ""),
        primary=bool(item.get("isDefaultCalendar")),
        wanted=wanted,
    )


def _owner(item: dict[str, Any]) -> str:
    """Whose time a calendar tells of: those that others share stand in the list, too."""
    owner = item.get("owner")
    return str(owner.get("address") or "").casefold() if isinstance(owner, dict) else ""
