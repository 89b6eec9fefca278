"""The offsets of a group, asked of its coordinator by a consumer. Blocking.

Not by an admin client: librdkafka's (2.16) ends the process, by a null pointer, when the coordinator is still loading.
"""

from confluent_kafka import Consumer, KafkaException, TopicPartition
from dicomcast_runtime.kafka_answers import asked

__all__ = ["committed"]


def committed(consumer: Consumer, places: list[TopicPartition], *, within_s: float) -> list[TopicPartition]:
    """The group's offset of each partition, OFFSET_INVALID where it has none. Raises KafkaException."""

    def ask() -> list[TopicPartition]:
        found = consumer.committed(places, timeout=within_s)
        errors = [place.error for place in found if place.error is not None]
        if errors:
            raise KafkaException(errors[0])
        return found

    return asked(ask, within_s=within_s)
