"""Bodies in: wrapped as the API document shows, flat as the SDK sends, or a JSON:API document."""

import json
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from config.jsonapi.errors import BodyTooLarge

JSON_MEDIA_TYPES = ("application/json", "application/vnd.api+json")
MAX_DEPTH = 32


class BodyParser(BaseParser):
    """Yields the attributes as one flat dict, whichever of the three ways they were wrapped."""

    media_type = "application/*"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Raises DRF's ParseError (400) for what is not JSON, and `BodyTooLarge` (413)."""
        try:
            raw = (parser_context or {})["request"]._request.body
        except RequestDataTooBig:
            raise BodyTooLarge(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) from None
        if not raw.strip():
            return {}
        view = (parser_context or {}).get("view")
        return unwrapped(decoded(raw), wrapper=getattr(view, "body_name", getattr(view, "resource_name", "")))


def decoded(raw: bytes) -> Any:
    """JSON with unique keys, no NaN and bounded depth; raises ParseError that says what is wrong."""
    try:
        value = json.loads(raw, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise ParseError("The JSON is nested too deeply.") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise ParseError(f"The body is not valid JSON: {error}"[:300]) from None
    if _deeper_than(value, MAX_DEPTH):
        raise ParseError(f"The JSON is nested more than {MAX_DEPTH} levels deep.")
    return value


def unwrapped(document: Any, *, wrapper: str) -> dict[str, Any]:
    """The attributes in `document`; raises ParseError when it is not an object."""
    if not isinstance(document, dict):
        raise ParseError("The body must be a JSON object.")
    data = document.get("data")
    if isinstance(data, dict) and isinstance(data.get("attributes"), dict):
        return dict(data["attributes"])
    inner = document.get(wrapper)
    if isinstance(inner, dict):
        return dict(inner)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names the same key twice")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True
