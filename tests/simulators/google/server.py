"""Google over HTTP: the Calendar API and the authorization server, on one port of loopback.

    with GoogleSimulator() as google:
        google.add_account("alice@acme.example")
        google.put("alice@acme.example", "standup", timed("2026-03-20T09:00", recurrence=["RRULE:FREQ=DAILY"]))
        google.fail(error(410, "fullSyncRequired"), on=2)

An account's primary calendar has the account's address for an id. Settings that lead here: `google.settings()`.
"""

import json
import re
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.proxy import Ask, Canned
from tests.simulators.base import Simulator, form_of, header_of, json_answer, path_of, query_of
from tests.simulators.google import schema
from tests.simulators.google.calendars import Calendars, Refused
from tests.simulators.google.events import JSON
from tests.simulators.google.oauth import CLIENT_ID, CLIENT_SECRET, Authorization
from tests.simulators.google.push import Channels

READ_LIST = "https://www.googleapis.com/auth/calendar.calendarlist.readonly"
READ_EVENTS = "https://www.googleapis.com/auth/calendar.events.readonly"
_API = "/calendar/v3"
_EVENTS = re.compile(rf"{_API}/calendars/([^/]+)/events(/watch)?")


class GoogleSimulator(Simulator):
    """calendars, oauth and push each take edits by hand; the usual ones are repeated here, under the lock."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port=port)
        self.calendars, self.oauth, self.push = Calendars(), Authorization(), Channels()
        self.calendars.changed = lambda calendar: self.push.tell(calendar.id)

    def settings(self) -> dict[str, str]:
        """Environment variables of the service that lead its Google here."""
        return {
            "GOOGLE_API_URL": f"{self.url}calendar/v3",
            "GOOGLE_AUTHORIZE_URL": f"{self.url}o/oauth2/v2/auth",
            "GOOGLE_TOKEN_URL": f"{self.url}token",
            "GOOGLE_REVOKE_URL": f"{self.url}revoke",
            "GOOGLE_CLIENT_ID": CLIENT_ID,
            "GOOGLE_CLIENT_SECRET": CLIENT_SECRET,
        }

    # By hand --------------------------------------------------------------------------------------------------------

    def add_account(self, email: str, *, time_zone: str = "UTC") -> None:
        """Somebody who can sign in, with their primary calendar."""
        with self.lock:
            self.oauth.accounts.append(email)
            self.calendars.add_calendar(email, owner=email, name=email, time_zone=time_zone, primary=True)

    def add_calendar(self, id_: str, *, owner: str, **facts: Any) -> None:
        self._edit(lambda: self.calendars.add_calendar(id_, owner=owner, **facts))

    def drop_calendar(self, calendar: str) -> None:
        self._edit(lambda: self.calendars.drop_calendar(calendar))

    def put(self, calendar: str, event_id: str, event: JSON) -> None:
        self._edit(lambda: self.calendars.put(calendar, event_id, event))

    def delete(self, calendar: str, event_id: str) -> None:
        self._edit(lambda: self.calendars.delete(calendar, event_id))

    def move(self, calendar: str, event_id: str, *, to: str) -> None:
        self._edit(lambda: self.calendars.move(calendar, event_id, to=to))

    def move_instance(self, calendar: str, event_id: str, original: str, event: JSON) -> None:
        self._edit(lambda: self.calendars.move_instance(calendar, event_id, original, event))

    def cancel_instance(self, calendar: str, event_id: str, original: str) -> None:
        self._edit(lambda: self.calendars.cancel_instance(calendar, event_id, original))

    def lose_cursors(self) -> None:
        self._edit(self.calendars.lose_cursors)

    def grant(self, email: str, *, scope: str = f"{READ_LIST} {READ_EVENTS}") -> tuple[str, str]:
        """An access token and a refresh token, as after a consent in the browser."""
        with self.lock:
            return self.oauth.grant(email, scope=scope)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.push.close()
        super().__exit__(kind, error, trace)

    def _edit(self, change: Callable[[], None]) -> None:
        with self.lock:
            change()

    # Over HTTP ------------------------------------------------------------------------------------------------------

    def respond(self, ask: Ask) -> Canned:
        match ask.method, path_of(ask):
            case "GET", "/o/oauth2/v2/auth":
                return self.oauth.page(query_of(ask))
            case "POST", "/o/oauth2/v2/auth":
                granted = [value for name, value in parse_qsl(ask.body.decode()) if name == "granted"]
                return self.oauth.answer(form_of(ask), granted)
            case "POST", "/token":
                return self.oauth.token(form_of(ask), header_of(ask, "Authorization"))
            case "POST", "/revoke":
                return self.oauth.revoke(query_of(ask) | form_of(ask))
            case method, path if path.startswith(_API):
                return self._api(ask, method, path)
        return Canned(404, b"<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>", {"Content-Type": "text/html"})

    def _api(self, ask: Ask, method: str, path: str) -> Canned:
        authorization = header_of(ask, "Authorization")
        user = self.oauth.user_of(authorization)
        if user is None:
            return error(401, "authError")
        try:
            return self._answered(ask, method, path, user, self.oauth.scope_of(authorization))
        except Refused as refused:
            return error(refused.status, refused.reason)

    def _answered(self, ask: Ask, method: str, path: str, user: str, scopes: set[str]) -> Canned:
        query = query_of(ask)
        mask = query.pop("fields", "")
        if (method, path) == ("GET", f"{_API}/users/me/calendarList"):
            _need(READ_LIST, scopes)
            return _checked("CalendarList", self.calendars.calendar_list(user, query), mask)
        if (method, path) == ("POST", f"{_API}/channels/stop"):
            self.push.stop(user, _body(ask))
            return Canned(204)
        if found := _EVENTS.fullmatch(path):
            _need(READ_EVENTS, scopes)
            calendar = unquote(found[1])
            if method == "POST" and found[2]:
                # Watching asks for the same right as listing does.
                self.calendars.list_events(user, calendar, {"maxResults": "1"})
                uri = f"{self.url.rstrip('/')}{_API}/calendars/{found[1]}/events?alt=json"
                return _checked("Channel", self.push.watch(user, calendar, _body(ask), uri=uri), mask)
            if method == "GET" and not found[2]:
                return _checked("Events", self.calendars.list_events(user, calendar, query), mask)
        raise Refused(404, "notFound")


def error(status: int, reason: str, *, headers: dict[str, str] | None = None) -> Canned:
    """An error as the API writes it."""
    domain = "usageLimits" if "Exceeded" in reason else "global"
    detail = {"domain": domain, "reason": reason, "message": f"Simulated: {reason}"}
    return json_answer({"error": {"code": status, "message": detail["message"], "errors": [detail]}}, status, headers)


def masked(node: Any, mask: str) -> Any:
    """What a `fields` parameter leaves: "a,b/c,d(e,f)"."""
    if isinstance(node, list):
        return [masked(item, mask) for item in node]
    wanted = dict(_selectors(mask))
    return {
        name: masked(value, wanted[name]) if wanted[name] else value for name, value in node.items() if name in wanted
    }


def _selectors(mask: str) -> list[tuple[str, str]]:
    found, depth, start = [], 0, 0
    for position, character in enumerate(f"{mask},"):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            found.append(mask[start:position])
            start = position + 1
    parts = (re.fullmatch(r"(\w+)(?:\((.*)\)|/(.*))?", selector) for selector in found)
    return [(part[1], part[2] or part[3] or "") for part in parts if part]


def _checked(kind: str, answer: JSON, mask: str) -> Canned:
    schema.check(kind, answer)
    return json_answer(masked(answer, mask) if mask else answer)


def _need(scope: str, scopes: set[str]) -> None:
    if scope not in scopes:
        raise Refused(403, "insufficientPermissions")


def _body(ask: Ask) -> JSON:
    found = json.loads(ask.body)
    if not isinstance(found, dict):
        raise Refused(400, "parseError")
    return found
