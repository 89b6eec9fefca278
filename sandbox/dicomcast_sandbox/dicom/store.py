"""What the server knows: the instances it has and the log of their changes.

The log is append-only; a row's state is worked out when it is read, from the version of the instance that it announced
(its watermark) and the version that is there now. So a row read again later can say something else.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from threading import RLock

from dicomcast_sandbox.dicom.instance import DataSet, Instance

TICKS_PER_S = 10_000_000
"""The clock of the change feed counts 100 ns."""


class Poison(StrEnum):
    """What a page with metadata does when it comes to a poisoned instance."""

    ERROR_500 = "500"  # its metadata blob is missing
    ERROR_400 = "400"  # its metadata blob cannot be read by the server itself
    MALFORMED = "malformed"  # the server answers 200 and something that is not JSON


class AlreadyStoredError(Exception):
    """An instance with this SOP Instance UID is there; the original never overwrites one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """Which instance."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str

    @classmethod
    def of(cls, instance: Instance) -> Key:
        return cls(
            study_instance_uid=instance.study_instance_uid,
            series_instance_uid=instance.series_instance_uid,
            sop_instance_uid=instance.sop_instance_uid,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One change as it was logged; never altered."""

    sequence: int
    key: Key
    action: str
    ticks: int
    watermark: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A row as it is read now. `data_set` is the one that the server has now, whatever the row announced."""

    row: Row
    state: str
    data_set: DataSet | None


@dataclass(frozen=True, slots=True)
class _Stored:
    instance: Instance
    watermark: int


def now_ticks() -> int:
    """Ticks of 100 ns since 1970-01-01T00:00Z."""
    return time.time_ns() // 100


class Store:
    """Instances and log. May be used from several threads; every call is one transaction."""

    def __init__(self, clock: Callable[[], int] = now_ticks) -> None:
        self._clock = clock
        self._lock = RLock()
        self.poisons: dict[str, Poison] = {}
        self.unreadable: set[str] = set()
        self.reset()

    def reset(self) -> None:
        """Forget everything and count from 1 again: what a feed looks like whose server was rebuilt."""
        with self._lock:
            self._stored: dict[Key, _Stored] = {}
            self._rows: list[Row] = []
            self._by_time: list[tuple[int, int]] = []
            self._row_of: dict[int, Row] = {}
            self._next_sequence = 1
            self._next_watermark = 1
            self.poisons.clear()
            self.unreadable.clear()

    def create(self, instance: Instance, *, sequence: int | None = None, ticks: int | None = None) -> int:
        """Store an instance; returns the sequence of its Create row.

        `sequence` fills one that `skip_sequences` left out: a row that was allocated earlier and is committed late.
        Raises AlreadyStoredError.
        """
        key = Key.of(instance)
        with self._lock:
            if key in self._stored:
                raise AlreadyStoredError(key.sop_instance_uid)
            self._stored[key] = _Stored(instance, self._take_watermark())
            return self._log(key, "Create", self._stored[key].watermark, sequence, ticks)

    def delete(self, study: str, series: str | None = None, sop: str | None = None) -> int:
        """Delete a study, a series or an instance; returns how many instances that were, each with a Delete row."""
        with self._lock:
            keys = self._keys(study, series, sop)
            for key in keys:
                self._log(key, "Delete", self._stored.pop(key).watermark)
            return len(keys)

    def update(self, studies: Iterable[str], changes: DataSet) -> int:
        """Change attributes of every instance of the studies; returns how many, each with an Update row."""
        with self._lock:
            keys = [key for study in studies for key in self._keys(study)]
            for key in keys:
                instance = self._stored[key].instance
                changed = replace(instance, data_set=dict(sorted({**instance.data_set, **changes}.items())))
                self._stored[key] = _Stored(changed, self._take_watermark())
                self._log(key, "Update", self._stored[key].watermark)
            return len(keys)

    def skip_sequences(self, count: int) -> range:
        """Leave a gap, as identity columns do after a rollback; returns the sequences that no row has."""
        with self._lock:
            first, self._next_sequence = self._next_sequence, self._next_sequence + count
            return range(first, self._next_sequence)

    def poison(self, sop_instance_uid: str, kind: Poison, *, also_wado: bool = False) -> None:
        """Make every page that shows this instance's metadata fail; with `also_wado` its WADO-RS metadata as well."""
        with self._lock:
            self.poisons[sop_instance_uid] = kind
            if also_wado:
                self.unreadable.add(sop_instance_uid)

    def lose_metadata(self, sop_instance_uid: str) -> None:
        """The metadata blob is gone: the feed's page answers 500, WADO-RS 404."""
        self.poison(sop_instance_uid, Poison.ERROR_500, also_wado=True)

    def window(self, offset: int, limit: int) -> list[Entry]:
        """v1: the rows whose sequence is in (offset, offset + limit], in its order."""
        with self._lock:
            start = bisect_right(self._rows, offset, key=lambda row: row.sequence)
            end = bisect_right(self._rows, offset + limit, key=lambda row: row.sequence)
            return [self._entry(row) for row in self._rows[start:end]]

    def between(self, start_ticks: int, end_ticks: int, offset: int, limit: int) -> list[Entry]:
        """v2: the rows with start ≤ time < end by (time, sequence), without the first `offset`, at most `limit`."""
        with self._lock:
            start = bisect_left(self._by_time, (start_ticks, 0)) + offset
            end = bisect_left(self._by_time, (end_ticks, 0))
            chosen = self._by_time[start : min(end, start + limit)]
            return [self._entry(self._row_of[sequence]) for _, sequence in chosen]

    def latest(self, *, by_time: bool) -> Entry | None:
        """The row with the highest sequence, or by (time, sequence); None while there is none."""
        with self._lock:
            if not self._rows:
                return None
            return self._entry(self._row_of[self._by_time[-1][1]] if by_time else self._rows[-1])

    def instances(self, study: str | None = None, series: str | None = None, sop: str | None = None) -> list[Instance]:
        """The instances that are there now, in the order of their storage."""
        with self._lock:
            return [self._stored[key].instance for key in self._keys(study, series, sop)]

    def _keys(self, study: str | None, series: str | None = None, sop: str | None = None) -> list[Key]:
        if study is not None and series is not None and sop is not None:
            key = Key(study_instance_uid=study, series_instance_uid=series, sop_instance_uid=sop)
            return [key] if key in self._stored else []
        return [
            key
            for key in self._stored
            if study in (None, key.study_instance_uid) and series in (None, key.series_instance_uid)
        ]

    def counts(self) -> dict[str, int]:
        """How many studies, series, instances and feed rows of each action there are."""
        with self._lock:
            actions: dict[str, int] = defaultdict(int)
            for row in self._rows:
                actions[row.action] += 1
            return {
                "studies": len({key.study_instance_uid for key in self._stored}),
                "series": len({(key.study_instance_uid, key.series_instance_uid) for key in self._stored}),
                "instances": len(self._stored),
                **{f"{action} events": actions[action] for action in ("Create", "Update", "Delete")},
            }

    def _entry(self, row: Row) -> Entry:
        stored = self._stored.get(row.key)
        if stored is None:
            return Entry(row=row, state="Deleted", data_set=None)
        state = "Current" if stored.watermark == row.watermark else "Replaced"
        return Entry(row=row, state=state, data_set=stored.instance.data_set)

    def _log(self, key: Key, action: str, watermark: int, sequence: int | None = None, ticks: int | None = None) -> int:
        if sequence is None:
            (sequence,) = self.skip_sequences(1)
        elif sequence in self._row_of or sequence >= self._next_sequence:
            raise ValueError(f"sequence {sequence} was not left out by skip_sequences")
        row = Row(
            sequence=sequence,
            key=key,
            action=action,
            ticks=self._clock() if ticks is None else ticks,
            watermark=watermark,
        )
        insort(self._rows, row, key=lambda one: one.sequence)
        insort(self._by_time, (row.ticks, sequence))
        self._row_of[sequence] = row
        return sequence

    def _take_watermark(self) -> int:
        self._next_watermark += 1
        return self._next_watermark - 1
