"""What changed in one calendar: `calendarView/delta`, a view of a window of time that remembers what it has shown.

https://learn.microsoft.com/graph/api/event-delta, and what others have seen beside it:
- Items repeat, also on later pages: the last one counts.
- A removal says: not in this window. It names what was deleted, what was moved out of the window, and what was made or
  changed outside of it ("Filter the events under @removed for the date range that your scenario requires"). So it
  deletes only rows that stand inside the window.
- A series that changed comes as its master and all the occurrences that it has left; of one that was deleted there is
  no word (microsoft-graph-docs#4501, Stack Overflow 55641502). So when a master comes, occurrences that are mirrored
  and were not named are asked for by name, and go only if the series does not have them.
- Occurrences may say only when they are (microsoft-graph-docs#7632): the rest is their master's.
"""

import json
from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from calendars.providers import Answer, CalendarState, Delta, Mirrored, Page, Snapshot, UnexpectedAnswer
from integrations.outlook.events import Item
from integrations.outlook.graph import PREFER, Forbidden, Graph, NotThere
from integrations.outlook.rounds import Round

Window = tuple[datetime, datetime]
# Dates are on the mailbox's clock, which is not known: near the window's ends nobody can tell whether a date is
# inside. The furthest clocks are 14 hours off.
_MARGIN = timedelta(days=1)


class Cursor(NamedTuple):
    """Where the last reading ended. A token is bound to the window and the headers of its first request."""

    link: str
    window: Window

    @classmethod
    def parse(cls, text: str) -> "Cursor | None":
        """None for none, for another version's, and for one that other headers made."""
        try:
            known = json.loads(text or "null")
            if known["prefer"] != PREFER:
                return None
            start, end = (datetime.fromisoformat(known[name]) for name in ("start", "end"))
            return cls(str(known["link"]), (start, end))
        except (ValueError, TypeError, KeyError):
            return None

    def text(self) -> str:
        start, end = self.window
        return json.dumps({"link": self.link, "start": _iso(start), "end": _iso(end), "prefer": PREFER})


class CalendarView:
    """One calendar inside one window, for one reading."""

    def __init__(self, graph: Graph, calendar: CalendarState, window: Window) -> None:
        self.graph, self.calendar, self.window = graph, calendar, window
        self.url = f"{graph.base}/me/calendars/{quote(calendar.external_id, safe='')}"

    def changes(self) -> Iterator[Answer]:
        """As `Provider.changes`. Where the window has moved, or the API's address or our headers are others than
        those of the last sync, everything is read again. Raises `NotThere` and `Forbidden` for the calendar."""
        cursor = Cursor.parse(self.calendar.cursor)
        if cursor is not None and cursor.window == self.window and self.graph.is_own(cursor.link):
            link = yield from self._round(cursor.link, whole=False)
            yield Delta(cursor=Cursor(link, self.window).text())
        else:
            link = yield from self._round(f"{self.url}/calendarView/delta?{self._span()}", whole=True)
            start, end = self.window
            yield Snapshot(cursor=Cursor(link, self.window).text(), window=(start + _MARGIN, end - _MARGIN))

    def _round(self, url: str, *, whole: bool) -> Generator[Page, None, str]:
        """The pages from `url` on; returns the link that the next round begins with."""
        work = Round(self, whole=whole)
        body: dict[str, Any] = {}
        for body in self.graph.pages(url):
            if (page := work.page(body["value"])) != Page():
                yield page
        link = body.get("@odata.deltaLink")
        if not isinstance(link, str) or not self.graph.is_own(link):
            raise UnexpectedAnswer("Microsoft Graph ended a list of changes without saying where to go on.")
        yield from work.rest()
        return link

    # What a round asks -----------------------------------------------------------------------------------------------

    def mirrored(self, ids: set[str]) -> list[Mirrored]:
        """What is stored of these events and series."""
        return self.calendar.mirrored(ids) if ids else []

    def holds(self, row: Mirrored) -> bool:
        """Whether a row stands inside the window beyond doubt."""
        margin = _MARGIN if row.all_day else timedelta()
        start, end = self.window[0] + margin, self.window[1] - margin
        return row.start_time < end and (row.end_time > start or row.start_time >= start)

    def event(self, event_id: str) -> Item | None:
        """One event by the id that Graph gave it; None where there is none that may be read."""
        try:
            return self.graph.get(f"{self.url}/events/{quote(event_id, safe='')}")
        except (NotThere, Forbidden):
            return None

    def instances(self, series_id: str) -> list[Item] | None:
        """What a series has in the window; None where there is none that may be read."""
        url = f"{self.url}/events/{quote(series_id, safe='')}/instances?{self._span()}"
        try:
            return [item for body in self.graph.pages(url) for item in body["value"]]
        except (NotThere, Forbidden):
            return None

    def _span(self) -> str:
        start, end = self.window
        return urlencode({"startDateTime": _iso(start), "endDateTime": _iso(end)})


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
