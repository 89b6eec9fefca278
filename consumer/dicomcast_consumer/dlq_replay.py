"""THE LOOP of `dlq replay`: letters through the pipeline of `run`, beside members that are at work.

    1. look      read the topic on to its end: which later events do the letters' instances have?
    2. choose    per letter the newest of these; the letter itself where there is none
    3. apply     read FHIR → look → write, as `run` does, with the look in the place of the proof: when it finds a newer
                 event, nothing is written and 2 chooses anew; likewise when a later event turns out without effect
    4. look      again, after the write; a newer event that has appeared is applied over it, until there is none
    5. settle    marks for what is done; what was rejected again goes back with one more attempt

The command owns no partition, so it cannot prove that nobody else writes. It need not: what a member has written of a
later event is on the topic, so one of the two looks finds it, and that event is applied (again) last. An event that
comes after 4 meets FHIR as 3 left it. Between the two stands If-Match, as everywhere. A later event is applied even
when it was there from the begin: a replay that was killed between 3 and 4 is mended by the next one.

A pending letter is no later event: it has changed nothing. Nor is an event that the settings pass over (another data
partition, an instance that is filtered out): its instance may be in FHIR by the letter alone. A later event that this
command's settings reject is not its business: the letter waits until the two agree.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .dlq import DeadLetter, LetterId
from .dlq_done import Outcome
from .dlq_later import LaterEvents
from .errors import RejectedError
from .group import ApplyGroup, Group
from .record import Record

__all__ = ["ChangeLog", "Chosen", "DicomServer", "LetterReplay", "Results", "Tally"]

_MISSES = 2
"""Chunks in a row that a server which is away may hold up before the rest is left."""

Place = tuple[int, int]


class ChangeLog(Protocol):
    """The topic of changes."""

    async def look(self, partition: int) -> None:
        """Notes every event up to the end of what is committed, as it stands after this call began."""

    async def record(self, partition: int, offset: int) -> Record:
        """One record of it."""


class DicomServer(Protocol):
    """Where the instances come from."""

    async def verdict(self, record: Record) -> Outcome | None:
        """For a letter whose later events are not known: how it ends without being applied, or None: apply it."""


class Results(Protocol):
    """Where it is written down how letters ended."""

    async def write(
        self, done: Sequence[tuple[DeadLetter, Outcome]], back: Sequence[tuple[Record, RejectedError]]
    ) -> None:
        """Returns once the broker has acknowledged all of it. Raises StopError."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A letter to replay, with its event as it stood at its place on the topic of changes."""

    letter: DeadLetter
    id: LetterId
    record: Record


@dataclass(slots=True)
class Tally:
    """What became of the letters."""

    done: Counter[Outcome] = field(default_factory=Counter)
    rejected: int = 0
    blocked: int = 0
    """Still pending because a later event of the instance was rejected."""
    left: int = 0
    """Still pending because a server was away, or the command was interrupted."""
    interrupted: bool = False


class _OvertakenError(Exception):
    """Between read and write a later event has appeared."""


@dataclass(slots=True)
class _Chunk:
    """Letters of one partition, under way."""

    partition: int
    letters: list[Chosen]
    asked: set[LetterId] = field(default_factory=set)
    """Those of which the DICOM server was asked."""
    over: dict[LetterId, Outcome] = field(default_factory=dict)
    applied: set[Place] = field(default_factory=set)
    failed: dict[Place, tuple[Record, RejectedError]] = field(default_factory=dict)
    blocking: set[Place] = field(default_factory=set)
    under_way: frozenset[Place] = frozenset()
    written: bool = False


