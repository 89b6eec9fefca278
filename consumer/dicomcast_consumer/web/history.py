"""How the group went over the last hour, from samples. Pure.

Offsets are counted, so transaction markers of the producer count as records: rates are a little high, never low.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ..status import GroupStatus

__all__ = ["BUCKET_S", "WINDOW_S", "Point", "Sample", "kept", "points", "sample_of"]

WINDOW_S: Final = 3600.0
BUCKET_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look: by partition where the group reads on, and the end of the log."""

    at_s: float
    """Seconds since the epoch."""
    reads_on: Mapping[int, int]
    ends: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The end of one interval, with the rates over it."""

    at_s: float
    lag: int
    applied_per_s: float
    arrived_per_s: float


def sample_of(status: GroupStatus, at_s: float) -> Sample:
    """What of a status is kept."""
    return Sample(
        at_s=at_s,
        reads_on={each.partition: each.end - each.lag for each in status.partitions},
        ends={each.partition: each.end for each in status.partitions},
    )


def kept(samples: Sequence[Sample], new: Sample) -> tuple[Sample, ...]:
    """The samples with a new one, without those older than the window."""
    return (*(each for each in samples if each.at_s > new.at_s - WINDOW_S - BUCKET_S), new)


def points(samples: Sequence[Sample], *, partition: int | None = None) -> list[Point]:
    """One point for each half minute that was sampled, of one partition or of all together."""
    last = _last_of_each(samples)
    return [_point(before, after, partition) for before, after in itertools.pairwise(last)]


def _last_of_each(samples: Sequence[Sample]) -> list[Sample]:
    """The first sample of all, then the last one of each interval."""
    by_interval = {int(each.at_s // BUCKET_S): each for each in samples}
    first = list(samples[:1])
    return first + [each for each in by_interval.values() if each is not samples[0]]


def _point(before: Sample, after: Sample, partition: int | None) -> Point:
    chosen = [p for p in after.ends if partition is None or p == partition]
    seconds = max(after.at_s - before.at_s, 0.001)
    return Point(
        at_s=after.at_s,
        lag=sum(max(0, after.ends[p] - after.reads_on[p]) for p in chosen),
        applied_per_s=sum(_grown(before.reads_on, after.reads_on, p) for p in chosen) / seconds,
        arrived_per_s=sum(_grown(before.ends, after.ends, p) for p in chosen) / seconds,
    )


def _grown(before: Mapping[int, int], after: Mapping[int, int], partition: int) -> int:
    """Never below 0: an offset that was set back applies nothing."""
    return max(0, after[partition] - before.get(partition, after[partition]))
