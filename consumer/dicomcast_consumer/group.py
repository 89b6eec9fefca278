"""Runs on their way to FHIR together."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from .errors import RevokedError
from .lanes import Run
from .record import Record

__all__ = ["ApplyGroup", "Group"]


@dataclass(slots=True, eq=False)
class Group:
    """Runs of one assignment of one partition, in one task."""

    runs: tuple[Run, ...]
    revoked: bool = False
    stuck: bool = False
    """The dead-letter topic refuses a letter: the partition waits, and the others must not wait with it."""
    at_source: bool = False
    """Its one study waits for metadata of the DICOM server, and the others must not wait with it."""
    held: bool = False
    """What is left of it was refused while most studies are, and what was not refused must not wait for it."""
    without_effect: set[int] = field(default_factory=set)
    """Offsets of events that a rule passes over: of an ignored data partition, or not mapped."""
    _writing: int = 0

    @classmethod
    def apart(cls, runs: Sequence[Run]) -> "list[Group]":
        """Together, but each run of which metadata must be asked for by itself."""
        asking = [run for run in runs if any(record.lacks_metadata for record in run.records)]
        together = [run for run in runs if run not in asking] if asking else runs
        groups = [cls(tuple(together))] if together else []
        return groups + [cls((run,), at_source=True) for run in asking]

    @classmethod
    def of(cls, records: Sequence[Record]) -> "Group":
        """For a command that owns no partition: records of one partition, in order; a run for each study."""
        lanes: dict[bytes, list[Record]] = {}
        for record in records:
            lanes.setdefault(record.lane, []).append(record)
        partition = records[0].partition
        return cls(
            tuple(Run(partition=partition, epoch=0, lane=lane, records=tuple(run)) for lane, run in lanes.items())
        )

    @property
    def partition(self) -> int:
        """The partition of all its runs."""
        return self.runs[0].partition

    @property
    def epoch(self) -> int:
        """The assignment of all its runs."""
        return self.runs[0].epoch

    @property
    def writes(self) -> bool:
        """Whether a write is under way, which must not be cut off."""
        return self._writing > 0

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around a write. Raises RevokedError instead of beginning one after the partition was revoked."""
        if self.revoked:
            raise RevokedError
        self._writing += 1
        try:
            yield
        finally:
            self._writing -= 1


class ApplyGroup(Protocol):
    """What a task does with a group."""

    async def __call__(self, group: Group) -> Counter[str]:
        """Returns once every event is in FHIR, without effect, or an acknowledged dead letter: how many met which fate.

        Raises RevokedError when the partition was taken away, UnfitRecordError when it must stop at one of the records.
        """
