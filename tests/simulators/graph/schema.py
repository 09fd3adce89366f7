# ruff: noqa: ERA001 (the sentences look like code)
"""What Graph's documentation says of the shapes that the simulator answers, as JSON Schema, rule by rule.

Graph's own machine-readable description has no required members and lets every member be null; the sentences that the
rules stand for are those of https://learn.microsoft.com/graph/api/resources/event and its neighbours, quoted beside
them. Members that no sentence names are refused, so that the simulator cannot make up any.
"""

import json
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from tests.proxy import Ask, Canned
from tests.simulators.base import path_of

Schema = dict[str, Any]

TEXT: Schema = {"type": ["string", "null"]}
FLAG: Schema = {"type": ["boolean", "null"]}
# "… represents date and time information using ISO 8601 format and is always in UTC time."
TIMESTAMP: Schema = {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z$"}


def words(*allowed: str) -> Schema:
    return {"enum": [*allowed, None]}


def members(known: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": known, "required": list(required), "additionalProperties": False}


# dateTimeTimeZone: "dateTime: A single point of time in a combined date and time representation
# ({date}T{time}; for example, 2017-08-29T04:00:00.0000000)." "timeZone: Represents a time zone".
DATE_TIME_TIME_ZONE = members(
    {
        "dateTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}$"},
        "timeZone": {"type": "string"},
    },
    "dateTime",
    "timeZone",
)
# emailAddress: "address: The email address of the person or entity." "name: The display name of the person or entity."
EMAIL_ADDRESS = members({"name": TEXT, "address": TEXT})
# responseStatus: "The response type. Possible values are: none, organizer, tentativelyAccepted, accepted, declined,
# notResponded." "time: The date and time when the response was returned … always in UTC time."
RESPONSE_STATUS = members(
    {
        "response": words("none", "organizer", "tentativelyAccepted", "accepted", "declined", "notResponded"),
        "time": TIMESTAMP,
    }
)
# location: "displayName: The name associated with the location." "locationType: The type of location. …"
LOCATION = members(
    {
        "displayName": TEXT,
        "locationType": words(
            "default", "conferenceRoom", "homeAddress", "businessAddress", "geoCoordinates", "streetAddress", "hotel",
            "restaurant", "localBusiness", "postalAddress",
        ),
        "uniqueIdType": words("unknown", "locationStore", "directory", "private", "bing"),
    }
)  # fmt: skip
# patternedRecurrence: "pattern: The frequency of an event." "range: The duration of an event."
RECURRENCE = members(
    {
        # recurrencePattern: "type: The recurrence pattern type: daily, weekly, absoluteMonthly, relativeMonthly,
        # absoluteYearly or relativeYearly. Required." "interval: The number of units between occurrences … Required."
        "pattern": members(
            {
                "type": words(
                    "daily", "weekly", "absoluteMonthly", "relativeMonthly", "absoluteYearly", "relativeYearly"
                ),
                "interval": {"type": "integer", "minimum": 1},
                "month": {"type": "integer"},
                "dayOfMonth": {"type": "integer"},
                "firstDayOfWeek": {"type": "string"},
            },
            "type",
            "interval",
        ),
        # recurrenceRange: "type: The recurrence range. The possible values are: endDate, noEnd, numbered. Required."
        # "numberOfOccurrences: The number of times to repeat the event. Required and must be positive if type is
        # numbered."
        "range": members(
            {
                "type": words("endDate", "noEnd", "numbered"),
                "startDate": {"type": "string", "format": "date"},
                "endDate": {"type": "string", "format": "date"},
                "recurrenceTimeZone": TEXT,
                "numberOfOccurrences": {"type": "integer", "minimum": 1},
            },
            "type",
            "startDate",
        ),
    },
    "pattern",
    "range",
)
_EVENT: Schema = {
    "@odata.context": TEXT,
    "@odata.type": {"const": "#microsoft.graph.event"},
    "@odata.etag": TEXT,
    # "id: … Read-only." Of every entity it is the key, and never null.
    "id": {"type": "string", "minLength": 1},
    "createdDateTime": TIMESTAMP,
    "lastModifiedDateTime": TIMESTAMP,
    # "Identifies the version of the event object. Every time the event is changed, changeKey changes as well."
    "changeKey": TEXT,
    "categories": {"type": "array", "items": {"type": "string"}},
    # "The start time zone that was set when the event was created. A value of tzone://Microsoft/Custom indicates that a
    # legacy custom time zone was set in desktop Outlook."
    "originalStartTimeZone": TEXT,
    "originalEndTimeZone": TEXT,
    # "A unique identifier for an event across calendars. This ID is different for each occurrence in a recurring
    # series."
    "iCalUId": TEXT,
    "reminderMinutesBeforeStart": {"type": ["integer", "null"]},
    "isReminderOn": FLAG,
    "hasAttachments": FLAG,
    "subject": TEXT,
    # "The preview of the message associated with the event. It's in text format."
    "bodyPreview": TEXT,
    # "The importance of the event. The possible values are: low, normal, high."
    "importance": words("low", "normal", "high"),
    # "The possible values are: normal, personal, private, and confidential."
    "sensitivity": words("normal", "personal", "private", "confidential"),
    "isAllDay": FLAG,
    "isCancelled": FLAG,
    "isOrganizer": FLAG,
    "responseRequested": FLAG,
    # "The ID for the recurring series master item, if this event is part of a recurring series."
    "seriesMasterId": TEXT,
    # "The status to show. Possible values are: free, tentative, busy, oof, workingElsewhere, unknown."
    "showAs": words("free", "tentative", "busy", "oof", "workingElsewhere", "unknown"),
    # "The event type. Possible values are: singleInstance, occurrence, exception, seriesMaster. Read-only"
    "type": words("singleInstance", "occurrence", "exception", "seriesMaster"),
    "webLink": TEXT,
    "onlineMeetingUrl": TEXT,
    "isOnlineMeeting": FLAG,
    "allowNewTimeProposals": FLAG,
    "isDraft": FLAG,
    "hideAttendees": FLAG,
    "recurrence": {"anyOf": [RECURRENCE, {"type": "null"}]},
    "responseStatus": {"anyOf": [RESPONSE_STATUS, {"type": "null"}]},
    # itemBody: "contentType: The type of the content. Possible values are text and html."
    "body": members({"contentType": words("text", "html"), "content": TEXT}),
    "start": DATE_TIME_TIME_ZONE,
    "end": DATE_TIME_TIME_ZONE,
    "location": {"anyOf": [LOCATION, {"type": "null"}]},
    "attendees": {
        "type": "array",
        "items": members(
            {
                # "type: The attendee type: required, optional, resource."
                "type": words("required", "optional", "resource"),
                "status": RESPONSE_STATUS,
                "emailAddress": EMAIL_ADDRESS,
            }
        ),
    },
    "organizer": {"anyOf": [members({"emailAddress": EMAIL_ADDRESS}), {"type": "null"}]},
}
EVENT: Schema = {
    **members(_EVENT, "id", "type", "start", "end"),
    "allOf": [
        # event-update: "isAllDay: … If true, regardless of whether it's a single-day or multi-day event, start and end
        # time must be set to midnight and be in the same time zone."
        {
            "if": {"properties": {"isAllDay": {"const": True}}, "required": ["isAllDay"]},
            "then": {
                "properties": {
                    name: {"properties": {"dateTime": {"pattern": "T00:00:00\\.0000000$"}}} for name in ("start", "end")
                }
            },
        },
        # Of the series: "recurrence: The recurrence pattern for the event."
        {
            "if": {"properties": {"type": {"const": "seriesMaster"}}},
            "then": {"properties": {"recurrence": {"type": "object"}, "seriesMasterId": {"type": "null"}}},
        },
        {
            "if": {"properties": {"type": {"enum": ["occurrence", "exception"]}}},
            "then": {"properties": {"seriesMasterId": {"type": "string"}}, "required": ["seriesMasterId"]},
        },
    ],
}
# delta-query-overview: "Deleted instances are represented with their id and an @removed object. … reason … changed,
# deleted."
REMOVED = members({"id": {"type": "string"}, "@removed": members({"reason": words("changed", "deleted")}, "reason")},
                  "id", "@removed")  # fmt: skip


def collection(items: Schema, **links: Schema) -> Schema:
    known = {"@odata.context": TEXT, "value": {"type": "array", "items": items}, **links}
    return members(known, "@odata.context", "value")


_LINK: Schema = {"type": "string", "format": "uri"}
EVENTS = collection(EVENT, **{"@odata.nextLink": _LINK})
# delta-query-overview: "@odata.nextLink … @odata.deltaLink": each answer of a round ends in one of them, never in both.
CHANGES: Schema = {
    **collection({"anyOf": [EVENT, REMOVED]}, **{"@odata.nextLink": _LINK, "@odata.deltaLink": _LINK}),
    "oneOf": [{"required": ["@odata.nextLink"]}, {"required": ["@odata.deltaLink"]}],
}
# https://learn.microsoft.com/graph/api/resources/calendar: "color: … The property values are: auto, lightBlue, …";
# "hexColor: The calendar color, expressed in a hex color code of three hexadecimal values … If the user has never
# explicitly set a color for the calendar, this property is empty."; "isDefaultCalendar: true if this is the default
# calendar where new events are created by default, false otherwise."
CALENDAR = members(
    {
        "id": {"type": "string", "minLength": 1},
        "name": TEXT,
        "color": words("auto", "lightBlue", "lightGreen", "lightOrange", "lightGray", "lightYellow", "lightTeal",
                       "lightPink", "lightBrown", "lightRed", "maxColor"),
        "hexColor": {"type": ["string", "null"], "pattern": "^(#[0-9a-fA-F]{6})?$"},
        "isDefaultCalendar": FLAG,
        "changeKey": TEXT,
        "canShare": FLAG,
        "canViewPrivateItems": FLAG,
        "canEdit": FLAG,
        "isTallyingResponses": FLAG,
        "isRemovable": FLAG,
        "owner": EMAIL_ADDRESS,
    },
    "id",
)  # fmt: skip
CALENDARS = collection(CALENDAR, **{"@odata.nextLink": _LINK})
# https://learn.microsoft.com/graph/errors: "The error response is a single JSON object that contains a single property
# named error. … code, message" and "innererror".
ERROR = members(
    {
        "error": members(
            {"code": {"type": "string"}, "message": {"type": "string"}, "innerError": {"type": "object"}},
            "code",
            "message",
        )
    },
    "error",
)
# https://learn.microsoft.com/graph/api/resources/subscription; "clientState … is not returned" once it is made.
SUBSCRIPTION = members(
    {
        "id": {"type": "string"},
        "changeType": {"type": "string"},
        "notificationUrl": {"type": "string"},
        "lifecycleNotificationUrl": TEXT,
        "resource": {"type": "string"},
        "expirationDateTime": {"type": "string"},
    },
    "id",
    "changeType",
    "notificationUrl",
    "resource",
    "expirationDateTime",
)
ME = members({"id": {"type": "string"}, "displayName": TEXT, "mail": TEXT, "userPrincipalName": TEXT}, "id")
# https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow, "Successful response", "Error response".
TOKENS = members(
    {
        "token_type": {"const": "Bearer"},
        "scope": {"type": "string"},
        "expires_in": {"type": "integer"},
        "ext_expires_in": {"type": "integer"},
        "access_token": {"type": "string"},
        "refresh_token": {"type": "string"},
    },
    "token_type",
    "scope",
    "expires_in",
    "access_token",
)
TOKENS_REFUSED = members(
    {
        "error": {"type": "string"},
        "error_description": {"type": "string"},
        "error_codes": {"type": "array", "items": {"type": "integer"}},
        "timestamp": {"type": "string"},
        "trace_id": {"type": "string"},
        "correlation_id": {"type": "string"},
    },
    "error",
    "error_description",
    "error_codes",
)


def check(ask: Ask, answer: Canned) -> None:
    """Raises where the simulator answers what Graph's documentation does not allow."""
    if not answer.body or "json" not in answer.headers.get("Content-Type", ""):
        return
    body = json.loads(answer.body)
    faults = [fault.message for fault in Draft202012Validator(_schema(ask, answer)).iter_errors(body)]
    assert not faults, f"{ask.method} {path_of(ask)} answers what Graph would not: {faults[:3]}"


def _schema(ask: Ask, answer: Canned) -> Schema:
    parts = path_of(ask).strip("/").split("/")
    if parts[-1] == "token":
        return TOKENS if answer.status == 200 else TOKENS_REFUSED
    if answer.status >= 400:
        return ERROR
    if parts[1] == "subscriptions":
        return SUBSCRIPTION
    match parts[2:]:
        case []:
            return ME
        case ["calendars"]:
            return CALENDARS
        case [*_, "delta" | "delta()"]:
            return CHANGES
        case [*_, "instances"]:
            return EVENTS
        case _:
            return EVENT
