"""The port's answers for a remote ICS feed. The address is a secret: whoever knows it reads the calendar."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
from django.conf import settings

from calendars.providers import (
    Answer,
    BadProviderData,
    CalendarGone,
    CalendarState,
    Connection,
    CursorLost,
    Delta,
    Page,
    RemoteCalendar,
    Resource,
    Snapshot,
    UnexpectedAnswer,
    Withheld,
)
from integrations import zones
from integrations.addresses import checked_url
from integrations.given import given_text
from integrations.http import Reply, Session, basic
from integrations.ical import NotUnderstood, Reader
from integrations.ics.feed import Feed, parsed

# A feed is one calendar; its address would be a secret on display, so it goes by this.
CALENDAR = "feed"
EVENTS_A_PAGE = 200
_LONGEST_URL = 2000
_LONGEST_SECRET = 1024
_LONGEST_VALIDATOR = 1024
_SCHEMES = {"webcal://": "https://", "webcals://": "https://", "feed://": "https://"}


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server said of a version of the feed at one address, to ask whether there is another (RFC 9110 §13)."""

    feed: str
    etag: str = ""
    modified: str = ""

    @property
    def headers(self) -> dict[str, str]:
        asked = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: value for name, value in asked.items() if value}


class IcsProvider:
    """`calendars.providers.Provider`. State: {"feed", "etag", "modified", "name", "time_zone"}.

    A cursor is JSON: {"feed", "etag", "modified", "digest"}; `feed` tells addresses apart without showing them.
    """

    def __init__(self, connection: Connection) -> None:
        credentials = connection.credentials
        self.connection = connection
        self.url: str = credentials["url"]
        self.feed_id = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        password = credentials.get("password", "")
        self.session = Session(
            self.url,
            authorization=basic(credentials.get("username", ""), password) if password else "",
            checkpoint=connection.checkpoint,
            deadline_seconds=connection.deadline_seconds,
            # Feeds move about, and without a password there is nothing to keep from another site.
            roams=not password,
        )
        known = connection.state if connection.state.get("feed") == self.feed_id else {}
        self._state: dict[str, Any] = dict(known)
        # What `calendars` has fetched already, for `changes`; or the validators that it found still true.
        self._fetched: tuple[Feed, Validators] | None = None
        self._current: Validators | None = None

    @classmethod
    def credentials_from(cls, provider_data: dict[str, Any], *, email: str) -> dict[str, Any]:
        url = given_text(provider_data, "url", _LONGEST_URL)
        if not url:
            raise BadProviderData("url", "Give the feed's address.")
        for scheme, meant in _SCHEMES.items():
            if url.lower().startswith(scheme):
                url = meant + url[len(scheme) :]
        credentials = {"url": checked_url(url, field="url", with_query=True, longest=_LONGEST_URL)}
        username = given_text(provider_data, "username", _LONGEST_SECRET)
        password = given_text(provider_data, "password", _LONGEST_SECRET)
        if ":" in username:
            raise BadProviderData("username", "A user name cannot hold a colon (RFC 7617).")
        return credentials | ({"username": username, "password": password} if password else {})

    def calendars(self) -> list[RemoteCalendar]:
        """The one calendar. An address that answers nothing useful is a failure, never an account without calendars."""
        before = _validators(self._state, self.feed_id)
        reply = self._get(before)
        if reply is None:
            self._current = before
        else:
            feed = parsed(reply.body)
            now = self._seen(reply)
            self._fetched = feed, now
            zone = zones.iana_name(feed.time_zone) if feed.time_zone else ""
            self._state = {
                "feed": self.feed_id,
                "etag": now.etag,
                "modified": now.modified,
                "name": feed.name[:255] or httpx2.URL(self.url).host[:255],
                "time_zone": zone,
            }
        name, time_zone = str(self._state["name"]), str(self._state["time_zone"])
        return [RemoteCalendar(external_id=CALENDAR, name=name, time_zone=time_zone, primary=True)]

    def changes(self, calendar: CalendarState) -> Iterator[Answer]:
        """A feed that did not change is a Delta without pages; any other is a Snapshot of everything."""
        cursor = self._cursor(calendar.cursor)
        before = _validators(cursor, self.feed_id) if cursor else Validators(self.feed_id)
        if cursor and before == self._current:
            yield Delta(cursor=calendar.cursor)
            return
        if self._fetched is not None:
            feed, now = self._fetched
            self._fetched = None
        else:
            reply = self._get(before)
            if reply is None:
                yield Delta(cursor=calendar.cursor)
                return
            feed, now = parsed(reply.body), self._seen(reply)
        # The same text means other times in another zone, and another answer for another owner.
        seasoning = f"{calendar.time_zone}\0{self.connection.email.lower()}"
        etags = feed.etags(seasoning)
        digest = _digest(etags)
        after = json.dumps({"feed": now.feed, "etag": now.etag, "modified": now.modified, "digest": digest})
        if cursor and cursor.get("digest") == digest:
            yield Delta(cursor=after)
            return
        reader = Reader(owner_email=self.connection.email, time_zone=calendar.time_zone)
        yield from _pages(feed, etags, reader, known=calendar.etags())
        yield Snapshot(cursor=after)

    def state(self) -> dict[str, Any]:
        return self._state

    def _get(self, known: Validators) -> Reply | None:
        """The feed; None where the server says that what `known` describes is still true."""
        headers = {"Accept": "text/calendar, */*;q=0.1", **known.headers}
        reply = self.session.request("GET", self.url, headers=headers, max_bytes=settings.ICS_MAX_BYTES)
        if reply.status == 304 and known.headers:
            return None
        if reply.status in {404, 410}:
            raise CalendarGone(f"There is no calendar at the address any more ({reply.status}).")
        if reply.status != 200:
            raise UnexpectedAnswer(f"The address does not hand out its calendar ({reply.status}).")
        return reply

    def _seen(self, reply: Reply) -> Validators:
        etag, modified = reply.headers.get("etag", ""), reply.headers.get("last-modified", "")
        if max(len(etag), len(modified)) > _LONGEST_VALIDATOR:
            etag = modified = ""
        return Validators(self.feed_id, etag, modified)

    def _cursor(self, text: str) -> dict[str, Any]:
        """What is known of the last reading, nothing for a first; raises `CursorLost` where it was of another feed."""
        if not text:
            return {}
        try:
            cursor = json.loads(text)
        except ValueError:
            cursor = None
        if not isinstance(cursor, dict) or cursor.get("feed") != self.feed_id:
            raise CursorLost("The calendar was read from another address before.")
        return cursor


