"""What a Kafka error means to a person."""

from collections.abc import Iterable

from confluent_kafka import KafkaError
from dicomcast_runtime.errors import BrokenContractError, DependencyError, StopError
from dicomcast_runtime.kafka_refusal import refusal

__all__ = ["no_answer", "offset_gone", "stop_error"]


def stop_error(
    doing: str, error: KafkaError, others: Iterable[KafkaError] = (), *, servers: str, topic: str = "", group: str = ""
) -> StopError:
    """The error to end with when `doing` failed; `others` are what the client reported besides, the last one last.

    ConfigurationError when the broker refuses this client, naming the right that it takes on topic or group; else
    DependencyError, naming `servers`, which is bootstrap.servers.
    """
    reported = list(others)
    causes = [str(other.str()) for other in reported if other.code() != KafkaError._ALL_BROKERS_DOWN]
    reason = ": ".join([error.name(), *causes[-1:]])
    return refusal(doing, (error, *reported), topic=topic, group=group) or no_answer(doing, reason, servers=servers)


def no_answer(doing: str, reason: str, *, servers: str) -> DependencyError:
    """The error to end with when Kafka is away."""
    return DependencyError(
        f"{doing}: Kafka at {servers} does not answer as it should ({reason}): is it up and reachable? Start it, or "
        "correct DICOMCAST_KAFKA__BOOTSTRAP_SERVERS; `dicomcast-consumer doctor` tells more"
    )


def offset_gone(topic: str, partition: int | None) -> BrokenContractError:
    """The error to end with when the group's offset is outside the log."""
    return BrokenContractError(
        f"the group's offset in {topic}[{partition}] is not in the topic any more (retention passed it, or the topic "
        "was made anew). Nothing was skipped: decide with `dicomcast-consumer replay plan`"
    )
