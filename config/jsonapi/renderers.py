"""Documents out: JSON:API, under either of its two media types."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from rest_framework.serializers import BaseSerializer, ListSerializer
from rest_framework.utils.encoders import JSONEncoder
from rest_framework_json_api.renderers import JSONRenderer as BaseJSONAPIRenderer
from rest_framework_json_api.utils import get_resource_name, is_relationship_field


class JSONAPIRenderer(BaseJSONAPIRenderer):
    """Serializer data becomes resource objects; `{"errors": …}` and ready documents stay as they are.

    Resources without relationships, which are all of ours, are put in their envelope here: the library looks for
    relationships and inclusions in each row, which took longer than all the rest of a list.
    """

    media_type = "application/vnd.api+json"
    format = "vnd.api+json"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> Any:
        if data is None:
            return b""
        rows = data["results"] if isinstance(data, dict) and "results" in data else data
        serializer = getattr(rows, "serializer", None)
        if serializer is None:
            return _written(data)
        if _has_relationships(_of_one(serializer)):
            return super().render(data, accepted_media_type, renderer_context)
        name = get_resource_name(renderer_context)
        document: dict[str, Any] = {
            "data": [_resource(name, row) for row in rows] if isinstance(rows, list) else _resource(name, rows)
        }
        if rows is not data:
            document["meta"] = data["meta"]
        return _written(document)


class PlainJSONRenderer(JSONAPIRenderer):
    """The same document as application/json: what the published SDK asks for, and the answer to `Accept: */*`."""

    media_type = "application/json"
    format = "json"


def _written(document: Any) -> bytes:
    """The document as JSON in UTF-8."""
    try:
        return orjson.dumps(document, default=_other)
    # Callers may keep any number in their own metadata, and orjson writes none of more than 64 bits.
    except orjson.JSONEncodeError:
        return json.dumps(document, cls=JSONEncoder).encode()


def _resource(name: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON:API §Resource Objects. A serializer's `id` and `links` stand beside the attributes, not among them."""
    attributes = dict(row)
    resource = {"type": name, "id": str(attributes.pop("id")), "attributes": attributes}
    links = attributes.pop("links", None)
    if links:
        resource["links"] = links
    return resource


def _of_one(serializer: BaseSerializer[Any]) -> Any:
    return type(serializer.child if isinstance(serializer, ListSerializer) else serializer)


@lru_cache(maxsize=64)
def _has_relationships(serializer_class: type[Any]) -> bool:
    fields = getattr(serializer_class(), "fields", {})
    return any(is_relationship_field(field) for field in fields.values())


def _other(value: Any) -> Any:
    """What orjson does not know: lazy texts, decimals, durations."""
    return JSONEncoder().default(value)
