"""The event: one entry of a DICOM change feed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

__all__ = ["Action", "DicomChangeEvent", "State"]


class Action(StrEnum):
    """What happened to the SOP Instance."""

    UNKNOWN = "UNKNOWN"
    """The producer could not read the entry, or a later schema's action that this release does not know."""
    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


class State(StrEnum):
    """How the SOP Instance stood when the producer read the entry: not a fact of the change itself."""

    UNKNOWN = "UNKNOWN"
    CURRENT = "CURRENT"
    """This change is the instance's latest."""
    REPLACED = "REPLACED"
    """A later change of the instance exists."""
    DELETED = "DELETED"
    """The instance does not exist any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomChangeEvent:
    """One change of one SOP Instance. Field by field the Avro record of the same name, whose docs are the reference."""

    feed: str
    sequence: int
    partition_name: str | None
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    action: Action
    state: State
    timestamp: datetime
    """Aware, UTC, microseconds."""
    file_path: str | None
    metadata: str | None
    """One data set in the DICOM JSON model (PS3.18 annex F), or None."""
