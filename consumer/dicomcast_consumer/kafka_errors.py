"""What a Kafka error means to a person."""

from collections.abc import Iterable

from confluent_kafka import KafkaError
from dicomcast_runtime.errors import BrokenContractError, DependencyError, StopError
from dicomcast_runtime.kafka_refusal import refusal

__all__ = ["offset_gone", "stop_error"]


def stop_error(
    doing: str, error: KafkaError, others: Iterable[KafkaError] = (), *, topic: str = "", group: str = ""
) -> StopError:
    """The error to end with when `doing` failed; `others` are what the client reported besides.

    ConfigurationError when the broker refuses this client, naming the right that it takes on topic or group; else
    DependencyError.
    """
    return refusal(doing, (error, *others), topic=topic, group=group) or DependencyError(
        f"{doing}: Kafka does not answer as it should ({error.name()}): is it up and reachable?"
    )


def offset_gone(topic: str, partition: int | None) -> BrokenContractError:
    """The error to end with when the group's offset is outside the log."""
    return BrokenContractError(
        f"the group's offset in {topic}[{partition}] is not in the topic any more (retention passed it, or the topic "
        "was made anew). Nothing was skipped: decide with `dicomcast-consumer replay plan`"
    )
