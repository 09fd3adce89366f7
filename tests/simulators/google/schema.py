"""Holds every simulated answer against Google's own description of it (schema.json, see make_schema.py)."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

_SCHEMA = json.loads(Path(__file__).with_name("schema.json").read_text("utf-8"))
_known: set[str] = set()


def check(kind: str, answer: dict[str, Any]) -> None:
    """Raises `jsonschema.ValidationError` unless `answer` is one; an event that was checked before is not again."""
    items = answer.get("items", []) if kind == "Events" else []
    _validator(kind).validate({**answer, "items": []} if items else answer)
    for item in items:
        text = json.dumps(item)
        if text not in _known:
            _validator("Event").validate(item)
            _known.add(text)


@cache
def _validator(kind: str) -> Draft202012Validator:
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator({**_SCHEMA, "$ref": f"#/$defs/{kind}"}, format_checker=checker)
