"""Bodies in: wrapped as the API document shows, flat as the SDK sends, or a JSON:API document."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import UnreadablePostError
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from config.jsonapi.errors import BodyTooLarge

MAX_DEPTH = 32


class JSONBodyParser(BaseParser):
    """Yields the attributes as one flat dict, whichever of the three ways they were wrapped."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Raises DRF's ParseError (400) for what is not JSON, and `BodyTooLarge` (413)."""
        try:
            raw = (parser_context or {})["request"]._request.body
        except RequestDataTooBig:
            raise BodyTooLarge(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) from None
        except UnreadablePostError:
            raise ParseError("The body ended early.") from None
        if not raw.strip():
            return {}
        view = (parser_context or {}).get("view")
        wrapper: str = getattr(view, "body_name", None) or getattr(view, "resource_name", None) or ""
        return unwrapped(decoded(raw), wrapper=wrapper)


class JSONAPIBodyParser(JSONBodyParser):
    """The same under JSON:API's own media type."""

    media_type = "application/vnd.api+json"


def decoded(raw: bytes) -> Any:
    """JSON in UTF-8 (RFC 8259 §8.1) with unique keys, finite numbers, bounded depth, and text that a database can keep.

    Raises ParseError that says what is wrong, without quoting the body.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ParseError(f"The body is not UTF-8: see byte {error.start}.") from None
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole
        )
    except RecursionError:
        raise ParseError("The JSON is nested too deeply.") from None
    except json.JSONDecodeError as error:
        raise ParseError(f"The body is not valid JSON: {error}.") from None
    except ValueError as error:
        raise ParseError(f"The body cannot be read: {error}.") from None
    _check_tree(value)
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


def _whole(text: str) -> int:
    try:
        return int(text)
    # Python reads no more than some thousands of digits, and its own words say how to lift that.
    except ValueError:
        raise ValueError("a number is out of range") from None


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("a number is out of range")
    return number


def _check_tree(value: Any) -> None:
    """Level by level, so that no depth can exhaust the stack."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        deeper: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, dict):
                deeper.extend(item)
                deeper.extend(item.values())
            elif isinstance(item, list):
                deeper.extend(item)
        if not deeper:
            return
        level = deeper
    raise ParseError(f"The JSON is nested more than {MAX_DEPTH} levels deep.")


def _check_text(text: str) -> None:
    """PostgreSQL keeps neither NUL nor half of a surrogate pair."""
    if "\0" in text:
        raise ParseError("Text must not hold NUL characters (\\u0000).")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ParseError("Text must not hold halves of surrogate pairs (\\ud800 to \\udfff alone).")
