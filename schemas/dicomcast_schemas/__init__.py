"""The contract of the topic: what a record holds and what stands around it. All another team's reader needs."""

from .codec import FINGERPRINT, SCHEMA_JSON, SchemaById, decode, encode
from .errors import ContractError, MalformedRecordError, UnknownSchemaError
from .event import Action, DicomChangeEvent, State

__all__ = [
    "FINGERPRINT",
    "SCHEMA_JSON",
    "Action",
    "ContractError",
    "DicomChangeEvent",
    "MalformedRecordError",
    "SchemaById",
    "State",
    "UnknownSchemaError",
    "decode",
    "encode",
]
