"""Which offset of a partition may be committed. Pure.

The committed offset is where a restarted member begins: everything before it is in FHIR or acknowledged by the
dead-letter topic (G3). Offsets are ascending but not contiguous: transaction markers and aborted records take offsets
too, so the way past the last record is the consumer's own position, handed over together with the records before it.
"""

from collections import deque
from collections.abc import Iterable

__all__ = ["PartitionOffsets"]


class PartitionOffsets:
    """The received and finished offsets of one partition in one assignment."""

    def __init__(self, begin: int | None = None) -> None:
        """`begin`: where the partition begins, when that is not committed yet."""
        self._unfinished: deque[int] = deque()
        self._finished: set[int] = set()
        self._highest: int | None = None
        self._position = begin
        self._floor: int | None = None

    def receive(self, offsets: Iterable[int], *, position: int | None) -> None:
        """Notes offsets in ascending order, and the consumer's position after them (None when it has none yet)."""
        for offset in offsets:
            if self._highest is not None and offset <= self._highest:
                raise ValueError(f"offset {offset} received after {self._highest}")
            self._highest = offset
            self._unfinished.append(offset)
        if position is not None:
            self._position = position

    def finish(self, offset: int) -> None:
        """Notes that the record at `offset` is in FHIR, without effect, or an acknowledged dead letter."""
        self._finished.add(offset)
        while self._unfinished and self._unfinished[0] in self._finished:
            self._finished.remove(self._unfinished.popleft())

    def committable(self) -> int | None:
        """The offset to commit: the lowest unfinished one; with none, the position. Never lower than before."""
        candidate = self._unfinished[0] if self._unfinished else self._after_all()
        if candidate is not None and (self._floor is None or candidate > self._floor):
            self._floor = candidate
        return self._floor

    def _after_all(self) -> int | None:
        after = None if self._highest is None else self._highest + 1
        if after is None or self._position is None:
            return self._position if after is None else after
        return max(self._position, after)

    @property
    def span(self) -> int:
        """Distance from the lowest unfinished to the highest received offset: what a restart would read again."""
        return 0 if not self._unfinished or self._highest is None else self._highest - self._unfinished[0]
