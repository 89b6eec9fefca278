"""Which records may be applied now. Pure.

Per partition one lane per study (the record's key), first in first out, with one run in flight per study: a study's
events reach FHIR in partition order (G2), different studies side by side. A run is everything that waits in a lane, up
to a bound, so that a backlog of 500 instances of a study is a handful of requests.

Each assignment of a partition has an epoch. What comes back from an earlier epoch is an orphan: its outcome is ignored,
but its study stays blocked until it ends, in whatever assignment the study's records come next.

A stopped partition still gives what stands before the offset at which it stops, and nothing from there on.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from .record import Record

__all__ = ["Lanes", "Run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Consecutive records of one study, in flight together."""

    partition: int
    epoch: int
    lane: bytes
    records: tuple[Record, ...]

    @property
    def size(self) -> int:
        """Bytes its records hold."""
        return sum(record.size for record in self.records)


@dataclass(slots=True)
class _Partition:
    epoch: int
    waiting: dict[bytes, deque[Record]] = field(default_factory=dict)
    ready: OrderedDict[bytes, None] = field(default_factory=OrderedDict)
    stop_at: float = math.inf
    """Offset from which on nothing is picked."""

    def gives(self, lane: bytes) -> bool:
        """Whether the next record of a lane in which some wait stands before that offset."""
        return self.waiting[lane][0].offset < self.stop_at


