"""Reading a group's dead letters and which of them are done. Blocking."""

from collections.abc import Collection, Iterator

from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas.topic import dead_letter_topic, done_topic

from .dlq import DeadLetter, read_letter
from .dlq_done import KeptLetter, kept_letters, read_marks
from .group_admin import GroupAdmin, LogEnds
from .progress import progress
from .record import Record
from .topic_reader import TopicReader

__all__ = ["LetterTopics"]


class LetterTopics:
    """The dead-letter topic of a group, and the topic that says which letters are done."""

    def __init__(self, kafka: KafkaSettings, *, topic: str, group: str) -> None:
        self._kafka = kafka
        self._group = group
        self._admin = GroupAdmin(kafka, topic=topic, group=group)
        self.letters = dead_letter_topic(topic, group)
        self.done = done_topic(topic, group)

    def kept(self) -> list[KeptLetter]:
        """Each rejected event once, as it stands when this is called. Raises ConfigurationError without the topic."""
        log = self._log()
        marks = read_marks(self._done_records())  # before the letters: one that is newer than its mark is pending
        return kept_letters(self._headers(log), marks)

    def record(self, partition: int, offset: int) -> Record | None:
        """One record of the dead-letter topic."""
        ends = self._log().get(partition)
        if ends is None or not ends.begin <= offset < ends.end:
            return None
        return next(iter(self.records(partition, [offset])), None)

    def records(self, partition: int, offsets: Collection[int]) -> list[Record]:
        """The records of the dead-letter topic at these offsets, those that are still there."""
        with TopicReader(self._kafka, topic=self.letters, group=self._group) as reader:
            found = reader.read({partition: (min(offsets), max(offsets) + 1)})
            return [record for record in found if record.offset in offsets]

    def has_done_topic(self) -> bool:
        """Whether letters can be marked as done."""
        return self._admin.exists(self.done)

    def _log(self) -> dict[int, LogEnds]:
        log = self._admin.log_ends(self.letters)
        if not log:
            raise ConfigurationError(
                f"the dead-letter topic {self.letters} does not exist, or this client may not see it: check "
                "DICOMCAST_TOPIC__NAME and DICOMCAST_CONSUMER__GROUP"
            )
        return log

    def _headers(self, log: dict[int, LogEnds]) -> Iterator[DeadLetter]:
        ranges = {partition: (ends.begin, ends.end) for partition, ends in log.items()}
        total = sum(end - start for start, end in ranges.values())
        reader = TopicReader(self._kafka, topic=self.letters, group=self._group)
        with reader as records, progress("reading dead letters", total=total) as advance:
            for record in records.read(ranges):
                advance(1)
                yield read_letter(record)

    def _done_records(self) -> list[Record]:
        if not self.has_done_topic():
            return []
        ranges = {partition: (ends.begin, ends.end) for partition, ends in self._admin.log_ends(self.done).items()}
        with TopicReader(self._kafka, topic=self.done, group=self._group) as records:
            return list(records.read(ranges))
