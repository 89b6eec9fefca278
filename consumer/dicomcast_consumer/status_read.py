"""Reading how far a consumer group is. Blocking."""

from collections.abc import Mapping

from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas.topic import dead_letter_topic

from .group_admin import GroupAdmin, LogEnds
from .status import GroupStatus, group_status
from .topic_reader import TopicReader

__all__ = ["StatusReader"]


class StatusReader:
    """Looks at one group on one topic, as often as it is asked."""

    def __init__(self, kafka: KafkaSettings, *, topic: str, group: str) -> None:
        self._kafka = kafka
        self._topic = topic
        self._group = group
        self._admin = GroupAdmin(kafka, topic=topic, group=group)

    def read(self) -> GroupStatus:
        """As it stands now. Raises StopError when Kafka stays away or refuses."""
        letters = dead_letter_topic(self._topic, self._group)
        committed, log = self._admin.committed(), self._admin.log_ends()
        return group_status(
            topic=self._topic,
            group=self._group,
            dead_letter_topic=letters,
            log=log,
            committed=committed,
            oldest_ms=self._oldest(committed, log),
            members=self._admin.members(),
            letters=self._admin.log_ends(letters),
        )

    def _oldest(self, committed: Mapping[int, int | None], log: Mapping[int, LogEnds]) -> dict[int, int]:
        """Per partition the timestamp of the first record from where the group reads on."""
        starts = {p: ends.begin if (offset := committed.get(p)) is None else offset for p, ends in log.items()}
        ranges = {p: (max(starts[p], ends.begin), ends.end) for p, ends in log.items()}
        unfinished = {p: (start, end) for p, (start, end) in ranges.items() if start < end}
        if not unfinished:
            return {}
        with TopicReader(self._kafka, topic=self._topic, group=self._group) as records:
            found = records.first(unfinished, lambda _: True)
        return {partition: record.timestamp_ms for partition, record in found.items()}
