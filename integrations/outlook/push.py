"""Subscriptions (https://learn.microsoft.com/graph/api/subscription-post-subscriptions)."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from busyblocks import moments
from calendars.providers import UnexpectedAnswer
from calendars.watching import Channel, NotWatchable
from integrations.http import Reply
from integrations.outlook.graph import Graph

# Graph takes 10,080 minutes for events; its clock is not ours.
_LIFETIME = timedelta(minutes=10_000)


def watch(graph: Graph, calendar: str, *, secret: str, address: str) -> Channel:
    """A subscription to every change of the calendar's events; lifecycle events go to the same address."""
    wanted = {
        "changeType": "created,updated,deleted",
        "notificationUrl": address,
        "lifecycleNotificationUrl": address,
        "resource": f"me/calendars/{calendar}/events",
        "expirationDateTime": _end(),
        "clientState": secret,
    }
    reply = _send(graph, "POST", "subscriptions", wanted)
    if reply.status in {400, 403, 404}:
        # Also when Graph could not shake hands with us: polling has to do until it can.
        raise NotWatchable(f"Microsoft Graph does not tell of changes of this calendar ({reply.status}).")
    return _channel(reply)


def renew(graph: Graph, channel: Channel) -> Channel | None:
    """The subscription with a later end; None where Graph does not know it any more."""
    reply = _send(graph, "PATCH", f"subscriptions/{channel.id}", {"expirationDateTime": _end()})
    return None if reply.status in {400, 404} else _channel(reply)


def unwatch(graph: Graph, channel: Channel) -> None:
    reply = _send(graph, "DELETE", f"subscriptions/{channel.id}", None)
    if reply.status not in {200, 202, 204, 404}:
        raise UnexpectedAnswer(f"Microsoft Graph does not end a subscription ({reply.status}).")


def _end() -> str:
    return (timezone.now() + _LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ")


def _send(graph: Graph, method: str, path: str, body: dict[str, Any] | None) -> Reply:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    content = b"" if body is None else json.dumps(body).encode()
    return graph.session.request(method, f"{graph.base}/{path}", body=content, headers=headers)


def _channel(reply: Reply) -> Channel:
    if reply.status not in {200, 201}:
        raise UnexpectedAnswer(f"Microsoft Graph answered a subscription with {reply.status}.")
    said = reply.json()
    try:
        expires_at = moments.parsed(str(said.get("expirationDateTime")))
    except ValueError:
        expires_at = None
    if not isinstance(said.get("id"), str) or not isinstance(expires_at, datetime) or expires_at.tzinfo is None:
        raise UnexpectedAnswer("Microsoft Graph opened a subscription without saying which or until when.")
    return Channel(id=said["id"], expires_at=expires_at)
