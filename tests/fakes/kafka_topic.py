"""A topic with its cursor, as the producer sees it: transactions, fencing, outages, and a crash between two steps.

It plays the broker, not the client: what it accepted stays, what it refused never happened.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from dicomcast_producer.cursor import Cursor
from dicomcast_producer.entry import FeedEntry
from dicomcast_producer.topic_check import TopicState
from dicomcast_runtime.errors import FencedError

__all__ = ["FakePublisher", "FakeTopic"]


@dataclass(slots=True, kw_only=True)
class FakeTopic:
    """What the broker has. It is both the cursor's and the topic's source."""

    committed: list[FeedEntry] = field(default_factory=list)
    """The events that a read_committed reader sees."""
    cursor: Cursor | None = None
    cursors: list[Cursor] = field(default_factory=list)
    transactions: list[int] = field(default_factory=list)
    """The number of events of each."""
    partitions: int = 4
    topic_id: str | None = "topic-1"
    epoch: int = 0
    read_failures: deque[Exception] = field(default_factory=deque)
    """Raised by the next reads of the cursor."""

    read_at_epochs: list[int] = field(default_factory=list)
    """How many producers had fenced when the cursor was read."""

    def read(self) -> Cursor | None:
        self.read_at_epochs.append(self.epoch)
        if self.read_failures:
            raise self.read_failures.popleft()
        return self.cursor

    def state(self) -> TopicState:
        return TopicState(partitions=self.partitions, topic_id=self.topic_id)

    @property
    def sequences(self) -> list[int]:
        """Of the committed events, in their order."""
        return [entry.event.sequence for entry in self.committed]


class FakePublisher:
    """One producer instance of a topic."""

    def __init__(self, topic: FakeTopic) -> None:
        self._topic = topic
        self._epoch = -1
        self.failures: deque[Exception] = deque()
        """Raised by the next transactions in place of their commit: nothing of them is seen."""
        self.lost_answers: deque[Exception] = deque()
        """Raised by the next transactions after their commit: it happened, but the producer does not know."""
        self.interrupted_within_s: float | None = None
        self.beat_at_s = 0.0
        self.waiting: str | None = None

    def fence(self) -> None:
        self._topic.epoch += 1
        self._epoch = self._topic.epoch

    def close_older(self, cursor: Cursor | None) -> None:
        """Nothing is ever left open here."""

    def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
        if self._epoch != self._topic.epoch:
            raise FencedError("fenced")
        if self.failures:
            raise self.failures.popleft()
        self._topic.committed += entries
        self._topic.cursor = cursor
        self._topic.cursors.append(cursor)
        self._topic.transactions.append(len(entries))
        if self.lost_answers:
            raise self.lost_answers.popleft()

    def interrupt(self, *, within_s: float) -> None:
        self.interrupted_within_s = within_s
