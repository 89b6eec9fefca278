"""Whether a writer's schema from a Schema Registry may be read by: Avro lets one ask for more than a record has.

A schema that refers to itself nests as deep as the bytes say (fastavro then overflows the C stack, which ends the
process), and an array of `null` has as many items as the bytes say without taking any. So every value must take a byte,
nothing may nest in itself, and depth and length are bounded: reading a record costs no more than its length.
"""

import json
from functools import lru_cache
from typing import Any, Final

import fastavro

from .errors import MalformedRecordError

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "writer_schema"]

MAX_CHARACTERS: Final = 1_000_000
MAX_DEPTH: Final = 32

_NAMED: Final = ("record", "error", "enum", "fixed")
_PRIMITIVE: Final = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")


def writer_schema(schema_json: str) -> Any:
    """The parsed schema. Raises MalformedRecordError when it is not one that a record of ours can have."""
    found = _parsed(schema_json)
    if isinstance(found, str):
        raise MalformedRecordError(f"the schema of its id is not one of DicomChangeEvent: {found}")
    return found


@lru_cache(maxsize=64)
def _parsed(schema_json: str) -> Any:
    """The schema, or why not."""
    if len(schema_json) > MAX_CHARACTERS:
        return f"longer than {MAX_CHARACTERS} characters"
    try:
        tree = json.loads(schema_json)
        if not isinstance(tree, dict) or tree.get("type") != "record":
            return "not a record"
        _height(tree, {})
        return fastavro.parse_schema(tree)
    except _RefusedError as refused:
        return str(refused)
    except Exception as error:  # the parsers raise what the text leads them into, KeyError to RecursionError
        return type(error).__name__


class _RefusedError(Exception):
    """Why not."""


def _height(node: Any, named: dict[str, int]) -> int:
    """How deep a value nests. `named`: that of the names whose definition has ended, 0 for one that has not."""
    if isinstance(node, list):
        # A branch's number takes a byte, so here a null may be.
        found = 1 + max((0 if branch == "null" else _height(branch, named) for branch in node), default=0)
    elif isinstance(node, dict) and node.get("type") in _NAMED:
        found = _height_of_named(node, named)
    elif isinstance(node, dict):
        found = 1 + _height(node.get("items", node.get("values", node.get("type"))), named)
    elif node == "null":
        raise _RefusedError("a null outside of a union")
    elif node in _PRIMITIVE:
        found = 1
    else:
        found = named.get(_bare(node), 0)
        if not found:
            raise _RefusedError("a type is used before its definition has ended")
    if found > MAX_DEPTH:
        raise _RefusedError(f"deeper than {MAX_DEPTH}")
    return found


def _height_of_named(node: dict[str, Any], named: dict[str, int]) -> int:
    name = _bare(node["name"])
    if name in named:  # by their last part: which of them a name means is not looked into
        raise _RefusedError("two types have one name")
    named[name] = 0
    fields = node["fields"] if node["type"] in ("record", "error") else ()
    if not (fields or node["type"] == "enum" or node.get("size", 0) > 0):
        raise _RefusedError("a type without a byte")
    named[name] = 1 + max((_height(field["type"], named) for field in fields), default=0)
    return named[name]


def _bare(name: str) -> str:
    return name.rpartition(".")[2]
