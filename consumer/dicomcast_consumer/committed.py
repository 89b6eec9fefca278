"""The offsets of a group, asked of its coordinator by a consumer. Blocking.

Not by an admin client: librdkafka's (2.16) ends the process, by a null pointer, when the coordinator is still loading.
"""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from dicomcast_runtime.kafka_refusal import MOVING

__all__ = ["asked", "committed"]

T = TypeVar("T")

_PAUSE_S: Final = 0.2


def committed(consumer: Consumer, places: list[TopicPartition], *, within_s: float) -> list[TopicPartition]:
    """The group's offset of each partition, OFFSET_INVALID where it has none. Raises KafkaException."""

    def ask() -> list[TopicPartition]:
        found = consumer.committed(places, timeout=within_s)
        errors = [place.error for place in found if place.error is not None]
        if errors:
            raise KafkaException(errors[0])
        return found

    return asked(ask, within_s=within_s)


def asked(ask: Callable[[], T], *, within_s: float) -> T:
    """The answer; a broker that is away, or a leader or coordinator that is moving, is asked again for a while."""
    until_s = time.monotonic() + within_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in MOVING or time.monotonic() > until_s:
                raise
            time.sleep(_PAUSE_S)
