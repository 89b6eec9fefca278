"""How much of a partition is in memory, and whether to fetch more of it. Pure.

Full at the high mark, it takes nothing until it is down to half: a partition does not flutter between the two (G6).
"""

from dataclasses import dataclass

__all__ = ["Bounds", "Room"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much of one partition may wait in memory."""

    max_records: int = 2_000
    max_bytes: int = 16 * 1024 * 1024


class Room:
    """The records of one assignment that were handed over and are not finished."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._records = self._bytes = 0
        self._full = False
        self._on_hold = False

    @property
    def closed(self) -> bool:
        """Whether nothing more is to be fetched: it is full, or on hold."""
        return self._full or self._on_hold

    def take(self, *, records: int, size: int) -> None:
        """So much more is in memory."""
        self._records += records
        self._bytes += size
        if self._records >= self._bounds.max_records or self._bytes >= self._bounds.max_bytes:
            self._full = True

    def give_back(self, *, records: int, size: int) -> None:
        """So much less."""
        self._records -= records
        self._bytes -= size
        if self._records <= self._bounds.max_records // 2 and self._bytes <= self._bounds.max_bytes // 2:
            self._full = False

    def hold(self) -> None:
        """Nothing more, whatever room there is, until `resume`."""
        self._on_hold = True

    def resume(self) -> None:
        """Ends `hold`."""
        self._on_hold = False
