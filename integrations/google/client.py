"""The two questions that are asked of the Google Calendar API, page by page.

https://developers.google.com/workspace/calendar/api/v3/reference
"""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings

from calendars.providers import Connection, UnexpectedAnswer
from integrations.google.errors import refusal
from integrations.http import Session

JSON = dict[str, Any]

# Google would give 2,500; a page is held in memory as a whole.
EVENTS_A_PAGE = 500
CALENDARS_A_PAGE = 250
LARGEST_PAGE_BYTES = 16 * 1024 * 1024
_MOST_PAGES = 10_000
_CALENDAR_FIELDS = (
    "nextPageToken,items(id,summary,summaryOverride,timeZone,backgroundColor,accessRole,primary,hidden,deleted)"
)
_EVENT_FIELDS = (
    "nextPageToken,nextSyncToken,timeZone,items(id,status,etag,updated,iCalUID,sequence,recurringEventId,"
    "originalStartTime,start,end,recurrence,summary,description,location,transparency,visibility,eventType,"
    "organizer/self,attendees(self,responseStatus))"
)
# The same in every request: with a sync token, all parameters must be those of the first.
_EVENT_PARAMETERS = {
    "fields": _EVENT_FIELDS,
    "maxAttendees": "1",
    "maxResults": str(EVENTS_A_PAGE),
    "singleEvents": "false",
}


class Client:
    """Google's answers for one account. The methods raise `ProviderError`."""

    def __init__(self, connection: Connection) -> None:
        self.base = settings.GOOGLE_API_URL.rstrip("/")
        self.session = Session(f"{self.base}/", authorization=connection.access_token, checkpoint=connection.checkpoint)

    def calendar_entries(self) -> Iterator[JSON]:
        """calendarList.list: what the user sees in their list, to its last page."""
        parameters = {"fields": _CALENDAR_FIELDS, "maxResults": str(CALENDARS_A_PAGE)}
        for page in self._pages("users/me/calendarList", parameters):
            yield from items_of(page)

    def event_pages(self, calendar_id: str, parameters: Mapping[str, str]) -> Iterator[JSON]:
        """events.list: pages to the last, which alone has `nextSyncToken`. parameters: a syncToken, or a window."""
        with_cursor = "syncToken" in parameters
        path = f"calendars/{quote(calendar_id, safe='')}/events"
        return self._pages(path, {**_EVENT_PARAMETERS, **parameters}, of_calendar=True, with_cursor=with_cursor)

    def _pages(self, path: str, parameters: Mapping[str, str], **context: bool) -> Iterator[JSON]:
        token, seen = "", set[str]()
        while True:
            query = {**parameters, "pageToken": token} if token else parameters
            page = self._get(f"{self.base}/{path}?{urlencode(query)}", **context)
            yield page
            token = text_of(page, "nextPageToken")
            if not token:
                return
            if token in seen or len(seen) >= _MOST_PAGES:
                raise UnexpectedAnswer("Google lists without end.")
            seen.add(token)

    def _get(self, url: str, **context: bool) -> JSON:
        reply = self.session.request("GET", url, headers={"Accept": "application/json"}, max_bytes=LARGEST_PAGE_BYTES)
        if reply.status != 200:
            raise refusal(reply, **context)
        return reply.json()


def items_of(page: JSON) -> list[JSON]:
    """A page's items; none where it has no such member. Raises `UnexpectedAnswer`."""
    items = page.get("items", [])
    if not isinstance(items, list) or not all(isinstance(item, dict) and text_of(item, "id") for item in items):
        raise UnexpectedAnswer("Google's list holds what is neither calendar nor event.")
    return items


def text_of(item: JSON, name: str) -> str:
    """A member that is a text; "" for none, and for what is no text."""
    value = item.get(name, "")
    return value if isinstance(value, str) else ""
