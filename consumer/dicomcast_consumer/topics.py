"""The topic and its dead-letter topic, as they must be before the first record is read."""

import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from dicomcast_runtime.errors import BrokenContractError, ConfigurationError
from dicomcast_schemas.topic import dead_letter_topic

__all__ = ["check_topics"]

log = structlog.get_logger("dicomcast.topics")

_WAIT_S: Final = 5.0


def check_topics(config: Mapping[str, Any], *, topic: str, group: str) -> int:
    """The topic's partition count. Blocks for as long as no broker answers, saying so.

    Raises BrokenContractError when a topic does not exist or the dead-letter topic has another partition count, and
    ConfigurationError when the broker refuses the client.
    """
    letters = dead_letter_topic(topic, group)
    found = {name: _partitions(config, name) for name in (topic, letters)}
    for name, count in found.items():
        if not count:
            raise BrokenContractError(
                f"the topic {name} does not exist, or this client may not see it: "
                f"`dicomcast-producer topics apply --group {group}` creates it"
            )
    if found[topic] != found[letters]:
        raise BrokenContractError(
            f"{topic} has {found[topic]} partitions and {letters} has {found[letters]}: a dead letter keeps its "
            "record's partition number, so both must have the same count"
        )
    return found[topic]


def _partitions(config: Mapping[str, Any], topic: str) -> int:
    refused: list[KafkaError] = []
    admin = AdminClient({**config, "log_level": 2}, error_cb=refused.append)
    waited = False
    while True:
        try:
            found = admin.list_topics(topic, timeout=_WAIT_S).topics[topic]
        except KafkaException as error:
            _check(error.args[0], refused)
            if not waited:
                log.warning("kafka.waiting", reason=error.args[0].name())
            waited = True
            time.sleep(0.5)
            continue
        return 0 if found.error is not None else len(found.partitions)


def _check(error: KafkaError, refused: list[KafkaError]) -> None:
    for one in (error, *refused):
        if one.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED):
            raise ConfigurationError(f"Kafka refuses this client: {one.name()}: check DICOMCAST_KAFKA__*")
