"""What no serializer describes: the answers of some views, and the paths of plain Django views."""

from typing import Any

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_COUNT = {"type": "integer", "minimum": 0}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _json(schema: dict[str, Any], description: str = "") -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_REFUSAL = {"$ref": "#/components/responses/Refusal"}

_SYNC = _object(
    message=_TEXT,
    data=_object(
        sync_id={"type": "string", "format": "uuid"},
        accounts_count=_COUNT,
        status={"enum": ["in_progress", "completed", "completed_with_errors", "failed"]},
        started_at=_TIME,
        eventsCreated=_COUNT,
        eventsUpdated=_COUNT,
        eventsDeleted=_COUNT,
        lastSyncAt={"type": ["string", "null"], "format": "date-time"},
    ),
    success={"type": "boolean"},
    synced_events=_COUNT,
    synced_at=_TIME,
    errors={"type": "array", "items": _TEXT},
)
_PREFER = {
    "in": "header",
    "name": "Prefer",
    "description": "wait=SECONDS (RFC 7240), at most 30: answer with the finished run.",
    "schema": {"type": "string", "examples": ["wait=10"]},
}


def _span(*, required: bool) -> list[dict[str, Any]]:
    return [
        {
            "in": "query",
            "name": name,
            "required": required,
            "description": f"{what} of the half-open span, ISO 8601.",
            "schema": {"type": "string", "examples": ["2026-03-01T17:00:00Z"]},
        }
        for name, what in (("start_time", "Start"), ("end_time", "End"))
    ]


_ZONE = {
    "in": "query",
    "name": "time_zone",
    "description": "IANA name of the zone in which dates, and times without an offset, are read.",
    "schema": {"type": "string", "examples": ["Europe/Berlin"]},
}

_EXPAND = {
    "in": "query",
    "name": "expand",
    "description": "true: instances in place of series, by time. Both bounds are required then, and `sort` may only be "
    "start_time or -start_time.",
    "schema": {"type": "string", "enum": ["true", "false"]},
}

_SCOPE = {
    "in": "query",
    "name": "scope",
    "description": "Of an instance of a series, what goes: this one (as without a word), all following too, or all.",
    "schema": {"type": "string", "enum": ["this", "following", "all"]},
}

# By view and action: the operation's name, where "create sync run" would not say it.
OPERATIONS = {
    ("UserSyncViewSet", "create"): "sync_user_calendar",
    ("CompanySyncViewSet", "create"): "sync_company_calendars",
    ("FreeBusyTextViewSet", "retrieve"): "get_free_busy_as_icalendar",
    ("FreeBusyOfManyViewSet", "ask"): "ask_free_busy",
    ("AvailabilityViewSet", "ask"): "ask_availability",
    ("UserViewSet", "create"): "register_user",
}
# By view and action: status and body of the answer.
ANSWERS: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
    ("UserSyncViewSet", "create"): ("200", _SYNC),
    ("CompanySyncViewSet", "create"): ("200", _SYNC),
}
# By view and action: the serializer of the body, where it is not that of the answer.
BODIES = {
    ("FreeBusyOfManyViewSet", "ask"): "busyblocks.questions.SpanQuestion",
    ("AvailabilityViewSet", "ask"): "busyblocks.questions.AvailabilityQuestion",
}
# By view and action: media types of the answer beside, or in place of, JSON.
TEXTS = {
    ("FreeBusyViewSet", "retrieve"): "beside",
    ("FreeBusyTextViewSet", "retrieve"): "alone",
}
# By view and action: parameters beside those of the path, the page and the viewset's filters.
PARAMETERS: dict[tuple[str, str], list[dict[str, Any]]] = {
    ("BusyBlockViewSet", "list"): [*_span(required=False), _ZONE, _EXPAND],
    ("BusyBlockViewSet", "destroy"): [_SCOPE],
    ("FreeBusyViewSet", "retrieve"): [*_span(required=True), _ZONE],
    ("FreeBusyTextViewSet", "retrieve"): [*_span(required=True), _ZONE],
    ("MeetingViewSet", "list"): _span(required=False),
    ("MeetingViewSet", "trash"): _span(required=False),
    ("UserSyncViewSet", "create"): [_PREFER],
    ("CompanySyncViewSet", "create"): [_PREFER],
}

