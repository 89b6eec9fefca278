"""What a Kafka error means to a person at the command line."""

from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError
from dicomcast_runtime.errors import ConfigurationError, DependencyError, StopError

__all__ = ["property_error", "stop_error"]

_REFUSED: Final = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
    }
)


def stop_error(doing: str, error: KafkaError, others: Iterable[KafkaError] = ()) -> StopError:
    """The error to end with when `doing` failed; `others` are what the client reported besides.

    ConfigurationError when the broker refuses this client, else DependencyError.
    """
    for one in (error, *others):
        if one.code() in _REFUSED:
            return ConfigurationError(
                f"{doing}: Kafka refuses this client ({one.name()}): check the credentials in DICOMCAST_KAFKA__* and "
                "what they are allowed on the topic and the group"
            )
    return DependencyError(f"{doing}: Kafka does not answer as it should ({error.name()}): is it up and reachable?")


def property_error(error: KafkaError) -> ConfigurationError:
    """The error to end with when librdkafka refuses a property; its text names the property."""
    return ConfigurationError(f"DICOMCAST_KAFKA__*: {error.str()}")
