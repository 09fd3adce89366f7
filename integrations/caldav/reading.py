"""What changed in one calendar, by the best means that its server has: sync tokens, a ctag, or a list of etags."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from busyblocks.entries import folded_id
from calendars.providers import (
    Answer,
    CalendarState,
    CursorLost,
    Delta,
    Page,
    Resource,
    Snapshot,
    UnexpectedAnswer,
    Withheld,
)
from integrations.caldav.multistatus import CALDAV, CALENDARSERVER, DAV, Response, decoded_path
from integrations.caldav.requests import (
    ListingCut,
    TokensNotSupported,
    get_event,
    multistatus,
    propfind,
    report_changes,
    report_events,
)
from integrations.http import Session, TooLarge
from integrations.ical import NotUnderstood, Reader, folded_etag

EVENTS_A_REQUEST = 100
IDS_A_PAGE = 500
# Bounds the memory of one batch; a batch that is larger is asked for in halves.
LARGEST_BATCH_BYTES = 16 * 1024 * 1024
_MOST_HALVINGS = 20
_MOST_PARTS = 1_000
_ETAG = f"{DAV}getetag"
_DATA = f"{CALDAV}calendar-data"


@dataclass(frozen=True, slots=True)
class _Member:
    """A resource that the server lists. id: its path below the collection; href: as the server writes it."""

    id: str
    path: str
    href: str
    etag: str


class Collection:
    """One calendar on its server, for one reading."""

    def __init__(self, session: Session, calendar: CalendarState, reader: Reader) -> None:
        self.session, self.state, self.reader = session, calendar, reader
        self.url = calendar.external_id
        self.path = decoded_path(self.url).rstrip("/") + "/"
        self.halvings_left = _MOST_HALVINGS

    def changes(self) -> Iterator[Answer]:
        """As `Provider.changes`. A cursor is JSON: {"sync_token": …}, {"ctag": …}, or {} for neither."""
        cursor = _cursor(self.state.cursor)
        if cursor is None:
            return self._everything()
        if cursor.get("sync_token"):
            return self._by_token(cursor["sync_token"])
        return self._by_ctag(cursor.get("ctag", ""))

    def _everything(self) -> Iterator[Answer]:
        """A full read, by the means that the server offers; it leaves a cursor for the same means."""
        here = self._own_properties("D:sync-token", "D:supported-report-set", "S:getctag", "D:resourcetype")
        reports = here.properties.get(f"{DAV}supported-report-set")
        listed = reports is not None and next(reports.iter(f"{DAV}sync-collection"), None) is not None
        if listed or here.text(f"{DAV}sync-token"):
            try:
                yield from self._by_token("")
                return
            except TokensNotSupported:
                pass
        yield from self._by_etags(here.text(f"{CALENDARSERVER}getctag"))

    def _by_token(self, token: str) -> Iterator[Answer]:
        """RFC 6578. Each part of a listing that the server cuts (507) brings a token to go on from."""
        known = self.state.etags() if not token else {}
        answer = Delta if token else Snapshot
        seen = {token}
        for _ in range(_MOST_PARTS):
            members, removed, cut, token = self._listed_since(token)
            unchanged = {member.id for member in members if member.etag and known.get(member.id) == member.etag}
            yield from _told(removed=removed, present=unchanged)
            for id_ in removed:
                known.pop(id_, None)
            yield from self._pages([member for member in members if member.id not in unchanged])
            if not cut:
                yield answer(cursor=json.dumps({"sync_token": token}))
                return
            if token in seen:
                break
            seen.add(token)
        raise UnexpectedAnswer("The server lists changes without end.")

    def _listed_since(self, token: str) -> tuple[list[_Member], list[str], bool, str]:
        """Changed members, ids of removed ones, whether the server cut the listing, and the next token."""
        try:
            reply, answer = report_changes(self.session, self.url, token)
        except ListingCut:
            raise UnexpectedAnswer("The server cannot list the changes, they are too many for it.") from None
        members: dict[str, _Member] = {}
        removed: dict[str, None] = {}
        cut = False
        request_path = decoded_path(reply.url.raw_path.decode("ascii"))
        for response in answer.responses():
            if response.status == 507 and _same_path(response.path, request_path):
                cut = True
            elif member := self._member(response):
                if response.status == 404:
                    members.pop(member.id, None)
                    removed[member.id] = None
                else:
                    removed.pop(member.id, None)
                    members[member.id] = member
        if not answer.sync_token:
            raise UnexpectedAnswer("The server lists changes without saying how far.")
        return list(members.values()), list(removed), cut, answer.sync_token

    def _by_ctag(self, ctag: str) -> Iterator[Answer]:
        """The calendar's own version first; where it is the same, nothing changed."""
        if not ctag:
            yield from self._by_etags("")
            return
        current = self._own_properties("S:getctag").text(f"{CALENDARSERVER}getctag")
        if current == ctag:
            yield Delta(cursor=self.state.cursor)
        else:
            yield from self._by_etags(current)

    def _by_etags(self, ctag: str) -> Iterator[Answer]:
        """All etags against those that are known. `ctag` was read before: what changes meanwhile is seen next time."""
        reply = propfind(self.session, self.url, ("D:getetag", "D:resourcetype"), depth=1)
        known = self.state.etags()
        members = {
            member.id: member for response in multistatus(reply).responses() if (member := self._member(response))
        }
        unchanged = {id_ for id_, member in members.items() if member.etag and known.get(id_) == member.etag}
        yield from _told(present=unchanged)
        yield from self._pages([member for id_, member in members.items() if id_ not in unchanged])
        yield Snapshot(cursor=json.dumps({"ctag": ctag} if ctag else {}))

    # Events -------------------------------------------------------------------------------------------------------

    def _pages(self, members: list[_Member]) -> Iterator[Page]:
        for start in range(0, len(members), EVENTS_A_REQUEST):
            yield from self._fetched(members[start : start + EVENTS_A_REQUEST])

    def _fetched(self, members: list[_Member]) -> Iterator[Page]:
        """The members' events. The server has to answer for each of them: one that it leaves out is not a deletion."""
        try:
            answer = report_events(
                self.session, self.url, [member.href for member in members], max_bytes=LARGEST_BATCH_BYTES
            )
        except TooLarge as too_large:
            if len(members) == 1:
                yield Page(withheld=(_withheld(members[0], too_large.reason),))
                return
            self.halvings_left -= 1
            if self.halvings_left < 0:
                raise
            yield from self._fetched(members[: len(members) // 2])
            yield from self._fetched(members[len(members) // 2 :])
            return
        asked = {member.path: member for member in members}
        cut_short = {_truncated(path) for path in asked} - asked.keys()
        read: dict[str, Resource | Withheld | None] = {}
        for response in answer.responses():
            if response.path not in asked:
                if response.path in cut_short or _same_path(response.path, self.path):
                    continue
                raise UnexpectedAnswer("The server answered for an event that was not asked for.")
            read[response.path] = self._read(asked[response.path], response)
        for path, member in asked.items():
            if path not in read and _truncated(path) != path:
                read[path] = self._fetched_alone(member)
        if len(read) != len(asked):
            raise UnexpectedAnswer(f"The server left out {len(asked) - len(read)} of {len(asked)} events.")
        yield Page(
            resources=tuple(item for item in read.values() if isinstance(item, Resource)),
            withheld=tuple(item for item in read.values() if isinstance(item, Withheld)),
            removed=tuple(asked[path].id for path, item in read.items() if item is None),
        )

    def _read(self, member: _Member, response: Response) -> Resource | Withheld | None:
        """The event; None where the server says that it is gone since it was listed."""
        data = response.properties.get(_DATA)
        if data is None:
            status = response.status or response.refused.get(_DATA, 0)
            if status in {404, 410}:
                return None
            return _withheld(member, f"The server does not hand it out ({status})." if status else "It has no text.")
        return self._understood(member, data.text or "", folded_etag(response.text(_ETAG) or member.etag))

    def _fetched_alone(self, member: _Member) -> Resource | Withheld | None:
        """The event by a GET (RFC 4791 §5.3.4); None where it is gone since it was listed."""
        try:
            reply = get_event(self.session, self.url, member.href, max_bytes=LARGEST_BATCH_BYTES)
        except TooLarge as too_large:
            return _withheld(member, too_large.reason)
        if reply.status in {404, 410}:
            return None
        if reply.status != 200:
            return _withheld(member, f"The server does not hand it out ({reply.status}).")
        etag = folded_etag(reply.headers.get("etag", "") or member.etag)
        return self._understood(member, reply.body.decode(errors="replace"), etag)

    def _understood(self, member: _Member, text: str, etag: str) -> Resource | Withheld:
        try:
            entries = self.reader.entries(text, external_event_id=member.id, etag=etag)
        except NotUnderstood as why:
            return Withheld(external_event_id=member.id, reason=why.reason, etag=etag)
        return Resource(external_event_id=member.id, entries=entries, etag=etag)

    # Names --------------------------------------------------------------------------------------------------------

    def _own_properties(self, *names: str) -> Response:
        here = next(multistatus(propfind(self.session, self.url, names, depth=0)).responses(), None)
        if here is None:
            raise UnexpectedAnswer("The server says nothing of the calendar.")
        return here

    def _member(self, response: Response) -> _Member | None:
        """The event resource that a response speaks of; None for the collection itself and for folders below it.

        Raises `UnexpectedAnswer` for what lies elsewhere: to pass over it would make its events look deleted.
        """
        kinds = response.children(f"{DAV}resourcetype")
        if _same_path(response.path, self.path) or response.path.endswith("/"):
            return None
        if any(kind.tag == f"{DAV}collection" for kind in kinds):
            return None
        if not response.path.startswith(self.path):
            raise UnexpectedAnswer("The server lists an event outside of the calendar.")
        id_ = folded_id(response.path[len(self.path) :])
        return _Member(id_, response.path, response.href, folded_etag(response.text(_ETAG)))


def _told(*, removed: Iterable[str] = (), present: Iterable[str] = ()) -> Iterator[Page]:
    """What a listing says without a word of the events themselves, in pages of a bounded size."""
    gone, there = tuple(removed), tuple(present)
    for start in range(0, len(gone), IDS_A_PAGE):
        yield Page(removed=gone[start : start + IDS_A_PAGE])
    for start in range(0, len(there), IDS_A_PAGE):
        yield Page(present=there[start : start + IDS_A_PAGE])


def _truncated(path: str) -> str:
    """The path as Xandikos takes it in a multiget: it decodes "%23" and "%3F", and then cuts at "#" and "?"."""
    return path.partition("#")[0].partition("?")[0]


def _withheld(member: _Member, reason: str) -> Withheld:
    return Withheld(external_event_id=member.id, reason=reason, etag=member.etag)


def _same_path(one: str, other: str) -> bool:
    return one.rstrip("/") == other.rstrip("/")


def _cursor(text: str) -> dict[str, Any] | None:
    """None for no cursor; raises `CursorLost` for one that this module never wrote."""
    if not text:
        return None
    try:
        cursor = json.loads(text)
    except ValueError:
        cursor = None
    if not isinstance(cursor, dict):
        raise CursorLost("What was stored of the last reading cannot be used.")
    return cursor
