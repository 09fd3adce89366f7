"""Documents out: JSON:API, under either of its two media types."""

from collections.abc import Mapping
from typing import Any

from rest_framework.renderers import JSONRenderer as DRFJSONRenderer
from rest_framework_json_api.renderers import JSONRenderer as BaseJSONAPIRenderer


class JSONAPIRenderer(BaseJSONAPIRenderer):
    """Serializer data becomes resource objects; `{"errors": …}` and ready documents stay as they are."""

    media_type = "application/vnd.api+json"
    format = "vnd.api+json"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> Any:
        ready = isinstance(data, dict) and not hasattr(data, "serializer") and "results" not in data
        if data is None or ready:
            return DRFJSONRenderer().render(data, "application/json", renderer_context)
        return super().render(data, accepted_media_type, renderer_context)


class PlainJSONRenderer(JSONAPIRenderer):
    """The same document as application/json: what the published SDK asks for, and the answer to `Accept: */*`."""

    media_type = "application/json"
    format = "json"
