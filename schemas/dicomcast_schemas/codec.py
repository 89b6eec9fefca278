"""Bytes to event and back, in both framings.

    0xC3 0x01 + 8 bytes CRC-64-AVRO fingerprint + Avro   single-object encoding (Avro specification): no registry needed
    0x00 + 4 bytes schema id, big-endian + Avro          Confluent wire format: the id is resolved by a Schema Registry

`decode` takes either. The writer's schema is always known exactly before a byte of Avro is read: from the released
schemas in this package, or from the registry (writer_schema says which of those it takes).
"""

import io
import json
from collections.abc import Callable
from datetime import datetime
from importlib.resources import files
from typing import Any, Final

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from .errors import MalformedRecordError, UnknownSchemaError
from .event import Action, DicomChangeEvent, State
from .writer_schema import writer_schema

__all__ = ["FINGERPRINT", "SCHEMA_JSON", "SchemaById", "decode", "encode"]

SchemaById = Callable[[int], str]
"""Gives the Avro schema (JSON text) of a Schema Registry id; raises LookupError for an unknown id."""

RELEASED: Final = ("dicom_change_event.avsc",)
"""Every schema a producer was ever released with, the newest first. A file is added, never changed or removed."""

_SINGLE_OBJECT: Final = b"\xc3\x01"
_CONFLUENT: Final = b"\x00"


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _fingerprint(schema: Any) -> bytes:
    # fastavro gives the bytes little-endian, as the framing wants them.
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


SCHEMA_JSON: Final = _read(RELEASED[0])
"""The schema this release writes, as JSON text with its docs: what is registered."""

_SCHEMA: Final = fastavro.parse_schema(json.loads(SCHEMA_JSON))
_WRITERS: Final = {_fingerprint(s): fastavro.parse_schema(s) for s in (json.loads(_read(name)) for name in RELEASED)}

FINGERPRINT: Final = _fingerprint(json.loads(SCHEMA_JSON))
"""CRC-64-AVRO of the schema this release writes, in the order the framing has it."""


def encode(event: DicomChangeEvent, *, schema_id: int | None = None) -> bytes:
    """The record's value: Confluent wire format when a schema id is given, else Avro single-object encoding."""
    out = io.BytesIO()
    out.write(_SINGLE_OBJECT + FINGERPRINT if schema_id is None else _CONFLUENT + schema_id.to_bytes(4, "big"))
    fastavro.schemaless_writer(
        out,
        _SCHEMA,
        {
            "feed": event.feed,
            "sequence": event.sequence,
            "partition_name": event.partition_name,
            "study_instance_uid": event.study_instance_uid,
            "series_instance_uid": event.series_instance_uid,
            "sop_instance_uid": event.sop_instance_uid,
            "action": event.action.value,
            "state": event.state.value,
            "timestamp": event.timestamp,
            "file_path": event.file_path,
            "metadata": event.metadata,
        },
    )
    return out.getvalue()


def decode(value: bytes | None, *, schema_by_id: SchemaById | None = None) -> DicomChangeEvent:
    """The event of a record's value.

    `schema_by_id` resolves the ids of the Confluent wire format; without it such a record raises UnknownSchemaError.
    Raises UnknownSchemaError (stop: upgrade or configure the registry) or MalformedRecordError (not a record of ours).
    """
    if not value:
        raise MalformedRecordError("the record has no value; a deletion is an event, not a tombstone")
    if value[:2] == _SINGLE_OBJECT:
        writer = _WRITERS.get(value[2:10])
        if writer is None:
            raise UnknownSchemaError(f"fingerprint {value[2:10].hex()}")
        return _decode_avro(value[10:], writer)
    if value[:1] == _CONFLUENT and len(value) > 5:
        schema_id = int.from_bytes(value[1:5], "big")
        if schema_by_id is None:
            raise UnknownSchemaError(f"id {schema_id} (the record needs a Schema Registry and none is configured)")
        try:
            schema_json = schema_by_id(schema_id)
        except LookupError:
            raise UnknownSchemaError(f"id {schema_id} (the Schema Registry does not know it)") from None
        return _decode_avro(value[5:], writer_schema(schema_json))
    raise MalformedRecordError(f"a value of {len(value)} bytes starts with neither 0xC301 nor 0x00")


def _decode_avro(avro: bytes, writer: Any) -> DicomChangeEvent:
    """Read as it was written, then taken by name.

    Not by fastavro's own resolution: what that skips it does not hold against the end of the bytes, so that an array
    of 2^60 doubles is passed over one by one.
    """
    source = io.BytesIO(avro)
    try:
        written: Any = fastavro.schemaless_reader(source, writer, None)
    except Exception as error:  # fastavro raises whatever the damaged bytes lead it into, IndexError to MemoryError
        raise MalformedRecordError(f"not Avro of DicomChangeEvent: {type(error).__name__}") from error
    if source.tell() != len(avro):
        raise MalformedRecordError(f"{len(avro) - source.tell()} bytes after the end of the event")
    fields = {**_DEFAULTS, **written}
    for name, kinds in _KINDS.items():
        if name not in fields:
            raise MalformedRecordError(f"its schema has no {name}")
        if type(fields[name]) not in kinds:
            raise MalformedRecordError(f"{name} is a {type(fields[name]).__name__}")
    if fields["timestamp"].tzinfo is None:
        raise MalformedRecordError("timestamp has no zone")
    return DicomChangeEvent(
        **{name: fields[name] for name in _PLAIN},
        action=_ACTIONS.get(fields["action"], Action.UNKNOWN),
        state=_STATES.get(fields["state"], State.UNKNOWN),
    )


_ACTIONS: Final = {action.value: action for action in Action}
_STATES: Final = {state.value: state for state in State}
_TEXT: Final = (str,)
_OPTIONAL: Final = (str, type(None))
_KINDS: Final = {
    "feed": _TEXT,
    "sequence": (int,),
    "partition_name": _OPTIONAL,
    "study_instance_uid": _TEXT,
    "series_instance_uid": _TEXT,
    "sop_instance_uid": _TEXT,
    "action": _TEXT,
    "state": _TEXT,
    "timestamp": (datetime,),
    "file_path": _OPTIONAL,
    "metadata": _OPTIONAL,
}
"""What each field must be: a logical type of the writer's schema may make something else of a long or a string."""
_DEFAULTS: Final = {
    field["name"]: field["default"] for field in json.loads(SCHEMA_JSON)["fields"] if "default" in field
}
_PLAIN: Final = tuple(n for n in DicomChangeEvent.__dataclass_fields__ if n not in ("action", "state"))
