"""Avro as someone writes it who means harm: by hand, with lengths and schemas that say more than there is."""

import json
from typing import Any

from dicomcast_schemas import FINGERPRINT, SCHEMA_JSON

__all__ = ["HOSTILE_BYTES", "HOSTILE_SCHEMAS", "OURS", "confluent", "long", "with_field"]

OURS = b"\xc3\x01" + FINGERPRINT
"""What our own framing begins with."""


def long(number: int) -> bytes:
    """Zigzag and variable length (Avro specification, Binary Encoding)."""
    rest = (number << 1 ^ number >> 63) & (1 << 64) - 1
    out = b""
    while rest > 0x7F:
        out += bytes([rest & 0x7F | 0x80])
        rest >>= 7
    return out + bytes([rest])


def confluent(schema_id: int, body: bytes) -> bytes:
    """Confluent's framing."""
    return b"\0" + schema_id.to_bytes(4, "big") + body


def with_field(avro_type: Any) -> str:
    """Our schema with one more field, before all others."""
    schema = json.loads(SCHEMA_JSON)
    schema["fields"].insert(0, {"name": "added", "type": avro_type})
    return json.dumps(schema)


def _nested(depth: int) -> Any:
    found: Any = "string"
    for _ in range(depth):
        found = {"type": "array", "items": found}
    return found


def _chain(length: int) -> Any:
    """Records each of which holds the one before: flat to look at, deep to read."""
    fields: list[Any] = [{"name": "f0", "type": {"type": "record", "name": "R0", "fields": [_LEAF]}}]
    for n in range(1, length):
        one = {"type": "record", "name": f"R{n}", "fields": [{"name": "x", "type": f"R{n - 1}"}]}
        fields.append({"name": f"f{n}", "type": one})
    return {"type": "record", "name": "Chain", "fields": fields}


_LEAF = {"name": "x", "type": "long"}
_LIST = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
_BLANK = {"type": "record", "name": "Blank", "fields": []}
_TEXT = long(4) + b"main"

HOSTILE_BYTES: dict[str, bytes] = {
    "nothing after the framing": OURS,
    "cut off in a text": OURS + long(40) + b"main",
    "wrong magic": b"\xc3\x02" + FINGERPRINT + _TEXT,
    "JSON": b'{"feed": "main"}',
    "a text of 2^60 bytes": OURS + long(2**60) + b"main",
    "a text of the highest length": OURS + long(2**63 - 1) + b"main",
    "a text of a negative length": OURS + long(-5) + b"main" * 20,
    "a text of the lowest length": OURS + long(-(2**63)) + b"main" * 20,
    "text that is not UTF-8": OURS + long(3) + b"\xff\xfe\xfd" + b"\0" * 40,
    "a number without end": OURS + b"\xff" * 900_000,
    "a branch that the union has not": OURS + _TEXT + long(1) + long(7),
    "a symbol that the enum has not": OURS + _TEXT + long(1) + long(0) + (long(1) + b"1") * 3 + long(99) + b"\0" * 20,
    "a time beyond all years": OURS
    + (_TEXT + long(1) + long(0) + (long(1) + b"1") * 3 + long(1) + long(1) + long(2**62) + b"\0" * 2),
    "no body in Confluent's framing": b"\0\0\0\0",
}
"""Values of records that are no event, whatever schemas there are."""

HOSTILE_SCHEMAS: dict[str, tuple[str, bytes]] = {
    "an array of 2^60 nulls": (with_field({"type": "array", "items": "null"}), long(2**60)),
    "an array of 2^60 records without fields": (with_field({"type": "array", "items": _BLANK}), long(2**60)),
    "an array of 2^60 fixed of no bytes": (
        with_field({"type": "array", "items": {"type": "fixed", "name": "Void", "size": 0}}),
        long(2**60),
    ),
    "an array block of 2^60 doubles": (with_field({"type": "array", "items": "double"}), long(2**60) + b"x" * 20),
    "an array block of 2^60 truths": (with_field({"type": "array", "items": "boolean"}), long(2**60) + b"\1" * 20),
    "an array block of 2^60 texts": (with_field({"type": "array", "items": "string"}), long(2**60) + b"\2x" * 1000),
    "an array block of -2^60 texts": (
        with_field({"type": "array", "items": "string"}),
        long(-(2**60)) + long(-9) + b"\2x" * 1000,
    ),
    "a map block of 2^60 entries": (with_field({"type": "map", "values": "long"}), long(2**60) + b"\2x\2" * 1000),
    "a map of -2^63 nulls": (with_field({"type": "map", "values": "null"}), long(-(2**63)) + long(2**61)),
    "a list nested as deep as it is long": (with_field(_LIST), long(1) * 500_000),
    "arrays nested 300 deep": (with_field(_nested(300)), long(1) * 300),
    "a chain of 5,000 records": (with_field(_chain(5_000)), b"\2" * 5_000),
    "a fixed of 2^40 bytes": (with_field({"type": "fixed", "name": "Huge", "size": 2**40}), b"x" * 1000),
    "JSON nested 1,000,000 deep": ("[" * 1_000_000, b""),
    "JSON of 2,000,000 characters": (" " * 2_000_000 + SCHEMA_JSON, b""),
    "no JSON": ("<html>", b""),
    "no record": ('"string"', long(1) + b"x"),
    "a type that there is not": ('{"type": "record", "name": "X", "fields": [{"name": "a", "type": "nope"}]}', b"\2"),
    "another record": ('{"type": "record", "name": "X", "fields": [{"name": "a", "type": "long"}]}', long(1)),
}
"""A schema that the registry gives, and the body of a record that names it."""
