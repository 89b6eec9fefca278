"""The topic and its dead-letter topic, as they must be before the first record is read."""

import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._resource import ResourceType
from dicomcast_runtime.errors import BrokenContractError
from dicomcast_runtime.kafka_refusal import refusal
from dicomcast_schemas.topic import dead_letter_topic

from .letter_room import check_room, doubts

__all__ = ["check_topics"]

log = structlog.get_logger("dicomcast.topics")

_WAIT_S: Final = 5.0
_ASK_S: Final = 3.0


def check_topics(config: Mapping[str, Any], *, topic: str, group: str) -> int:
    """The topic's partition count. Blocks for as long as no broker answers, saying so.

    Raises BrokenContractError when a topic does not exist or the dead-letter topic has another partition count, and
    ConfigurationError when the broker refuses the client or a letter might not fit. Warns of a topic that loses
    letters.
    """
    letters = dead_letter_topic(topic, group)
    found = {name: _partitions(config, name, right) for name, right in ((topic, "Read"), (letters, "Write"))}
    for name, count in found.items():
        if not count:
            raise BrokenContractError(
                f"the topic {name} does not exist: `dicomcast-producer topics apply --group {group}` creates it"
            )
    if found[topic] != found[letters]:
        raise BrokenContractError(
            f"{topic} has {found[topic]} partitions and {letters} has {found[letters]}: a dead letter keeps its "
            "record's partition number, so both must have the same count"
        )
    _check_room(config, topic=topic, letters=letters)
    return found[topic]


def _check_room(config: Mapping[str, Any], *, topic: str, letters: str) -> None:
    """Where the client may read the topics' configuration (DESCRIBE_CONFIGS) and the brokers tell; it is no must."""
    events, own = _configurations(config, topic, letters)
    check_room(letters, own, events=events)
    found = doubts(own, events=events)
    if found:
        log.warning("dead_letter_topic.doubtful", topic=letters, properties=found)


def _configurations(config: Mapping[str, Any], *topics: str) -> tuple[dict[str, str], ...]:
    """Of each topic; empty where it cannot be read."""
    admin = AdminClient({**config, "log_level": 2})
    asked = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
    futures = admin.describe_configs(asked, request_timeout=_ASK_S)
    found: list[dict[str, str]] = []
    for resource in asked:
        try:
            entries = futures[resource].result(2 * _ASK_S)
        except (KafkaException, TimeoutError):
            entries = {}
        found.append({entry.name: entry.value for entry in entries.values() if entry.value is not None})
    return tuple(found)


def _partitions(config: Mapping[str, Any], topic: str, right: str) -> int:
    doing, needed = f"looking at topic {topic}", f"{right} on topic {topic}"
    refused: list[KafkaError] = []
    admin = AdminClient({**config, "log_level": 2}, error_cb=refused.append)
    waited = False
    while True:
        try:
            found = admin.list_topics(topic, timeout=_WAIT_S).topics[topic]
        except KafkaException as error:
            admin.poll(0)  # what it has to report comes in its poll alone
            stop = refusal(doing, (error.args[0], *refused), topic=needed)
            if stop is not None:
                raise stop from None
            if not waited:
                log.warning("kafka.waiting", reason=error.args[0].name())
            waited = True
            time.sleep(0.5)
            continue
        if found.error is None:
            return len(found.partitions)
        stop = refusal(doing, (found.error,), topic=needed)
        if stop is not None:
            raise stop
        return 0
