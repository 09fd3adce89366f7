"""Where Google and Microsoft tell of changes. A message is believed for its secret, and only ever asks for a sync.

https://developers.google.com/workspace/calendar/api/guides/push
https://learn.microsoft.com/graph/change-notifications-delivery-webhooks
"""

import json
from typing import Any

import structlog
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from calendars.models import PushChannel
from calendars.services import channels, push
from calendars.services.push import Message

log = structlog.get_logger("push")

_LONGEST_VALIDATION_TOKEN = 4096
_LONGEST_ID = 255
_MOST_NOTIFICATIONS = 1000


@csrf_exempt
@require_POST
def google(request: HttpRequest) -> HttpResponse:
    """One message: all of it stands in headers. 404, which Google does not repeat, for what did not come by a channel
    of ours; the same whether the channel or its token is wrong."""
    said = request.headers
    message = Message(
        said.get("X-Goog-Channel-ID", "")[:_LONGEST_ID],
        said.get("X-Goog-Channel-Token", ""),
        said.get("X-Goog-Resource-ID", ""),
    )
    (channel,) = push.proven("google", [message])
    if channel is None:
        log.warning("push_not_believed", provider="google")
        return HttpResponse(status=404)
    # "sync" only says that the channel is open.
    if said.get("X-Goog-Resource-State", "") != "sync":
        push.tell([channel.calendar.account_id], now=timezone.now())
    return HttpResponse(status=204)


@csrf_exempt
@require_POST
def outlook(request: HttpRequest) -> HttpResponse:
    """The handshake, or a collection of messages, each with its own secret; lifecycle events arrive here, too.

    202 whatever was believed: Graph repeats what is answered otherwise, and tells nobody which message was meant.
    """
    token = request.GET.get("validationToken")
    if token is not None:
        if len(token) > _LONGEST_VALIDATION_TOKEN:
            return HttpResponse(status=400)
        # Plain text, which no browser runs (nosniff).
        return HttpResponse(token, content_type="text/plain; charset=utf-8")
    notifications = _notifications(request)
    found = push.proven("outlook", [_message(one) for one in notifications])
    if None in found:
        log.warning("push_not_believed", provider="outlook", messages=found.count(None))
    now = timezone.now()
    told: list[int] = []
    for notification, channel in zip(notifications, found, strict=True):
        if channel is not None and _concerns_events(notification, channel):
            told.append(channel.calendar.account_id)
    push.tell(told, now=now)
    return HttpResponse(status=202)


def _concerns_events(notification: dict[str, Any], channel: PushChannel) -> bool:
    """https://learn.microsoft.com/graph/change-notifications-lifecycle-events"""
    match notification.get("lifecycleEvent"):
        case "reauthorizationRequired":
            channels.renew_soon(channel, now=timezone.now())
            return False
        case "subscriptionRemoved":
            channels.replace(channel, now=timezone.now())
            return True
    # A change, "missed", or what is not known yet: a sync finds out.
    return True


def _notifications(request: HttpRequest) -> list[dict[str, Any]]:
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError, RequestDataTooBig, UnreadablePostError):
        return []
    value = body.get("value") if isinstance(body, dict) else None
    if not isinstance(value, list):
        return []
    return [one for one in value[:_MOST_NOTIFICATIONS] if isinstance(one, dict)]


def _message(notification: dict[str, Any]) -> Message:
    channel_id, secret = notification.get("subscriptionId"), notification.get("clientState")
    return Message(
        channel_id[:_LONGEST_ID] if isinstance(channel_id, str) else "", secret if isinstance(secret, str) else ""
    )
