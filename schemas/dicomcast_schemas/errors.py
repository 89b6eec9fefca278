"""What can go wrong with a record of the topic.

    ContractError                  the contract between producer and reader is broken: stop, do not skip
    ├── UnknownSchemaError         a fingerprint or schema id this reader does not know: upgrade the reader
    └── MalformedRecordError       bytes that no released schema produces: not ours, or damaged

A record that raises UnknownSchemaError must never be decoded with another schema (Avro then gives wrong values
without an error) and never be put aside as a dead letter: it is readable by the next release.
"""

__all__ = ["ContractError", "MalformedRecordError", "UnknownSchemaError"]


class ContractError(Exception):
    """The contract of the topic does not hold."""


class UnknownSchemaError(ContractError):
    """The record names a writer's schema that this release does not know."""

    def __init__(self, schema: str) -> None:
        super().__init__(f"unknown schema {schema}: upgrade this reader before the producer that wrote the record")
        self.schema = schema


class MalformedRecordError(ContractError):
    """The record's value is not an encoded DicomChangeEvent."""
