"""Turns Google's discovery document into schema.json: `python make_schema.py calendar.v3.json > schema.json`.

The document stands in the wheel of google-api-python-client, at
googleapiclient/discovery_cache/documents/calendar.v3.json. It knows neither required members nor enumerations, so those
are added in RULES below, each with the sentence that it stands for.
"""

import json
import sys
from pathlib import Path
from typing import Any

ANSWERS = ("Events", "CalendarList", "Channel")

# schema → member (or "required") → (rule, the sentence of the reference that it stands for)
RULES: dict[str, dict[str, tuple[Any, str]]] = {
    "Events": {
        "required": (["kind", "etag", "timeZone", "accessRole"], "No sentence: every answer of the API has them."),
        "kind": ({"const": "calendar#events"}, 'Type of the collection ("calendar#events").'),
        "not": (
            {"required": ["nextPageToken", "nextSyncToken"]},
            "nextPageToken: Omitted if no further results are available, in which case nextSyncToken is provided.",
        ),
        "accessRole": (
            {"enum": ["none", "freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner"]},
            "The user's access role for this calendar. Read-only. Possible values are: …",
        ),
    },
    "Event": {
        "required": (["kind", "id", "status"], "Deleted events are only guaranteed to have the id field populated."),
        "kind": ({"const": "calendar#event"}, 'Type of the resource ("calendar#event").'),
        "id": (
            {"minLength": 5, "maxLength": 1024},
            "the length of the ID must be between 5 and 1024 characters",
        ),
        "status": (
            {"enum": ["confirmed", "tentative", "cancelled"]},
            "Status of the event. Optional. Possible values are: …",
        ),
        "transparency": (
            {"enum": ["opaque", "transparent"]},
            "Whether the event blocks time on the calendar. Optional. Possible values are: …",
        ),
        "visibility": (
            {"enum": ["default", "public", "private", "confidential"]},
            "Visibility of the event. Optional. Possible values are: …",
        ),
        "recurrence": (
            {"items": {"type": "string", "pattern": "^(RRULE|EXRULE|RDATE|EXDATE)[;:]"}},
            "List of RRULE, EXRULE, RDATE and EXDATE lines for a recurring event.",
        ),
        "not": (
            {"required": ["recurrence", "recurringEventId"]},
            "recurrence: This field is omitted for single events or instances of recurring events.",
        ),
        "dependentRequired": (
            {"recurringEventId": ["originalStartTime"], "originalStartTime": ["recurringEventId"]},
            "originalStartTime: It uniquely identifies the instance within the recurring event series",
        ),
        "if": (
            {"properties": {"status": {"const": "cancelled"}}},
            'Deleted events are only guaranteed to have the id field populated: the others have all of "then".',
        ),
        "then": (True, "As above."),
        "else": ({"required": ["start", "end", "etag", "updated", "iCalUID"]}, "As above."),
    },
    "EventDateTime": {
        "oneOf": (
            [{"required": ["date"]}, {"required": ["dateTime"]}],
            'date: The date, in the format "yyyy-mm-dd", if this is an all-day event.',
        ),
        "dateTime": (
            {"pattern": "(Z|[+-][0-9]{2}:[0-9]{2})$"},
            "A time zone offset is required unless a time zone is explicitly specified in timeZone.",
        ),
    },
    "EventAttendee": {
        "responseStatus": (
            {"enum": ["needsAction", "declined", "tentative", "accepted"]},
            "The attendee's response status. Possible values are: …",
        ),
    },
    "CalendarList": {
        "required": (["kind", "etag"], "No sentence: every answer of the API has them."),
        "kind": ({"const": "calendar#calendarList"}, 'Type of the collection ("calendar#calendarList").'),
        "not": (
            {"required": ["nextPageToken", "nextSyncToken"]},
            "nextPageToken: Omitted if no further results are available, in which case nextSyncToken is provided.",
        ),
    },
    "CalendarListEntry": {
        "required": (["kind", "id"], "id: Identifier of the calendar."),
        "kind": ({"const": "calendar#calendarListEntry"}, 'Type of the resource ("calendar#calendarListEntry").'),
        "accessRole": (
            {"enum": ["freeBusyReader", "reader", "writerWithoutPrivateAccess", "writer", "owner"]},
            "The effective access role that the authenticated user has on the calendar. Possible values are: …",
        ),
        "hidden": (
            {"const": True},
            "The attribute is only returned when the calendar is hidden, in which case the value is true.",
        ),
    },
    "Channel": {
        "required": (["kind", "id", "resourceId", "resourceUri", "expiration"], "The push guide's example answer."),
        "kind": ({"const": "api#channel"}, 'Identifies this as a notification channel, which is "api#channel".'),
        "expiration": ({"pattern": "^[0-9]+$"}, "expressed as a Unix timestamp, in milliseconds."),
    },
}


def strict(node: Any) -> Any:
    """A node of the discovery document as JSON Schema: no member that is not named, references by path."""
    if "$ref" in node:
        return {"$ref": f"#/$defs/{node['$ref']}"}
    found = {key: node[key] for key in ("type", "format") if key in node and node.get("type") != "any"}
    if found.get("format") in {"int32", "int64"} and found["type"] == "string":
        del found["format"]
    if "items" in node:
        found["items"] = strict(node["items"])
    if "properties" in node:
        found["properties"] = {name: strict(member) for name, member in node["properties"].items()}
    if "properties" in node or "additionalProperties" in node:
        more = node.get("additionalProperties")
        found["additionalProperties"] = strict(more) if more else False
    return found


def with_rules(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    for member, (rule, sentence) in RULES.get(name, {}).items():
        if member in schema["properties"]:
            schema["properties"][member] |= {**rule, "$comment": sentence}
        else:
            schema[member] = rule
            schema["$comment"] = f"{schema.get('$comment', '')} {member}: {sentence}".strip()
    return schema


def reached(schemas: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    open_names = list(names)
    while open_names:
        name = open_names.pop()
        if name not in found:
            found[name] = with_rules(name, strict(schemas[name]))
            open_names.extend(_references(found[name]))
    return dict(sorted(found.items()))


def _references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"].rpartition("/")[2]] if isinstance(node.get("$ref"), str) else []
        return own + [name for value in node.values() for name in _references(value)]
    return [name for value in node for name in _references(value)] if isinstance(node, list) else []


if __name__ == "__main__":
    document = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Made by make_schema.py from calendar.v3.json, revision {document['revision']}.",
        "$defs": reached(document["schemas"], ANSWERS),
    }
    json.dump(schema, sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
