"""The API: who is asking, what they ask for, and the tokens by which a view remembers what it has shown."""

import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.proxy import Ask, Canned
from tests.simulators.base import Simulator, header_of, json_answer, path_of, query_of
from tests.simulators.graph.mailbox import Calendar, Item, Mailbox, Window, instances, opaque
from tests.simulators.graph.schema import check
from tests.simulators.graph.signin import SignIn
from tests.simulators.graph.subscriptions import Subscriptions

_PREFERENCE = re.compile(r'([A-Za-z.]+)=(?:"([^"]*)"|([^,\s]*))')


def error(status: int, code: str, message: str = "It failed.", headers: dict[str, str] | None = None) -> Canned:
    """An answer as Graph words its failures."""
    inner = {"date": "2026-03-02T08:00:00", "request-id": "0", "client-request-id": "0"}
    return json_answer({"error": {"code": code, "message": message, "innerError": inner}}, status, headers)


def throttled(retry_after: str | None = "10", status: int = 429) -> Canned:
    """429 or 503; `retry_after`: seconds, an HTTP date, or None for no word of it."""
    return error(status, "ApplicationThrottled", headers={"Retry-After": retry_after} if retry_after else {})


@dataclass
class _Round:
    """One round of a view. `ids`: events still to be told. next_position: where the round after it begins."""

    calendar_id: str
    window: Window
    prefer: str
    ids: list[str]
    next_position: int
    # Items of the event that a page broke off in.
    left_over: list[Item] = field(default_factory=list)


@dataclass
class _Position:
    """What a delta token stands for."""

    calendar_id: str
    window: Window
    prefer: str
    position: int


