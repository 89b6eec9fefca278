"""The demo as an observer of Kafka: how far the group is, how many dead letters there are. Blocking."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, TopicPartition
from dicomcast_runtime.errors import DependencyError

__all__ = ["GroupOffsets"]

_TIMEOUT_S: Final = 10.0


class GroupOffsets:
    """Offsets of one group on one topic. Never joins the group."""

    def __init__(self, client: Mapping[str, Any], *, topic: str, group: str) -> None:
        """`client`: librdkafka properties of any client."""
        self._config = {
            **client,
            "group.id": group,
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "log_level": 2,
        }
        self._topic = topic
        self._consumer = Consumer(self._config)

    def count(self, topic: str) -> int:
        """How many records `topic` has, where it holds nothing else and loses none. Raises DependencyError."""
        bounds = self._bounds(topic)
        return sum(end - first for first, end in bounds.values())

    def begun(self) -> bool:
        """Whether the group has offsets for every partition. Raises DependencyError."""
        return all(offset >= 0 for offset in self._committed(self._bounds(self._topic)).values())

    def lag(self) -> int:
        """Events that are on the topic and not yet finished by the group. Raises DependencyError."""
        bounds = self._bounds(self._topic)
        committed = self._committed(bounds)
        return sum(end - max(first, committed[partition]) for partition, (first, end) in bounds.items())

    def close(self) -> None:
        """Leaves Kafka."""
        self._consumer.close()

    def _committed(self, partitions: Iterable[int]) -> dict[int, int]:
        asked = [TopicPartition(self._topic, partition) for partition in partitions]
        try:
            return {place.partition: place.offset for place in self._consumer.committed(asked, timeout=_TIMEOUT_S)}
        except KafkaException as error:
            raise _unanswered(error) from None

    def _bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        try:
            partitions = self._consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
            places = {partition: TopicPartition(topic, partition) for partition in partitions}
            return {p: self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S) for p, place in places.items()}
        except KafkaException as error:
            raise _unanswered(error) from None


def _unanswered(error: KafkaException) -> DependencyError:
    return DependencyError(f"Kafka does not answer the demo: {error.args[0].str()}")
