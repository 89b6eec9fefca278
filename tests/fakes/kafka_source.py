"""Plays the Kafka thread and its broker to a Worker: one topic in memory, one group, no network."""

import asyncio
import itertools
from collections.abc import Mapping, Sequence

from dicomcast_consumer.dead_letter import Letter
from dicomcast_consumer.handover import Assigned, CommitAnswer, LetterAnswer, Lost, Received, Revoked
from dicomcast_consumer.metrics import ConsumerMetrics
from dicomcast_consumer.record import Record
from dicomcast_consumer.worker import Limits, Worker

__all__ = ["FakeSource"]


class FakeSource:
    """The topic, the group's offsets and the dead-letter topic; what the loop asks is answered in its next turn."""

    def __init__(self, *, metrics: ConsumerMetrics, limits: Limits | None = None, partitions: int = 1) -> None:
        self.log: dict[int, list[Record]] = {p: [] for p in range(partitions)}
        self.committed: dict[int, int] = {}
        self.letters: list[Letter] = []
        self.letter_errors: list[str] = []
        self.held: set[int] = set()
        self.answers_commits = True
        self.refuses_commits: str | None = None
        """The error that every commit gets."""
        self.refused = 0
        self.worker = Worker(source=self, limits=limits or Limits(commit_every_s=0.02), metrics=metrics)
        self._read: dict[int, int] = {}
        self._unanswered: list[tuple[int, Mapping[int, int]]] = []
        self._epochs = itertools.count(1)

    # --- what the broker does ---

    def produce(self, records: Sequence[Record]) -> None:
        """Appends records; those of assigned partitions are handed over."""
        for record in records:
            self.log[record.partition].append(record)
        self._deliver()

    def assign(self, *partitions: int) -> None:
        """Gives partitions to the member, from the committed offset on."""
        for partition in partitions:
            self._read[partition] = self.committed.get(partition, 0)
        self.worker.hand_over(Assigned({partition: next(self._epochs) for partition in partitions}))
        self._deliver()

    async def revoke(self, *partitions: int) -> Mapping[int, int]:
        """Takes partitions away; returns what the member committed last, once it has drained."""
        drained: asyncio.Future[Mapping[int, int]] = asyncio.get_running_loop().create_future()
        self.worker.hand_over(Revoked(partitions, drained.set_result))
        offsets = await asyncio.wait_for(drained, 20)
        self.committed.update(offsets)
        self._forget(partitions)
        return offsets

    def lose(self, *partitions: int) -> None:
        """The member learns that partitions are another's already."""
        self.worker.hand_over(Lost(partitions))
        self._forget(partitions)

    def _forget(self, partitions: Sequence[int]) -> None:
        for partition in partitions:
            self._read.pop(partition, None)

    def _deliver(self) -> None:
        for partition, begin in self._read.items():
            records = tuple(record for record in self.log[partition] if record.offset >= begin)
            if records:
                position = records[-1].offset + 1
                self._read[partition] = position
                self.worker.hand_over(Received(partition=partition, records=records, position=position))

    def answer_commits(self) -> None:
        """Answers what was not answered, and what comes."""
        self.answers_commits = True
        while self._unanswered:
            self.commit(*self._unanswered.pop(0))

    # --- what the loop asks ---

    def commit(self, token: int, offsets: Mapping[int, int]) -> None:
        if not self.answers_commits:
            self._unanswered.append((token, offsets))
            return
        error = self.refuses_commits
        if error is None and not set(offsets) <= set(self._read):
            error = "UNKNOWN_MEMBER_ID"
        if error is None:
            self.committed.update(offsets)
        else:
            self.refused += 1
        asyncio.get_running_loop().call_soon(self.worker.hand_over, CommitAnswer(token, error))

    def dead_letter(self, token: int, letter: Letter) -> None:
        error = self.letter_errors.pop(0) if self.letter_errors else None
        if error is None:
            self.letters.append(letter)
        asyncio.get_running_loop().call_soon(self.worker.hand_over, LetterAnswer(token, error))

    def release(self, partition: int, epoch: int, *, records: int, size: int) -> None:
        pass

    def hold(self, partition: int, epoch: int) -> None:
        self.held.add(partition)

    def resume(self, partition: int, epoch: int) -> None:
        self.held.discard(partition)
