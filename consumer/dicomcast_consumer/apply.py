"""What a task does with a group of studies: read → prove → write, until every event has met its fate.

    1. events    decode and read each record; what cannot be read is rejected, a DICOM server that is away waited for,
                 by the studies that need it alone
    2. read      the studies, their Patients and the Endpoint: three searches, however many studies (with doses: four)
    3. plan      pure: what to create, to change, to delete; nothing when FHIR is as it should be
    4. prove     a commit of the partition, begun after 2, was accepted: it is still ours
    5. write     one transaction; a study without instances is deleted in two steps
    6. letters   every rejected event, acknowledged by the dead-letter topic

2 to 5 are one attempt. Someone else's write (409, 412) starts the next one at once, an outage after a back-off; a
rejected group is taken apart study by study, a rejected study half by half, until the one bad event stands alone. While
most studies are refused, a refused one is held: the others go first, then one at a time of those that are held.
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from typing import Final, Protocol

import structlog
from dicomcast_runtime.backoff import full_jitter
from dicomcast_runtime.errors import StopError
from dicomcast_runtime.logs import raised_at

from .bundle import check_answers, transaction_bundle
from .deletion import delete_observations, delete_study
from .errors import (
    ConflictError,
    ConsumerError,
    HeldError,
    NoMetadataError,
    NotProvenError,
    RejectedError,
    RetryableError,
    RevokedError,
    SystemicError,
)
from .fhir_reader import FhirReader
from .gate import Gate
from .group import Group
from .keyed_locks import KeyedLocks
from .lanes import Run
from .mapping import InstanceChange, Kind, MappingOptions, Omission
from .metrics import ConsumerMetrics
from .plan import FhirState, Plan, Rejection, StudyWork, plan_studies
from .reader import EventReader
from .record import Record

__all__ = ["DeadLetters", "StudyApplier"]

log = structlog.get_logger("dicomcast.apply")

_ROUNDS: Final = 10
"""Conflicts in a row after which an attempt waits as after an outage."""

_TOLD_AT: Final = (3, 10, 100)
"""Failures in a row of one study at which the log says that it waits; then at every hundredth."""

_ALONE: Final = 3
"""Times in a row that others' metadata is readable and an event's is not, before that is the event's own fault: the
first may be the end of an outage."""

Prove = Callable[[int], Awaitable[None]]


class DeadLetters(Protocol):
    """Where rejected events go."""

    async def send(self, record: Record, error: RejectedError, group: Group) -> None:
        """Returns once the broker has acknowledged the letter; tries for as long as that takes.

        Raises RevokedError when the group's partition is taken away meanwhile.
        """


@dataclass(frozen=True, slots=True)
class _Events:
    """A run, read."""

    run: Run
    changes: tuple[tuple[Record, InstanceChange], ...]
    rejected: tuple[tuple[Record, RejectedError], ...]
    fates: Counter[str]


class StudyApplier:
    """Applies groups; one for the process, shared by all its tasks."""

    def __init__(
        self,
        *,
        events: EventReader,
        fhir: FhirReader,
        letters: DeadLetters,
        gate: Gate,
        prove: Prove,
        options: MappingOptions,
        metrics: ConsumerMetrics,
        max_in_flight: int = 4,
        least_wait_s: float = 0.5,
        stuck_after_s: float = 900.0,
    ) -> None:
        """`max_in_flight`: groups on their way to FHIR; `least_wait_s`: the shortest back-off after an outage;
        `stuck_after_s`: see `_give_up_when_alone`.
        """
        # The loop counts as well, but not what waits for the DICOM server: when that is back, it all comes at once.
        self._on_the_way = asyncio.Semaphore(max_in_flight)
        self._least_wait_s = least_wait_s
        self._stuck_after_s = stuck_after_s
        self._events = events
        self._reader = fhir
        self._fhir = fhir.client
        self._letters = letters
        self._gate = gate
        self._prove = prove
        self._options = options
        self._metrics = metrics
        self._one_held = asyncio.Lock()
        self._locks = KeyedLocks()

    async def __call__(self, group: Group) -> Counter[str]:
        """See group.ApplyGroup."""
        read = [await self._read_events(group, run) for run in group.runs]
        group.at_source = False
        turns = zip_longest(*(self._works(events) for events in read))
        rejections = [
            rejection
            for turn in turns
            for rejection in await self._apply(group, [work for work in turn if work is not None])
        ]
        fates: Counter[str] = sum((events.fates for events in read), Counter())
        for events in read:
            await self._send_letters(group, events, rejections, fates)
        return fates

    # --- 1. events ---

    async def _read_events(self, group: Group, run: Run) -> _Events:
        changes: list[tuple[Record, InstanceChange]] = []
        rejected: list[tuple[Record, RejectedError]] = []
        fates: Counter[str] = Counter()
        for position, record in enumerate(run.records):
            if position % 20 == 19:
                await asyncio.sleep(0)  # reading a long run must not keep the loop from its beat
            try:
                change = await self._read_event(group, record)
            except RejectedError as error:
                rejected.append((record, error))
                continue
            if change is None or change.kind is Kind.SKIP:
                group.without_effect.add(record.offset)
            if change is None:
                fates["ignored_partition"] += 1
                self._metrics.note_passed_over("ignored_partition")
            elif change.kind is Kind.SKIP:
                reason = (change.skip_reason or "").replace("-", "_")
                fates[f"skipped_{reason}"] += 1
                self._metrics.note_passed_over(reason)
            else:
                changes.append((record, change))
            for omission in change.omissions if change else ():
                self._note(omission)
        return _Events(run, tuple(changes), tuple(rejected), fates)

    def _note(self, omission: Omission) -> None:
        self._metrics.note_omission(omission)
        log.info(
            "attribute.doubtful" if omission.is_mapped else "attribute.left_out",
            sop_instance_uid=omission.sop_instance_uid,
            attribute=omission.attribute,
            reason=omission.reason,
        )

    async def _read_event(self, group: Group, record: Record) -> InstanceChange | None:
        begun_s, alone = time.monotonic(), 0
        for attempt in range(1_000_000):
            try:
                return await self._events.read(record)
            except NoMetadataError as error:
                stuck = time.monotonic() - begun_s > self._stuck_after_s
                alone = alone + 1 if stuck and await self._events.is_alone(record) else 0
                if alone == _ALONE:
                    text = f"for {self._stuck_after_s:.0f} s its metadata alone could not be read: {error}"
                    raise RejectedError("source", "source.unavailable", text) from error
                await self._wait(attempt, error)
            except RetryableError as error:
                await self._wait(attempt, error)
            except (ConsumerError, StopError):
                raise
            except Exception as error:  # a defect, likewise
                rejection = _defect(error)
                if self._gate.blames_the_study(record.lane, rejection):
                    raise rejection from error
                group.held = True
                await asyncio.sleep(self._wait_s(attempt, None))
                group.held = False
        raise AssertionError("unreachable")

    async def _wait(self, attempt: int, error: RetryableError) -> None:
        if attempt in (0, 10):
            log.warning("event.waiting", reason=str(error))
        await asyncio.sleep(self._wait_s(attempt, error))

    def _works(self, events: _Events) -> list[StudyWork]:
        """What to apply, one after the other: of each feed for itself, for it has a source of its own. Mostly one."""
        by_feed = groupby((change for _, change in events.changes), key=lambda change: change.mark.feed)
        found = [(self._events.profile(feed), tuple(changes)) for feed, changes in by_feed]
        return [
            StudyWork(study_instance_uid=changes[0].study_instance_uid, profile=profile, changes=changes)
            for profile, changes in found
        ]

    # --- 2 to 5 ---

    async def _apply(self, group: Group, works: Sequence[StudyWork]) -> list[Rejection]:
        """Together, else study by study with reads of its own; those that are held after all others."""
        rejections: list[Rejection] = []
        held: deque[tuple[StudyWork, HeldError]] = deque()
        async with self._on_the_way:
            if len(works) > 1:
                try:
                    return await self._attempts(group, works)
                except (ConflictError, RejectedError, RetryableError, SystemicError):
                    pass  # one of them at least
            for work in works:
                try:
                    rejections += await self._apply_study(group, work)
                except HeldError as error:
                    held.append((work, error))
        return rejections + await self._apply_held(group, held)

    async def _apply_held(self, group: Group, held: deque[tuple[StudyWork, HeldError]]) -> list[Rejection]:
        """In turns with those of all groups, one at a time, and after what was not refused yet (see Gate)."""
        rejections: list[Rejection] = []
        group.held, failures = bool(held), 0
        while held:
            if group.revoked:
                raise RevokedError
            work, error = held.popleft()
            try:
                async with self._one_held:
                    rejections += await self._apply_study(group, work, error)
                failures = 0
            except HeldError as again:
                held.append((work, again))
                failures += 1
                self._tell_of_waiting(group, failures, again)
                await asyncio.sleep(self._wait_s(min(failures, 4), None))
        group.held = False
        return rejections

    async def _apply_study(self, group: Group, work: StudyWork, held: HeldError | None = None) -> list[Rejection]:
        """One that is rejected half by half, in order: a second half never goes before the first."""
        try:
            return await self._attempts(group, [work], held)
        except RejectedError:
            if len(work.changes) > 1:
                middle = len(work.changes) // 2
                halves = (work.changes[:middle], work.changes[middle:])
                parts = [replace(work, changes=half) for half in halves]
                return [rejection for part in parts for rejection in await self._apply_study(group, part, held)]
        try:
            # Alone, it is tried once more before it counts as rejected: what it referred to may have been deleted
            # between read and write, which HAPI answers with 400 as well.
            return await self._attempts(group, [work], held)
        except RejectedError as error:
            return [Rejection(work.changes[0], error)]

    async def _attempts(
        self, group: Group, works: Sequence[StudyWork], held: HeldError | None = None
    ) -> list[Rejection]:
        """One attempt after another until FHIR has answered; several studies get one, a conflict or an outage ends it.

        Raises RejectedError and HeldError, and what ends it.
        """
        lanes = [work.study_instance_uid.encode() for work in works]
        failures = conflicts = 0
        begun_s = time.monotonic()
        while not group.revoked:
            try:
                async with self._gate.attempt(lanes, held=held):
                    return await self._attempt(group, works)
            except (ConflictError, NotProvenError) as error:
                conflicts += 1
                at_an_end = conflicts % _ROUNDS == 0
                if isinstance(error, ConflictError):
                    self._metrics.note_conflict()
                    if len(works) > 1:
                        raise
                    if at_an_end:
                        self._tell_of_waiting(group, conflicts, error)
                        self._give_up_when_alone(lanes[0], begun_s, error)
                if isinstance(error, NotProvenError) or at_an_end:
                    await asyncio.sleep(self._wait_s(min(conflicts, 4), None))
            except (RetryableError, SystemicError) as error:
                failures += 1
                self._tell_of_waiting(group, failures, error)
                await asyncio.sleep(self._wait_s(failures - 1, error if isinstance(error, RetryableError) else None))
                if len(works) > 1:
                    raise
                self._give_up_when_alone(lanes[0], begun_s, error)
        raise RevokedError

    def _tell_of_waiting(self, group: Group, attempts: int, error: Exception) -> None:
        if attempts in _TOLD_AT or attempts % _TOLD_AT[-1] == 0:
            log.warning("study.waiting", partition=group.partition, attempts=attempts, reason=str(error))

    def _give_up_when_alone(self, lane: bytes, begun_s: float, error: Exception) -> None:
        """A study that fails for so long while others go through is no outage: the event that does it is looked for."""
        stuck = time.monotonic() - begun_s > self._stuck_after_s
        if stuck and self._gate.others_succeed(lane, begun_s):
            text = f"it alone has failed for {self._stuck_after_s:.0f} s while other studies went through: {error}"
            raise RejectedError("fhir", "fhir.unavailable", text)

    async def _attempt(self, group: Group, works: Sequence[StudyWork]) -> list[Rejection]:
        async with self._alone(works):
            state = await self._reader.read(works)
            plan = self._plan(works, state)
            if plan.writes:
                await self._prove(group.partition)
                with group.writing():
                    await self._write(plan)
            else:
                self._metrics.note_unchanged(len(works))
            for slug, count in plan.reports.items():
                log.warning("mapping.reported", what=slug, studies=count)
                self._metrics.note_report(slug, count)
            return list(plan.rejections)

    @asynccontextmanager
    async def _alone(self, works: Sequence[StudyWork]) -> AsyncIterator[None]:
        """Holds what no other bundle may write meanwhile."""
        async with AsyncExitStack() as held:
            keys: set[str] | None = None
            while keys != (keys := self._reader.shared(works)):  # fewer, once the first group has found the Endpoint
                await held.aclose()
                await held.enter_async_context(self._locks.held(keys))
            yield

    def _plan(self, works: Sequence[StudyWork], state: FhirState) -> Plan:
        try:
            return plan_studies(works, state, options=self._options)
        except Exception as error:  # a defect: the one event that meets it becomes a dead letter, the feed goes on
            raise _defect(error) from error

    async def _write(self, plan: Plan) -> None:
        if plan.entries:
            answers = await self._fhir.transaction(transaction_bundle(plan.entries))
            check_answers(plan.entries, answers)
        if plan.removals:
            await delete_observations(self._fhir, plan.removals)
        for study in plan.deletions:
            await delete_study(self._fhir, study)

    # --- 6. letters ---

    async def _send_letters(
        self, group: Group, events: _Events, rejections: Sequence[Rejection], fates: Counter[str]
    ) -> None:
        errors = {id(rejection.change): rejection.error for rejection in rejections}
        late = [(record, errors[id(change)]) for record, change in events.changes if id(change) in errors]
        for record, error in sorted([*events.rejected, *late], key=lambda pair: pair[0].offset):
            await self._letters.send(record, error, group)
            self._metrics.note_dead_letter(error)
            fates["dead_letter"] += 1
        for _, change in events.changes:
            if id(change) not in errors:
                self._metrics.note_in_fhir(change.mark.timestamp)
                fates["applied"] += 1

    def _wait_s(self, attempt: int, error: RetryableError | None) -> float:
        asked_s = (error.retry_after_s if error is not None else None) or 0.0
        jitter_s = full_jitter(attempt, least_s=self._least_wait_s, most_s=60.0, uniform=random.uniform)
        return max(jitter_s, min(asked_s, 300.0))


def _defect(error: Exception) -> RejectedError:
    """A bug of ours as a rejection: where it is, and nothing of what it was about."""
    where = raised_at(error)
    log.error("defect.found", error=type(error).__name__, where=where)
    return RejectedError("map", "map.defect", f"a defect of dicomcast ({type(error).__name__} at {where}): report it")