_ERROR = _object(status={"type": "string", "pattern": "^[45][0-9]{2}$"}, code=_TEXT, title=_TEXT, detail=_TEXT)
_ERROR["properties"]["source"] = {
    "type": "object",
    "properties": {"pointer": _TEXT, "parameter": _TEXT},
    "minProperties": 1,
}
_PAGE_META = _object(
    current_page={"type": "integer", "minimum": 1},
    total_pages=_COUNT,
    total_count=_COUNT,
    per_page={"type": "integer", "minimum": 1, "maximum": 100},
    totalPages=_COUNT,
    totalRecords=_COUNT,
)

_FEED = {
    "get": {
        "operationId": "read_feed",
        "summary": "Read feed",
        "description": "The user's calendar. Whoever knows the address may read it. The token may be followed by .ics; "
        "followed by .ifb it is the free/busy feed (VFREEBUSY) of the same entries.",
        "tags": ["Public"],
        "security": [],
        "parameters": [
            {"in": "path", "name": "url_id", "required": True, "description": "The company.", "schema": _TEXT},
            {"in": "path", "name": "token", "required": True, "description": "Of an ICS token.", "schema": _TEXT},
            {"in": "query", "name": "download", "description": "Have browsers save it as a file.", "schema": _TEXT},
        ],
        "responses": {
            "200": {"description": "RFC 5545.", "content": {"text/calendar": {"schema": _TEXT}}},
            "304": {"description": "Nothing has changed since the ETag or the date that was sent."},
            "404": _REFUSAL,
            "429": _REFUSAL,
            "4XX": _REFUSAL,
            "5XX": _REFUSAL,
        },
    }
}
_WEBHOOK = {
    "post": {
        "operationId": "deliver_calcom_webhook",
        "summary": "Deliver Cal.com webhook",
        "description": "Signed in X-Cal-Signature-256 when the company has a secret: HMAC-SHA256 of the raw body, hex.",
        "tags": ["Public"],
        "security": [],
        "parameters": [
            {"in": "path", "name": "url_id", "required": True, "description": "The company.", "schema": _TEXT},
            {"in": "header", "name": "X-Cal-Signature-256", "schema": _TEXT},
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}},
        "responses": {
            "200": _json(_object(message=_TEXT), "Stored."),
            "400": _REFUSAL,
            "401": _REFUSAL,
            "404": _REFUSAL,
            "4XX": _REFUSAL,
            "5XX": _REFUSAL,
        },
    }
}


def _health(name: str, description: str, answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "get": {
            "operationId": f"health_{name}",
            "summary": f"Health {name}",
            "description": description,
            "tags": ["Public"],
            "security": [],
            "responses": answers,
        }
    }


_READINESS = _object(status=_TEXT, database=_TEXT, cache=_TEXT)
_PLAIN = {
    "/calendars/{url_id}/ics/{token}": _FEED,
    "/calcom/{url_id}/webhook": _WEBHOOK,
    "/health/live": _health("live", "Whether the process answers.", {"200": _json(_object(status=_TEXT))}),
    "/health/ready": _health("ready", "Whether it can serve.", {"200": _json(_READINESS), "503": _json(_READINESS)}),
}


def add_plain(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's hook: the plain paths, the shared components, and none of its own marks."""
    result["paths"] |= _PLAIN
    components = result.setdefault("components", {})
    components.setdefault("schemas", {}).update(
        Error=_ERROR,
        Errors=_object(errors={"type": "array", "items": {"$ref": "#/components/schemas/Error"}}),
        PageMeta=_PAGE_META,
    )
    components["responses"] = {
        "Refusal": {
            "description": "Why not.",
            "content": {
                media_type: {"schema": {"$ref": "#/components/schemas/Errors"}}
                for media_type in ("application/json", "application/vnd.api+json")
            },
        }
    }
    _drop(result, "x-spec-enum-id")
    return result


def _drop(node: Any, name: str) -> None:
    if isinstance(node, dict):
        node.pop(name, None)
        for inner in node.values():
            _drop(inner, name)
    elif isinstance(node, list):
        for inner in node:
            _drop(inner, name)