class Lanes:
    """The lanes of all assigned partitions."""

    def __init__(self) -> None:
        self._partitions: OrderedDict[int, _Partition] = OrderedDict()
        self._in_flight: dict[bytes, Run] = {}

    @property
    def assigned(self) -> tuple[int, ...]:
        """The assigned partitions, ascending."""
        return tuple(sorted(self._partitions))

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is in flight."""
        return not self._in_flight and not any(owned.waiting for owned in self._partitions.values())

    @property
    def waiting(self) -> int:
        """Records that wait."""
        return sum(len(queue) for owned in self._partitions.values() for queue in owned.waiting.values())

    @property
    def studies_in_flight(self) -> int:
        """Runs in flight, orphans too."""
        return len(self._in_flight)

    @property
    def oldest_ms(self) -> int | None:
        """Record timestamp of the oldest record that waits or is in flight."""
        waiting = (queue[0].timestamp_ms for owned in self._partitions.values() for queue in owned.waiting.values())
        in_flight = (run.records[0].timestamp_ms for run in self._in_flight.values())
        return min((*waiting, *in_flight), default=None)

    @property
    def stopped(self) -> frozenset[int]:
        """The assigned partitions that stop somewhere."""
        return frozenset(p for p, owned in self._partitions.items() if owned.stop_at < math.inf)

    def assign(self, partition: int, epoch: int) -> None:
        """A new assignment of the partition."""
        self._partitions[partition] = _Partition(epoch)

    def revoke(self, partition: int) -> None:
        """Forgets what waits in the partition. Its runs in flight become orphans."""
        self._partitions.pop(partition, None)

    def epoch(self, partition: int) -> int | None:
        """The epoch of the partition's assignment; None when it is not assigned."""
        found = self._partitions.get(partition)
        return None if found is None else found.epoch

    def receive(self, partition: int, records: Iterable[Record]) -> None:
        """Queues records of an assigned partition, in partition order."""
        owned = self._partitions[partition]
        for record in records:
            owned.waiting.setdefault(record.lane, deque()).append(record)
            self._make_ready(owned, record.lane)

    def stop(self, partition: int, offset: int) -> bool:
        """Picks nothing more of the partition from `offset` on, in this assignment; the lowest one stands.

        Returns whether that is this one.
        """
        owned = self._partitions.get(partition)
        if owned is None or offset >= owned.stop_at:
            return False
        owned.stop_at = offset
        for lane in [lane for lane in owned.ready if not owned.gives(lane)]:
            del owned.ready[lane]
        return True

    def stands(self, partition: int) -> bool:
        """Whether the partition is stopped and nothing before that offset waits or is in flight."""
        owned = self._partitions.get(partition)
        if owned is None or self.in_flight((owned.epoch,)):
            return False
        return owned.stop_at < math.inf and not any(map(owned.gives, owned.waiting))

    def pick(self, *, max_runs: int, max_records: int, max_bytes: int, but: Collection[int] = ()) -> tuple[Run, ...]:
        """Takes runs of one partition, the ones that waited longest; partitions take turns. In flight from now on.

        `but`: partitions to pass over.
        Empty when no study is ready; else at least one record, whatever the bounds. `max_records` cuts only the first
        run: a study that does not fit beside it is left whole for the next pick, for each part writes all of the study.
        """
        partition = self._next(but)
        if partition is None:
            return ()
        owned = self._partitions[partition]
        self._partitions.move_to_end(partition)
        runs: list[Run] = []
        while owned.ready and len(runs) < max_runs and max_records > 0 and max_bytes > 0:
            lane = next(iter(owned.ready))
            if runs and len(owned.waiting[lane]) > max_records:
                break
            del owned.ready[lane]
            run = self._take(partition, lane, max_records=max_records, max_bytes=max_bytes)
            max_records -= len(run.records)
            max_bytes -= run.size
            runs.append(run)
        return tuple(runs)

    def pick_in_order(self, *, max_records: int, max_bytes: int, but: Collection[int] = ()) -> tuple[Run, ...]:
        """Takes one run of one partition in strict partition order, across its studies: the study whose record is
        next, up to where another study's record stands."""
        partition = self._next(but)
        if partition is None:
            return ()
        owned = self._partitions[partition]
        self._partitions.move_to_end(partition)
        first, *others = sorted(owned.waiting, key=lambda lane: owned.waiting[lane][0].offset)
        if first not in owned.ready:
            return ()
        del owned.ready[first]
        until = owned.waiting[others[0]][0].offset if others else None
        run_length = sum(1 for record in owned.waiting[first] if until is None or record.offset < until)
        return (self._take(partition, first, max_records=min(max_records, run_length), max_bytes=max_bytes),)

    def in_flight(self, epochs: Iterable[int]) -> bool:
        """Whether runs of one of these assignments are in flight."""
        wanted = set(epochs)
        return any(run.epoch in wanted for run in self._in_flight.values())

    def end(self, run: Run, *, finished: bool) -> bool:
        """Ends a run in flight; False when its assignment is over and its outcome must be ignored.

        What did not finish waits again, before what came after it.
        """
        is_owned = self.epoch(run.partition) == run.epoch
        if self._in_flight.get(run.lane) is run:
            del self._in_flight[run.lane]
            if is_owned and not finished:
                waiting = self._partitions[run.partition].waiting
                waiting[run.lane] = deque((*run.records, *waiting.get(run.lane, ())))
        for owned in self._partitions.values():
            self._make_ready(owned, run.lane)
        return is_owned

    def _next(self, but: Collection[int]) -> int | None:
        return next((p for p, owned in self._partitions.items() if owned.ready and p not in but), None)

    def _make_ready(self, owned: _Partition, lane: bytes) -> None:
        if lane in owned.waiting and lane not in self._in_flight and owned.gives(lane):
            owned.ready.setdefault(lane)

    def _take(self, partition: int, lane: bytes, *, max_records: int, max_bytes: int) -> Run:
        owned = self._partitions[partition]
        queue = owned.waiting[lane]
        taken = [queue.popleft()]
        size = taken[0].size
        while queue and queue[0].offset < owned.stop_at and len(taken) < max_records:
            if size + queue[0].size > max_bytes:
                break
            taken.append(queue.popleft())
            size += taken[-1].size
        if not queue:
            del owned.waiting[lane]
        run = Run(partition=partition, epoch=owned.epoch, lane=lane, records=tuple(taken))
        self._in_flight[lane] = run
        return run
