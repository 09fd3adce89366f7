"""Notification channels (https://developers.google.com/workspace/calendar/api/guides/push)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from calendars.providers import UnexpectedAnswer
from calendars.watching import Channel, NotWatchable
from integrations.google.client import Client, text_of
from integrations.google.errors import reasons_of, refusal
from integrations.http import Reply

_LIFETIME = timedelta(days=7)
_NOT_PUSHED = frozenset({"pushNotSupportedForRequestedResource", "push.webhookUrlUnauthorized"})


def watch(client: Client, calendar: str, *, channel_id: str, secret: str, address: str) -> Channel:
    """events.watch: messages about every change of the calendar's events. The answer's end is what counts."""
    wanted = {
        "id": channel_id,
        "type": "web_hook",
        "address": address,
        "token": secret,
        "params": {"ttl": str(int(_LIFETIME.total_seconds()))},
    }
    reply = _post(client, f"calendars/{quote(calendar, safe='')}/events/watch", wanted)
    if reply.status != 200:
        if reasons_of(reply) & _NOT_PUSHED:
            raise NotWatchable("Google does not tell of changes of this calendar.")
        raise refusal(reply, of_calendar=True)
    answer = reply.json()
    try:
        expires_at = datetime.fromtimestamp(int(str(answer["expiration"])) / 1000, tz=UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        raise UnexpectedAnswer("Google opened a channel without saying until when.") from None
    return Channel(
        id=text_of(answer, "id") or channel_id, resource_id=text_of(answer, "resourceId"), expires_at=expires_at
    )


def unwatch(client: Client, channel: Channel) -> None:
    """channels.stop; one that Google does not know (any more) is stopped."""
    reply = _post(client, "channels/stop", {"id": channel.id, "resourceId": channel.resource_id})
    if reply.status not in {200, 204, 404}:
        raise refusal(reply)


def _post(client: Client, path: str, body: Mapping[str, object]) -> Reply:
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    return client.session.request("POST", f"{client.base}/{path}", body=json.dumps(body).encode(), headers=headers)
