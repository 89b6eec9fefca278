"""THE LOOP of the consumer.

    Kafka thread ── records ──▶ lanes ── runs ──▶ a task per group: read events, read FHIR, prove, write
         ▲                                           │ every event finished, or an acknowledged dead letter
         └────────── commit ◀───── offsets ◀─────────┘

All state lives here and is touched only here. `run` goes round:

    1. take      what the Kafka thread handed over and what tasks ended with, in the order it happened
    2. dispatch  runs to tasks, up to max_in_flight
    3. throttle  partitions of which nothing more is to be fetched now
    4. commit    the lowest unfinished offset of every partition
    5. answer    a revocation once nothing of its partitions is in flight
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import structlog
from dicomcast_runtime.errors import StopError, WatchdogError
from dicomcast_runtime.logs import raised_at

from .assignments import Assignments
from .commits import Commits, CommitSink
from .errors import RevokedError, UnfitRecordError
from .group import ApplyGroup, Group
from .handover import Assigned, CommitAnswer, Failed, HandedOver, LetterAnswer, Lost, Received, Revoked
from .lanes import Run
from .member_state import MemberState
from .metrics import ConsumerMetrics

__all__ = ["KafkaSource", "Limits", "Worker"]

log = structlog.get_logger("dicomcast.worker")

_LOOK_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much goes on at once."""

    max_in_flight: int = 4
    max_runs: int = 50
    max_records: int = 500
    max_bytes: int = 16 * 1024 * 1024
    max_span: int = 50_000
    commit_every_s: float = 1.0
    commit_every: int = 500
    drain_s: float = 20.0


class KafkaSource(CommitSink, Protocol):
    """What the loop asks of the Kafka thread."""

    def release(self, partition: int, epoch: int, *, records: int, size: int) -> None:
        """Gives back room in memory. Like the others, without effect when the assignment of this epoch is over."""

    def hold(self, partition: int, epoch: int) -> None:
        """Fetches nothing more of the partition until `resume`."""

    def resume(self, partition: int, epoch: int) -> None:
        """Ends `hold`."""


@dataclass(frozen=True, slots=True)
class _Ended:
    task: "asyncio.Task[Counter[str]]"


@dataclass(frozen=True, slots=True)
class _Revocation:
    epochs: Mapping[int, int]
    """Partition → epoch."""
    drained: Callable[[Mapping[int, int]], None]


