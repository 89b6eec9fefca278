"""What this member owns: the lanes and offsets of every assignment, as one value. Pure.

An assignment is one stay of a partition with this member; its epoch numbers it. It begins with `assign` and ends with
`revoke` (what is in flight may still finish, then its last offset is committed) or with `lose` (nothing of it counts).
An outcome that comes after that changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping

from .lanes import Lanes, Run
from .member_state import MemberState
from .offsets import PartitionOffsets
from .record import Record

__all__ = ["Assignments"]


class Assignments:
    """All assignments of one member: what may be applied, what may be committed, what must not be fetched now."""

    def __init__(self, *, max_span: int) -> None:
        """`max_span`: offsets between the lowest unfinished and the highest received record of a partition."""
        self._max_span = max_span
        self._lanes = Lanes()
        self._offsets: dict[int, PartitionOffsets] = {}  # by epoch; of revoked assignments until they are drained

    @property
    def assigned(self) -> tuple[int, ...]:
        """The partitions, ascending."""
        return self._lanes.assigned

    @property
    def idle(self) -> bool:
        """Whether nothing waits, as behind what stops a partition, and nothing is in flight."""
        return self._lanes.idle

    def state(self, stopped: Mapping[int, str]) -> MemberState:
        """One look at it. `stopped`: partition → why."""
        return MemberState(
            assigned=self.assigned,
            stopped=dict(stopped),
            studies_in_flight=self._lanes.studies_in_flight,
            records_waiting=self._lanes.waiting,
            oldest_ms=self._lanes.oldest_ms,
        )

    @property
    def held(self) -> dict[int, int]:
        """Partition → epoch of those of which nothing more is to be fetched: stopped, or their span is too long."""
        epochs, stopped = self._epochs(self.assigned), self._lanes.stopped
        return {p: e for p, e in epochs.items() if p in stopped or self._offsets[e].span > self._max_span}

    def owns(self, run: Run) -> bool:
        """Whether the run's assignment still stands."""
        return self._lanes.epoch(run.partition) == run.epoch

    def span(self, partition: int) -> int:
        """Offsets that a restart would read again, of an assigned partition."""
        return self._offsets[self._epochs((partition,))[partition]].span

    def assign(self, epochs: Mapping[int, int], begins: Mapping[int, int] | None = None) -> None:
        """New assignments: partition → epoch, higher than every one before. `begins`: see handover.Assigned."""
        for partition, epoch in epochs.items():
            self._lanes.assign(partition, epoch)
            self._offsets[epoch] = PartitionOffsets((begins or {}).get(partition))

    def receive(self, partition: int, records: Iterable[Record], *, position: int | None) -> None:
        """Queues records in offset order, and the consumer's position after them; ignored when it is not assigned."""
        epoch = self._lanes.epoch(partition)
        if epoch is None:
            return
        records = tuple(records)
        self._offsets[epoch].receive((record.offset for record in records), position=position)
        self._lanes.receive(partition, records)

    def pick(self, *, max_runs: int, max_records: int, max_bytes: int, but: Collection[int] = ()) -> tuple[Run, ...]:
        """See Lanes.pick."""
        return self._lanes.pick(max_runs=max_runs, max_records=max_records, max_bytes=max_bytes, but=but)

    def pick_in_order(self, *, max_records: int, max_bytes: int, but: Collection[int] = ()) -> tuple[Run, ...]:
        """See Lanes.pick_in_order."""
        return self._lanes.pick_in_order(max_records=max_records, max_bytes=max_bytes, but=but)

    def end(self, run: Run, *, finished: bool) -> bool:
        """Ends a run in flight. `finished`: each of its records is in FHIR, without effect, or an acknowledged letter.

        Returns whether that counted: False also when the assignment is over and drained, or lost.
        """
        self._lanes.end(run, finished=finished)
        offsets = self._offsets.get(run.epoch)
        if offsets is None or not finished:
            return False
        for record in run.records:
            offsets.finish(record.offset)
        return True

    def stop(self, partition: int, offset: int) -> bool:
        """See Lanes.stop."""
        return self._lanes.stop(partition, offset)

    def stands(self, partition: int) -> bool:
        """See Lanes.stands."""
        return self._lanes.stands(partition)

    def revoke(self, partitions: Iterable[int]) -> dict[int, int]:
        """Ends assignments and forgets what waits in them; returns their epochs, for `drained`."""
        epochs = self._epochs(partitions)
        for partition in epochs:
            self._lanes.revoke(partition)
        return epochs

    def drained(self, epochs: Mapping[int, int]) -> dict[int, int] | None:
        """The offsets to commit last for revoked assignments; None while runs of theirs are in flight."""
        if self._lanes.in_flight(epochs.values()):
            return None
        last = {partition: self._forget(epoch) for partition, epoch in epochs.items()}
        return {partition: offset for partition, offset in last.items() if offset is not None}

    def lose(self, partitions: Iterable[int]) -> None:
        """Ends assignments of which nothing may be committed any more."""
        for epoch in self.revoke(partitions).values():
            self._forget(epoch)

    def committable(self) -> dict[int, int]:
        """Partition → offset that may be committed now, where there is one."""
        offsets = {p: self._offsets[epoch].committable() for p, epoch in self._epochs(self.assigned).items()}
        return {partition: offset for partition, offset in offsets.items() if offset is not None}

    def _epochs(self, partitions: Iterable[int]) -> dict[int, int]:
        return {p: epoch for p in partitions if (epoch := self._lanes.epoch(p)) is not None}

    def _forget(self, epoch: int) -> int | None:
        return self._offsets.pop(epoch).committable()
