"""Where reading the feed stands. Frozen values; what is stored of them is the cursor's affair."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dicomcast_schemas import Action

from .entry import FeedEntry

__all__ = ["Idle", "LastEntry", "Page", "Position", "SequenceRange", "last_entry", "sequence_ranges"]

SequenceRange = tuple[int, int]
"""First and last sequence of a run without holes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastEntry:
    """What never changes of a published entry: read again, it tells whether this is still the same feed."""

    sequence: int
    timestamp: datetime
    action: Action
    sop_instance_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the feed has been read."""

    sequence: int
    """API v1: every entry up to it. API v2: the highest that was read."""
    read_to: datetime | None = None
    """API v2: the newest timestamp that was read; all before it was read, but what appears late. None: nothing yet."""
    sent: tuple[SequenceRange, ...] = ()
    """API v2: the sequences read whose timestamp lies in the overlap before `read_to`."""
    sent_from: datetime | None = None
    """API v2: `sent` has all that was read of since then. None, in an older cursor: of the configured overlap."""
    last: LastEntry | None = None
    """The last entry read that could be understood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries to publish, in feed order, and the position once they are."""

    entries: tuple[FeedEntry, ...]
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """Nothing to publish now; ask again after `wait_s`."""

    wait_s: float
    drained: bool
    """Whether everything the feed has was read; otherwise a hole in it must settle first."""


def last_entry(entries: Iterable[FeedEntry], before: LastEntry | None) -> LastEntry | None:
    """Of the last entry that was understood, or `before`."""
    understood = [entry.event for entry in entries if entry.event.action is not Action.UNKNOWN]
    if not understood:
        return before
    event = understood[-1]
    return LastEntry(
        sequence=event.sequence,
        timestamp=event.timestamp,
        action=event.action,
        sop_instance_uid=event.sop_instance_uid,
    )


def sequence_ranges(sequences: Iterable[int]) -> tuple[SequenceRange, ...]:
    """The sequences as ascending ranges."""
    ranges: list[SequenceRange] = []
    for sequence in sorted(set(sequences)):
        if ranges and ranges[-1][1] == sequence - 1:
            ranges[-1] = (ranges[-1][0], sequence)
        else:
            ranges.append((sequence, sequence))
    return tuple(ranges)