class GraphSimulator(Simulator):
    """`url` of the API: `api_url`. The first mailbox is alice's.

    page_size: items a page, below what the client prefers. repeats: whether a page begins with the last item of the
    page before it. empty_first: whether a round begins with a page without items. expired: token codes.
    """

    def __init__(self, port: int = 0, *, page_size: int = 50) -> None:
        super().__init__(port=port)
        self.page_size = page_size
        self.repeats = False
        self.empty_first = False
        self.mailboxes: dict[str, Mailbox] = {}
        self.alice = self.mailbox("alice@acme.example")
        self.sign_in = SignIn(self)
        self.subscriptions = Subscriptions(self)
        self._rounds: dict[str, _Round] = {}
        self._positions: dict[str, _Position] = {}
        self._numbers = itertools.count(1)

    @property
    def api_url(self) -> str:
        return f"{self.url}v1.0"

    def mailbox(self, email: str) -> Mailbox:
        """The user's mailbox, made where there is none."""
        return self.mailboxes.setdefault(email, Mailbox(email))

    def lose_cursors(self) -> None:
        """Every delta token given out so far becomes unknown."""
        with self.lock:
            self._positions.clear()

    def expire_pages(self) -> None:
        """Every link to a next page becomes unknown."""
        with self.lock:
            self._rounds.clear()

    # Answers ---------------------------------------------------------------------------------------------------------

    def respond(self, ask: Ask) -> Canned:
        answer = self._respond(ask)
        check(ask, answer)
        return answer

    def _respond(self, ask: Ask) -> Canned:
        path = path_of(ask)
        if path.startswith("/common/oauth2/v2.0/"):
            return self.sign_in.respond(ask)
        if not path.startswith("/v1.0/"):
            return Canned(404, b"", {})
        bearer = header_of(ask, "Authorization").removeprefix("Bearer ")
        email = self.sign_in.owner_of(bearer)
        if email is None:
            challenge = {"WWW-Authenticate": 'Bearer realm="", error="invalid_token"'}
            return error(401, "InvalidAuthenticationToken", "Lifetime validation failed.", challenge)
        parts = [unquote(part) for part in path.removeprefix("/v1.0/").split("/")]
        if parts[0] == "subscriptions":
            return self.subscriptions.respond(ask, email, parts[1:])
        if parts[0] != "me":
            return error(400, "BadRequest")
        return self._of_mailbox(ask, self.mailboxes[email], parts[1:])

    def _of_mailbox(self, ask: Ask, mailbox: Mailbox, parts: list[str]) -> Canned:
        if not parts:
            return json_answer({"id": opaque(mailbox.email)[-36:], "displayName": mailbox.email.partition("@")[0],
                                "mail": mailbox.email, "userPrincipalName": mailbox.email})  # fmt: skip
        if parts[0] != "calendars":
            return error(400, "BadRequest")
        if len(parts) == 1:
            return self._listed(ask, [_calendar(found, mailbox) for found in mailbox.calendars.values()], "calendars")
        calendar = mailbox.calendars.get(parts[1])
        if calendar is None:
            return error(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        if calendar.forbidden:
            return error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        prefer = header_of(ask, "Prefer")
        wanted = {name: quoted or plain for name, quoted, plain in _PREFERENCE.findall(prefer)}
        if wanted.get("IdType") != "ImmutableId" or wanted.get("outlook.timezone") != "UTC":
            # Graph itself would answer, with other ids and other times: nothing that a test should pass over.
            return error(400, "ErrorInvalidRequest", "The simulator wants the headers on every request.")
        match parts[2:]:
            case ["calendarView", "delta" | "delta()"]:
                return self._delta(ask, mailbox, calendar, prefer)
            case ["events", event_id]:
                return self._event(mailbox, calendar, event_id)
            case ["events", event_id, "instances"]:
                return self._instances(ask, mailbox, calendar, event_id)
            case _:
                return error(400, "BadRequest")

    def _event(self, mailbox: Mailbox, calendar: Calendar, event_id: str) -> Canned:
        for event in calendar.events.values():
            if event.id == event_id:
                first = event.first or event.single
                assert first is not None
                return json_answer(mailbox.written(event, first, "seriesMaster" if event.first else ""))
            for instance in instances(event):
                if instance.id == event_id:
                    return json_answer(mailbox.written(event, instance))
        return error(404, "ErrorItemNotFound", "The specified object was not found in the store.")

    def _instances(self, ask: Ask, mailbox: Mailbox, calendar: Calendar, event_id: str) -> Canned:
        window, event = _window(query_of(ask)), calendar.events.get(event_id)
        if window is None:
            return error(400, "ErrorInvalidParameter")
        if event is None:
            return error(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        inside = [mailbox.written(event, found) for found in instances(event) if found.inside(window)]
        return self._listed(ask, inside, "events")

    def _listed(self, ask: Ask, items: list[Item], name: str) -> Canned:
        """A collection, in pages by $skip."""
        skip = int(query_of(ask).get("$skip", "0"))
        body: Item = {
            "@odata.context": f"{self.api_url}/$metadata#{name}",
            "value": items[skip : skip + self.page_size],
        }
        if skip + self.page_size < len(items):
            address = urlsplit(ask.path)
            kept = "&".join(part for part in address.query.split("&") if part and not part.startswith("$skip="))
            body["@odata.nextLink"] = f"{self.url.rstrip('/')}{address.path}?{kept}&$skip={skip + self.page_size}"
        return json_answer(body)

    # The view --------------------------------------------------------------------------------------------------------

    def _delta(self, ask: Ask, mailbox: Mailbox, calendar: Calendar, prefer: str) -> Canned:
        query = query_of(ask)
        begun = self._begun(ask, calendar, prefer, query)
        if isinstance(begun, Canned):
            return begun
        items = begun.left_over
        while begun.ids and len(items) < self.page_size:
            items.extend(mailbox.shown(calendar, begun.ids.pop(0), begun.window))
        page, begun.left_over = items[: self.page_size], items[self.page_size :]
        if self.repeats and page:
            begun.left_over.insert(0, page[-1]) if begun.left_over or begun.ids else None
        if self.empty_first and "$skiptoken" not in query:
            begun.left_over, page = page + begun.left_over, []
        body: Item = {"@odata.context": f"{self.api_url}/$metadata#Collection(event)", "value": page}
        if begun.ids or begun.left_over:
            body["@odata.nextLink"] = self._link(ask, "$skiptoken", begun, self._rounds)
        else:
            position = _Position(calendar.id, begun.window, prefer, begun.next_position)
            body["@odata.deltaLink"] = self._link(ask, "$deltatoken", position, self._positions)
        return json_answer(body)

    def _begun(self, ask: Ask, calendar: Calendar, prefer: str, query: dict[str, str]) -> _Round | Canned:
        """The round that a request begins or goes on with."""
        if "$skiptoken" in query or "$deltatoken" in query:
            known: _Round | _Position | None = (
                self._rounds.get(ask.path) if "$skiptoken" in query else self._positions.get(ask.path)
            )
            if known is None:
                return error(
                    410, "SyncStateNotFound", "The sync state generation is not found; a full sync is required."
                )
            if known.calendar_id != calendar.id or known.prefer != prefer:
                return error(400, "ErrorInvalidUrlQuery", "The token belongs to another request.")
            if isinstance(known, _Round):
                return _Round(**vars(known) | {"ids": list(known.ids), "left_over": list(known.left_over)})
            changed = list(dict.fromkeys(calendar.log[known.position :]))
            return _Round(calendar.id, known.window, prefer, changed, len(calendar.log))
        window = _window(query)
        if window is None:
            return error(400, "ErrorInvalidParameter", "This request requires a time window.")
        held = [
            event.id for event in calendar.events.values() if any(found.inside(window) for found in instances(event))
        ]
        return _Round(calendar.id, window, prefer, held, len(calendar.log))

    def _link(self, ask: Ask, name: str, state: Any, kept: dict[str, Any]) -> str:
        """A link that works only as it is: the key is its text, with signs that a careless client would rewrite."""
        path = f"{path_of(ask)}?{name}=R0usmc%2fCM996a~tia_s{next(self._numbers)}'(%3D)"
        kept[path] = state
        return self.url.rstrip("/") + path


def _window(query: dict[str, str]) -> Window | None:
    try:
        start, end = (datetime.fromisoformat(query[name]) for name in ("startDateTime", "endDateTime"))
    except (KeyError, ValueError):
        return None
    return start.astimezone(UTC), end.astimezone(UTC)


def _calendar(calendar: Calendar, mailbox: Mailbox) -> Item:
    return {
        "id": calendar.id,
        "name": calendar.name,
        "color": "auto",
        "hexColor": "",
        "isDefaultCalendar": calendar.default,
        "changeKey": "ck",
        "canShare": True,
        "canViewPrivateItems": True,
        "canEdit": True,
        "isTallyingResponses": calendar.default,
        "isRemovable": not calendar.default,
        "owner": {"name": mailbox.email, "address": mailbox.email},
    }


def edited(change: Callable[[Item], object]) -> Callable[[Canned], Canned]:
    """A fault that changes the JSON of a true answer."""

    def fault(true: Canned) -> Canned:
        body = json.loads(true.body)
        change(body)
        return json_answer(body, true.status)

    return fault
