"""What a Kafka error means to a person at the command line."""

from collections.abc import Iterable

from confluent_kafka import KafkaError
from dicomcast_runtime.errors import ConfigurationError, DependencyError, StopError
from dicomcast_runtime.kafka_refusal import refusal

__all__ = ["property_error", "stop_error"]


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


def property_error(error: KafkaError) -> ConfigurationError:
    """The error to end with when librdkafka refuses a property; its text names the property."""
    return ConfigurationError(f"DICOMCAST_KAFKA__*: {error.str()}")
