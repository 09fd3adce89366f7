"""Subscriptions: the handshake, and the messages that a test asks to have sent.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

import http.client
import itertools
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from django.utils import timezone

from tests.proxy import Ask, Canned
from tests.simulators.base import json_answer

if TYPE_CHECKING:
    from tests.simulators.graph.server import GraphSimulator

# "under 7 days" for events of Outlook.
LONGEST = timedelta(minutes=10_080)
_KEPT = ("changeType", "notificationUrl", "lifecycleNotificationUrl", "resource", "expirationDateTime", "clientState")


@dataclass
class Subscription:
    id: str
    email: str
    facts: dict[str, Any]

    def body(self) -> dict[str, Any]:
        # The secret is never told again.
        return {"id": self.id, **{name: self.facts.get(name) for name in _KEPT if name != "clientState"}}


class Subscriptions:
    """live: those that are open, by id. handshakes: whether callbacks are asked for the token, as Graph does."""

    def __init__(self, simulator: "GraphSimulator") -> None:
        self.simulator = simulator
        self.live: dict[str, Subscription] = {}
        self.handshakes = True
        self._numbers = itertools.count(1)

    # Messages --------------------------------------------------------------------------------------------------------

    def notify(self, *ids: str, change_type: str = "updated") -> list[int]:
        """Send `messages`. The statuses that the callbacks answered."""
        return [_post(address, message) for address, message in self.messages(*ids, change_type=change_type).items()]

    def messages(self, *ids: str, change_type: str = "updated") -> dict[str, dict[str, Any]]:
        """What the callbacks of these subscriptions (all, if none is named) are told when something changed: those of
        one address in one message."""
        chosen = [self.live[one] for one in ids] if ids else list(self.live.values())
        by_address: dict[str, list[dict[str, Any]]] = {}
        for found in chosen:
            resource = f"{found.facts['resource']}/event-of-{found.id}"
            by_address.setdefault(found.facts["notificationUrl"], []).append(
                {
                    "subscriptionId": found.id,
                    "subscriptionExpirationDateTime": found.facts["expirationDateTime"],
                    "clientState": found.facts.get("clientState"),
                    "changeType": change_type,
                    "resource": resource,
                    "resourceData": {"@odata.type": "#Microsoft.Graph.Event", "@odata.id": resource, "id": "event"},
                    "tenantId": "0",
                }
            )
        return {address: {"value": value} for address, value in by_address.items()}

    def lifecycle(self, subscription_id: str, event: str) -> int:
        """Send reauthorizationRequired, subscriptionRemoved (which removes it) or missed; the status answered."""
        found = self.live[subscription_id]
        if event == "subscriptionRemoved":
            del self.live[subscription_id]
        message = {
            "subscriptionId": found.id,
            "subscriptionExpirationDateTime": found.facts["expirationDateTime"],
            "clientState": found.facts.get("clientState"),
            "lifecycleEvent": event,
            "tenantId": "0",
        }
        return _post(found.facts["lifecycleNotificationUrl"], {"value": [message]})

    # Answers ---------------------------------------------------------------------------------------------------------

    def respond(self, ask: Ask, email: str, parts: list[str]) -> Canned:
        if not parts:
            return self._create(ask, email) if ask.method == "POST" else _error(405, "BadRequest", "No such verb.")
        found = self.live.get(parts[0])
        if found is None or found.email != email:
            return _error(404, "ResourceNotFound", "The object was not found.")
        match ask.method, parts[1:]:
            case "GET", []:
                return json_answer(found.body())
            case "PATCH", []:
                wanted = json.loads(ask.body)
                if not _in_time(wanted.get("expirationDateTime")):
                    return _error(400, "ValidationError", "Subscription expiration can only be 10080 minutes ahead.")
                found.facts["expirationDateTime"] = wanted["expirationDateTime"]
                return json_answer(found.body())
            case "POST", ["reauthorize"]:
                return Canned(204)
            case "DELETE", []:
                del self.live[found.id]
                return Canned(204)
            case _:
                return _error(405, "BadRequest", "No such verb.")

    def _create(self, ask: Ask, email: str) -> Canned:
        facts = json.loads(ask.body)
        missing = [name for name in ("changeType", "notificationUrl", "resource") if not facts.get(name)]
        if missing:
            return _error(400, "ValidationError", f"{missing[0]} is required.")
        if not _in_time(facts.get("expirationDateTime")):
            return _error(400, "ValidationError", "Subscription expiration can only be 10080 minutes ahead.")
        if len(facts.get("clientState") or "") > 128:
            return _error(400, "ValidationError", "clientState is longer than 128 characters.")
        if not self._is_of_mailbox(facts["resource"], email):
            return _error(404, "ResourceNotFound", "The resource was not found.")
        for name in ("notificationUrl", "lifecycleNotificationUrl"):
            if facts.get(name) and self.handshakes and not _shakes_hands(facts[name]):
                return _error(400, "ValidationError", "Subscription validation request failed.")
        made = Subscription(f"subscription-{next(self._numbers)}", email, facts)
        self.live[made.id] = made
        return json_answer(made.body(), 201)

    def _is_of_mailbox(self, resource: str, email: str) -> bool:
        parts = resource.strip("/").split("/")
        if parts == ["me", "events"]:
            return True
        known = self.simulator.mailboxes[email].calendars
        return len(parts) == 4 and parts[:2] == ["me", "calendars"] and parts[2] in known and parts[3] == "events"


def _in_time(text: Any) -> bool:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return False
    now = timezone.now()
    return moment.tzinfo is not None and now < moment <= now + LONGEST


def _shakes_hands(address: str) -> bool:
    """The token comes percent-encoded, and has to come back decoded, as plain text, within ten seconds."""
    token = "Validation: Testing client application reachability for subscription Request-Id: <0&1>+2"
    separator = "&" if "?" in address else "?"
    status, kind, body = _asked(f"{address}{separator}validationToken={quote(token, safe='')}", b"", "text/plain")
    return status == 200 and kind.split(";")[0].strip() == "text/plain" and body.decode() == token


def _post(address: str, message: dict[str, Any]) -> int:
    return _asked(address, json.dumps(message).encode(), "application/json")[0]


def _asked(address: str, body: bytes, kind: str) -> tuple[int, str, bytes]:
    target = urlsplit(address)
    connect = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
    connection = connect(target.hostname or "", target.port, timeout=10)
    try:
        path = f"{target.path}?{target.query}" if target.query else target.path
        connection.request("POST", path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    except OSError:
        return 0, "", b""
    finally:
        connection.close()


def _error(status: int, code: str, message: str) -> Canned:
    inner = {"date": "2026-03-02T08:00:00", "request-id": "0", "client-request-id": "0"}
    return json_answer({"error": {"code": code, "message": message, "innerError": inner}}, status)
