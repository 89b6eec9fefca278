"""JSON as FHIR needs it: decimals keep their digits (R4 json.html#primitive), what is empty does not exist."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

JsonObject: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Digits:
    """A decimal as it was written: 1.50 is not 1.5."""

    text: str


def parse_object(text: bytes) -> JsonObject:
    """The object in `text` without its empty parts (null, "", [], {}); ValueError when it is not a JSON object."""
    parsed = json.loads(text, parse_float=Digits, parse_constant=_no_constant)
    if not isinstance(parsed, dict):
        raise ValueError("the content is not a JSON object")
    return _without_empty(parsed)


def dump(content: JsonObject, *, pretty: bool = False) -> bytes:
    """UTF-8 text."""
    option = orjson.OPT_PASSTHROUGH_DATACLASS | (orjson.OPT_INDENT_2 if pretty else 0)
    return orjson.dumps(content, default=_fragment, option=option)


def copied(content: JsonObject) -> JsonObject:
    """A copy that may be changed without changing `content`."""
    return {name: _copied(value) for name, value in content.items()}


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return copied(value)
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _without_empty(content: JsonObject) -> JsonObject:
    kept = ((name, _pruned(value)) for name, value in content.items())
    return {name: value for name, value in kept if value not in (None, "", [], {})}


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return _without_empty(value)
    if isinstance(value, list):
        # null holds a place in an array of primitives (the sibling `_name` array may extend it).
        items = [_pruned(item) for item in value]
        return items if any(item is None for item in items) else [item for item in items if item not in ("", {})]
    return value


def _fragment(value: object) -> orjson.Fragment:
    if isinstance(value, Digits):
        return orjson.Fragment(value.text)
    raise TypeError(type(value).__name__)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