class Worker:
    """One member of the consumer group."""

    def __init__(self, *, source: KafkaSource, limits: Limits, metrics: ConsumerMetrics) -> None:
        self._source = source
        self._metrics = metrics
        self._limits = limits
        self._inbox: asyncio.Queue[HandedOver | _Ended | None] = asyncio.Queue()
        self._owned = Assignments(max_span=limits.max_span)
        self._groups: dict[asyncio.Task[Counter[str]], Group] = {}
        self._revocations: list[_Revocation] = []
        self._stopped: dict[int, UnfitRecordError] = {}
        self._held: dict[int, int] = {}  # partition → epoch
        self._letters: dict[int, asyncio.Future[str | None]] = {}
        self._commit_at_s = 0.0
        self._uncommitted = 0
        self._stopping = False
        self._error: StopError | None = None
        self._kafka_gone = False
        self.commits = Commits(sink=source, offsets=self._owned.committable)
        self.fates: Counter[str] = Counter()
        """What became of the events so far, by name."""
        self.beat_at_s = time.monotonic()
        """When the loop last went round, for the watchdog."""
        self.state = MemberState()
        """What it is doing, looked at once a second; for other threads to read."""
        self._looked_at_s = 0.0

    def hand_over(self, item: HandedOver) -> None:
        """Takes an item of the Kafka thread; called in the loop's own thread."""
        self._inbox.put_nowait(item)

    def stop(self) -> None:
        """Begins the drain: nothing new is dispatched, writes under way have `drain_s` to end, then `run` returns.

        A second call cuts them off at once. What was cut off is not committed: the next owner does it again.
        """
        if self._stopping:
            self._cut_off()
        else:
            self._drain()

    def _drain(self) -> None:
        if not self._stopping:
            self._stopping = True
            log.info("consumer.draining", writes=self._writes, grace_s=self._limits.drain_s)
            self._revoke_groups(self._owned.assigned)
            asyncio.get_running_loop().call_later(self._limits.drain_s, self._cut_off)
            self._inbox.put_nowait(None)

    def _cut_off(self) -> None:
        if self._groups:
            log.warning("consumer.cut_off", writes=self._writes)
        for task in self._groups:
            task.cancel()

    async def run(self, apply: ApplyGroup) -> None:
        """Until `stop`, or an error that ends the process, which is raised after the drain."""
        while not (self._stopping and not self._groups):
            await self._take()
            self._dispatch(apply)
            self._throttle()
            self._commit_when_due()
            self._answer_drained()
            self._look()
        await self._last_commit()
        stop = self._error or next(iter(self._stopped.values()), None)
        if stop is not None:
            raise stop

    async def leave(self, left: "asyncio.Future[bool]") -> None:
        """Answers the last revocation, after `run`, until the Kafka thread has left the group."""
        left.add_done_callback(lambda _: self._inbox.put_nowait(None))
        while not left.done():
            await self._take()
            self._answer_drained()

    @property
    def writing(self) -> bool:
        """Whether a write to FHIR or to the dead-letter topic is under way."""
        return self._writes > 0

    @property
    def _writes(self) -> int:
        return sum(group.writes for group in self._groups.values())

    async def letter_answer(self, token: int) -> str | None:
        """Waits for the broker's answer to a dead letter: None when acknowledged, else the error's name."""
        future: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._letters[token] = future
        return await future

    # --- 1. take ---

    async def _take(self) -> None:
        with contextlib.suppress(TimeoutError):
            self._note(await asyncio.wait_for(self._inbox.get(), self._limits.commit_every_s / 2))
        while not self._inbox.empty():
            self._note(self._inbox.get_nowait())
        self.beat_at_s = time.monotonic()

    def _note(self, item: HandedOver | _Ended | None) -> None:
        match item:
            case Received(partition=partition, records=records, position=position):
                self._owned.receive(partition, records, position=position)
            case _Ended(task=task):
                self._end(task)
            case CommitAnswer(token=token, error=error):
                if error is not None:
                    log.warning("commit.refused", error=error)
                self.commits.answer(token, error)
            case LetterAnswer(token=token, error=error):
                future = self._letters.pop(token, None)
                if future is not None and not future.done():
                    future.set_result(error)
            case Assigned(epochs=epochs, begins=begins):
                log.info("partitions.assigned", partitions=list(epochs))
                self._metrics.note_rebalance("assigned")
                self._owned.assign(epochs, begins)
            case Revoked(partitions=partitions, drained=drained):
                log.info("partitions.revoked", partitions=list(partitions))
                self._metrics.note_rebalance("revoked")
                self._revocations.append(_Revocation(self._owned.revoke(partitions), drained))
                self._leave(partitions)
            case Lost(partitions=partitions):
                log.warning("partitions.lost", partitions=list(partitions))
                self._metrics.note_rebalance("lost")
                self._owned.lose(partitions)
                self._leave(partitions)
            case Failed(error=failure):
                self._kafka_gone = True
                self._fail(failure)

    def _leave(self, partitions: Iterable[int]) -> None:
        self._revoke_groups(partitions)
        for partition in partitions:
            self._stopped.pop(partition, None)
            self.commits.forget(partition)

    def _revoke_groups(self, partitions: Iterable[int]) -> None:
        for task, group in self._groups.items():
            if group.partition in partitions:
                group.revoked = True
                if not group.writes:
                    task.cancel()

    # --- the end of a task ---

    def _end(self, task: "asyncio.Task[Counter[str]]") -> None:
        group = self._groups.pop(task)
        failure = asyncio.CancelledError() if task.cancelled() else task.exception()
        counted = [self._owned.end(run, finished=failure is None) for run in group.runs]
        if isinstance(failure, UnfitRecordError):
            self._stop_partition(group, failure)
        elif isinstance(failure, StopError):
            self._fail(failure)
        elif failure is None:
            if all(counted):  # else it is a late completion of an assignment that is over
                self._finish(group, task.result())
        elif not isinstance(failure, RevokedError | asyncio.CancelledError):
            log.error("defect.found", error=type(failure).__name__, where=raised_at(failure))
            self._fail(WatchdogError(f"a defect of dicomcast stopped it ({type(failure).__name__}); please report it"))
        if group.partition in self._stopped:
            self._look_what_stands(group.partition)

    def _finish(self, group: Group, fates: Counter[str]) -> None:
        self.fates += fates
        self._metrics.note_finished(fates)
        records = sum(len(run.records) for run in group.runs)
        self._uncommitted += records
        self._source.release(group.partition, group.epoch, records=records, size=sum(run.size for run in group.runs))
        if self._owned.idle:
            log.info("consumer.caught_up", **dict(sorted(self.fates.items())))

    def _stop_partition(self, group: Group, error: UnfitRecordError) -> None:
        """At the record; what stands before it is still applied, so that the committed offset comes to be its own."""
        if self._owned.owns(group.runs[0]) and self._owned.stop(group.partition, error.offset):
            log.error("partition.stopped", partition=group.partition, reason=str(error))
            self._stopped[group.partition] = error

    def _look_what_stands(self, partition: int) -> None:
        if self._owned.stands(partition):
            error = self._stopped[partition]
            log.warning("partition.stands", partition=partition, offset=error.offset)
            if all(self._owned.stands(assigned) for assigned in self._owned.assigned):
                self._fail(error)

    def _fail(self, error: StopError) -> None:
        self._error = self._error or error
        self._drain()

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_at_s >= _LOOK_S:
            self._looked_at_s = now_s
            self.state = self._owned.state({p: str(error) for p, error in self._stopped.items()})

    # --- 2. dispatch ---

    def _dispatch(self, apply: ApplyGroup) -> None:
        limits = self._limits
        while not self._stopping and self._at_work < limits.max_in_flight:
            runs = self._pick()
            if not runs:
                return
            for group in Group.apart(runs):
                task = asyncio.get_running_loop().create_task(apply(group))
                self._groups[task] = group
                task.add_done_callback(lambda ended: self._inbox.put_nowait(_Ended(ended)))

    @property
    def _at_work(self) -> int:
        """Groups that count against max_in_flight: in strict order also one that waits for the DICOM server."""
        in_order = self._limits.max_in_flight == 1
        at_work = (group for group in self._groups.values() if not group.stuck and not group.held)
        return sum((in_order or not group.at_source) for group in at_work)

    def _pick(self) -> tuple[Run, ...]:
        limits, groups = self._limits, self._groups.values()
        bounds = {"max_records": limits.max_records, "max_bytes": limits.max_bytes}
        if limits.max_in_flight == 1:
            return self._owned.pick_in_order(**bounds, but={g.partition for g in groups if g.stuck or g.held})
        return self._owned.pick(max_runs=limits.max_runs, **bounds, but={g.partition for g in groups if g.stuck})

    # --- 3. throttle ---

    def _throttle(self) -> None:
        held = self._owned.held
        for partition, epoch in held.items() - self._held.items():
            if partition not in self._stopped:
                log.warning("partition.held_back", partition=partition, offsets=self._owned.span(partition))
            self._source.hold(partition, epoch)
        for partition, epoch in self._held.items() - held.items():
            self._source.resume(partition, epoch)
        self._held = held

    # --- 4. commit ---

    def _commit_when_due(self) -> None:
        now_s = time.monotonic()
        if now_s < self._commit_at_s and self._uncommitted < self._limits.commit_every:
            return
        if self.commits.due and self.commits.begin():
            self._uncommitted = 0
            self._commit_at_s = now_s + self._limits.commit_every_s

    async def _last_commit(self) -> None:
        """Commits what the drain finished; the commit's own deadline bounds it."""
        if self.commits.due and not self._kafka_gone:
            self.commits.begin()
        while not self.commits.idle and not self._kafka_gone:
            await self._take()
            self._answer_drained()

    # --- 5. answer ---

    def _answer_drained(self) -> None:
        for revocation in list(self._revocations):
            offsets = self._owned.drained(revocation.epochs)
            if offsets is not None:
                self._revocations.remove(revocation)
                revocation.drained(offsets)