def _pages(feed: Feed, etags: dict[str, str], reader: Reader, *, known: dict[str, str]) -> Iterator[Page]:
    present = tuple(id_ for id_, etag in etags.items() if known.get(id_) == etag)
    if present:
        yield Page(present=present)
    changed = [(id_, etag) for id_, etag in etags.items() if known.get(id_) != etag]
    for start in range(0, len(changed), EVENTS_A_PAGE):
        read = [_understood(feed, id_, etag, reader) for id_, etag in changed[start : start + EVENTS_A_PAGE]]
        yield Page(
            resources=tuple(item for item in read if isinstance(item, Resource)),
            withheld=tuple(item for item in read if isinstance(item, Withheld)),
        )


def _understood(feed: Feed, id_: str, etag: str, reader: Reader) -> Resource | Withheld:
    try:
        entries = reader.entries(feed.text_of(id_), external_event_id=id_, etag=etag)
    except NotUnderstood as why:
        return Withheld(external_event_id=id_, reason=why.reason, etag=etag)
    return Resource(external_event_id=id_, entries=entries, etag=etag)


def _digest(etags: dict[str, str]) -> str:
    """Of all events, whatever their order."""
    total = hashlib.sha256()
    for id_ in sorted(etags):
        total.update(f"{id_}\0{etags[id_]}\0".encode("utf-8", "replace"))
    return total.hexdigest()


def _validators(said: dict[str, Any], feed_id: str) -> Validators:
    return Validators(feed_id, str(said.get("etag", "")), str(said.get("modified", "")))