class LetterReplay:
    """One run of the command."""

    def __init__(
        self, *, later: LaterEvents, log: ChangeLog, dicom: DicomServer, results: Results, pending: set[LetterId]
    ) -> None:
        """`pending`: all pending letters of the group, chosen or not."""
        self._later = later
        self._log = log
        self._dicom = dicom
        self._results = results
        self._pending = pending
        self._chunk = _Chunk(0, [])
        self._task: asyncio.Task[None] | None = None
        self._stopping = self._abandoned = False
        self.tally = Tally()

    async def run(self, apply: ApplyGroup, chunks: AsyncIterator[Sequence[Chosen]], *, wait_s: float) -> Tally:
        """All chunks, each with letters of one partition. One that takes longer than `wait_s` is left pending."""
        misses = 0
        async for letters in chunks:
            if self._stopping or misses >= _MISSES:
                self.tally.left += len(letters)
                continue
            if await self._attempt(apply, letters, wait_s):
                misses = 0
            else:
                misses += 1
                self.tally.left += len(letters)
        self.tally.interrupted = self._stopping
        return self.tally

    def stop(self) -> None:
        """Ends after the chunk under way; at once while it has written nothing, or when asked a second time."""
        self._abandoned = self._stopping or not self._chunk.written
        self._stopping = True
        if self._task is not None and self._abandoned:
            self._task.cancel()

    async def prove(self, partition: int) -> None:
        """In the place of the commit that proves a member's ownership: see the module. Raises _OvertakenError."""
        await self._log.look(partition)
        if {place for place, _ in self._targets()} != self._chunk.under_way:
            raise _OvertakenError
        self._chunk.written = True

    async def send(self, record: Record, error: RejectedError, group: Group) -> None:
        """Takes a rejection: a letter goes back when its chunk is settled."""
        place = (record.partition, record.offset)
        if place in {(each.id.partition, each.id.offset) for each in self._chunk.letters}:
            self._chunk.failed[place] = (record, error)
        else:
            self._chunk.blocking.add(place)

    async def _attempt(self, apply: ApplyGroup, letters: Sequence[Chosen], wait_s: float) -> bool:
        """Whether the chunk came to its end."""
        self._chunk = _Chunk(letters[0].id.partition, list(letters))
        self._task = task = asyncio.ensure_future(self._replay(apply))
        until_s = time.monotonic() + wait_s
        while not task.done():
            await asyncio.wait({task}, timeout=min(1.0, max(0.0, until_s - time.monotonic())) or 1.0)
            if self._abandoned or time.monotonic() >= until_s:
                task.cancel()
        self._task = None
        if task.cancelled():
            return False
        task.result()
        return True

    async def _replay(self, apply: ApplyGroup) -> None:
        chunk = self._chunk
        await self._log.look(chunk.partition)
        await self._ask_dicom()
        while todo := self._targets():
            records = [record or await self._log.record(*place) for place, record in todo]
            chunk.under_way = frozenset(place for place, _ in todo)
            with contextlib.suppress(_OvertakenError):
                await apply(group := Group.of(records))
                chunk.applied |= chunk.under_way - set(chunk.failed) - chunk.blocking
                for offset in group.without_effect:
                    self._later.pass_over(chunk.partition, offset)
            await self._log.look(chunk.partition)
            await self._ask_dicom()
        await self._settle()

    async def _ask_dicom(self) -> None:
        """About letters of which nothing later is known, once each."""
        for each in self._chunk.letters:
            is_last = self._later.newest(each.letter, self._pending) is None
            if is_last and not self._later.is_on_the_topic(each.letter) and each.id not in self._chunk.asked:
                self._chunk.asked.add(each.id)
                outcome = await self._dicom.verdict(each.record)
                if outcome is not None:
                    self._chunk.over[each.id] = outcome

    def _targets(self) -> list[tuple[Place, Record | None]]:
        """What is to be applied now: places on the topic of changes, a letter with its record."""
        chunk, found = self._chunk, dict[Place, Record | None]()
        for each in chunk.letters:
            if each.id in chunk.over:
                continue
            newest = self._later.newest(each.letter, self._pending)
            place = (chunk.partition, each.id.offset if newest is None else newest)
            found[place] = each.record if newest is None else None
        over = chunk.applied | set(chunk.failed) | chunk.blocking
        return [(place, found[place]) for place in sorted(found) if place not in over]

    async def _settle(self) -> None:
        chunk = self._chunk
        done = [(each, outcome) for each in chunk.letters if (outcome := self._outcome(each)) is not None]
        ended = {each.id for each, _ in done}
        back = {p: failed for p, failed in chunk.failed.items() if LetterId(failed[0].topic, *p) not in ended}
        await self._results.write([(each.letter, outcome) for each, outcome in done], list(back.values()))
        self._pending -= ended
        self.tally.done.update(outcome for _, outcome in done)
        self.tally.rejected += len(back)
        self.tally.blocked += len(chunk.letters) - len(done) - len(back)

    def _outcome(self, each: Chosen) -> Outcome | None:
        """How the letter ended; None when it is pending as before."""
        chunk = self._chunk
        if each.id in chunk.over:
            return chunk.over[each.id]
        newest = self._later.newest(each.letter, self._pending)
        if newest is not None:
            return None if (chunk.partition, newest) in chunk.blocking else Outcome.SUPERSEDED
        return None if (each.id.partition, each.id.offset) in chunk.failed else Outcome.APPLIED
