"""What a chaos run leaves behind, as frozen values: the oracle's input."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dicomcast_schemas import DicomChangeEvent

__all__ = ["Evidence", "FeedRow", "Letter", "Sample", "TopicRecord", "Transaction", "Written"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedRow:
    """One change as the DICOM server logged it."""

    sequence: int
    action: str
    study: str
    series: str
    sop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRecord:
    """A record of the topic that a read_committed reader gets."""

    partition: int
    offset: int
    key: str
    event: DicomChangeEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter: of which record, and why."""

    partition: int
    offset: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A version of a resource; `resource` is None for a deletion."""

    type: str
    id: str
    number: int
    resource: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What the FHIR server wrote at once, before it answered."""

    at_s: float
    versions: tuple[Written, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The group's offsets, no newer than `at_s`; those of a replay may go back."""

    at_s: float
    offsets: Mapping[int, int]
    is_replay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All of it."""

    rows: Sequence[FeedRow]
    live: Mapping[str, int]
    """SOP Instance UID → instance number, of what the DICOM server holds at the end."""
    records: Sequence[TopicRecord]
    """In partition order."""
    letters: Sequence[Letter]
    transactions: Sequence[Transaction]
    """In the order of their time."""
    samples: Sequence[Sample]
    """Likewise."""
    ends_lost: Mapping[int, int] = field(default_factory=dict)
    """Partition → how often a producer said that Kafka had lost the end of a transaction there (see repeats)."""
