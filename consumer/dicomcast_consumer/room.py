"""How much of the partitions is in memory, and of which to fetch more. Pure.

The bytes are shared (G6: memory is bounded whatever the backlog, and however many partitions a member has). A partition
may take what the others leave, so that the runs of its studies are long; once all is taken, each keeps a small part for
which it need not wait. Full at a high mark, nothing more is fetched until a low one is reached, half of a partition's
or seven eighths of all: a partition does not flutter between the two.
"""

from dataclasses import dataclass

__all__ = ["Bounds", "Room", "Rooms"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much may wait in memory."""

    max_records: int
    """Of one partition."""
    max_bytes: int
    """Of all of them together; beyond it each may have a fourth of an equal part more."""
    min_bytes: int = 65_536
    """Of one partition, in any case."""


class Rooms:
    """What the partitions of a member share."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.partitions = 0
        self.full = False
        """Whether a partition may only have its small part."""
        self._bytes = 0

    @property
    def least_bytes(self) -> int:
        """What a partition may take in any case."""
        return max(self.bounds.max_bytes // (4 * max(self.partitions, 1)), self.bounds.min_bytes)

    def open(self) -> "Room":
        """That of one more partition."""
        self.partitions += 1
        return Room(self)

    def change(self, size: int) -> None:
        """So many more bytes are in memory; fewer where it is negative."""
        self._bytes += size
        most = self.bounds.max_bytes
        self.full = _still_full(self.full, self._bytes, most, low=most * 7 // 8)


class Room:
    """The records of one assignment that were handed over and are not finished."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._records = self._bytes = 0
        self._full = False
        self._has_its_part = False
        self._on_hold = False

    @property
    def closed(self) -> bool:
        """Whether nothing more is to be fetched: it is full, all are and it has its part, or it is on hold."""
        return self._full or self._on_hold or (self._rooms.full and self._has_its_part)

    def take(self, *, records: int, size: int) -> None:
        """So much more is in memory."""
        self._change(records, size)

    def give_back(self, *, records: int, size: int) -> None:
        """So much less."""
        self._change(-records, -size)

    def leave(self) -> None:
        """The assignment is over: what it took is the others' again."""
        self._rooms.partitions -= 1
        self._rooms.change(-self._bytes)

    def hold(self) -> None:
        """Nothing more, whatever room there is, until `resume`."""
        self._on_hold = True

    def resume(self) -> None:
        """Ends `hold`."""
        self._on_hold = False

    def _change(self, records: int, size: int) -> None:
        self._records += records
        self._bytes += size
        self._rooms.change(size)
        most, least = self._rooms.bounds.max_records, self._rooms.least_bytes
        self._full = _still_full(self._full, self._records, most, low=most // 2)
        self._has_its_part = _still_full(self._has_its_part, self._bytes, least, low=least // 2)


def _still_full(was: bool, now: int, most: int, *, low: int) -> bool:
    return now >= most or (was and now > low)
