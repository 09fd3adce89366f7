"""What Google's refusals mean: a status alone says little, its reason decides.

https://developers.google.com/workspace/calendar/api/guides/errors
"""

from typing import Any

from django.utils import timezone

from calendars.providers import (
    CalendarGone,
    CursorLost,
    Misconfigured,
    ProviderError,
    ReconnectNeeded,
    Throttled,
    UnexpectedAnswer,
)
from integrations.http import Reply, retry_after

_THROTTLED = frozenset(
    {
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "quotaExceeded",
        "dailyLimitExceeded",
        "calendarUsageLimitsExceeded",
        "RATE_LIMIT_EXCEEDED",
    }
)
_SCOPES_MISSING = frozenset({"insufficientPermissions", "insufficientScopes", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
_API_OFF = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_NO_ACCESS = frozenset({"forbidden", "requiredAccessLevel"})


def refusal(reply: Reply, *, of_calendar: bool = False, with_cursor: bool = False) -> ProviderError:
    """The error that an answer other than 200 stands for; 401, 429 and 5xx are named before it comes here.

    of_calendar: one calendar was asked for; with_cursor: by a sync token. Nothing of the body is passed on.
    """
    reasons = reasons_of(reply)
    match reply.status:
        case 400 if with_cursor:
            # syncTokenWithRequestRestrictions, or a token that is not readable (any more).
            return CursorLost("Google does not take what was stored of the last reading.")
        case 403 if reasons & _THROTTLED:
            wait = retry_after(reply.headers, now=timezone.now())
            return Throttled("Google asks us to come back later (403).", retry_after=wait)
        case 403 if reasons & _SCOPES_MISSING:
            return ReconnectNeeded("The permission to read calendars was not given at Google.")
        case 403 if reasons & _API_OFF:
            return Misconfigured("The Google Calendar API is not enabled in the Google project of this service.")
        case 403 if "domainPolicy" in reasons:
            return ReconnectNeeded(
                "The organization's administrator at Google does not let this service read calendars."
            )
        case 403 if of_calendar and reasons & _NO_ACCESS:
            return CalendarGone("Google does not let this account read the calendar any more.")
        case 404 if of_calendar:
            return CalendarGone("Google has no calendar of this id any more.")
        case 410:
            return CursorLost("Google does not know any more what was read before.")
    return UnexpectedAnswer(f"Google's answer is not one that its calendars give ({reply.status}).")


def reasons_of(reply: Reply) -> set[str]:
    """Every reason that the body names, in both of the shapes that Google's errors have; none for other bodies."""
    try:
        error = reply.json().get("error")
    except UnexpectedAnswer:
        return set()
    if not isinstance(error, dict):
        return set()
    found = [detail.get("reason") for key in ("errors", "details") for detail in _objects(error.get(key))]
    return {reason for reason in found if isinstance(reason, str)}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
