"""The topic and its dead-letter topic, as they must be before the first record is read."""

import time
from typing import Final

import structlog
from dicomcast_runtime.errors import BrokenContractError, DependencyError
from dicomcast_runtime.kafka_look import KafkaLook
from dicomcast_schemas.topic import dead_letter_topic

from .letter_room import check_room, doubts

__all__ = ["check_topics", "require_same_count", "require_topic"]

log = structlog.get_logger("dicomcast.topics")

_AGAIN_S: Final = 0.5
_TELL_EVERY_S: Final = 60.0


def check_topics(look: KafkaLook, *, topic: str, group: str) -> int:
    """The topic's partition count. Blocks for as long as no broker answers, saying so.

    Raises BrokenContractError when a topic does not exist or the dead-letter topic has another partition count, and
    ConfigurationError when the broker refuses the client or a letter might not fit. Warns of a topic that loses
    letters.
    """
    letters = dead_letter_topic(topic, group)
    found = {name: _partitions(look, name, right) for name, right in ((topic, "Read"), (letters, "Write"))}
    for name, count in found.items():
        require_topic(name, count, group=group)
    require_same_count((topic, found[topic]), (letters, found[letters]))
    _check_room(look, topic=topic, letters=letters)
    return found[topic]


def require_topic(name: str, partitions: int, *, group: str) -> None:
    """Raises BrokenContractError for a topic without partitions: it does not exist."""
    if not partitions:
        raise BrokenContractError(
            f"the topic {name} does not exist: `dicomcast-producer topics apply --group {group}` creates it"
        )


def require_same_count(events: tuple[str, int], letters: tuple[str, int]) -> None:
    """Raises BrokenContractError when the two topics (name, partition count) differ in their partition count."""
    if events[1] == letters[1]:
        return
    way_out = (
        f"`kafka-topics --alter --topic {letters[0]} --partitions {events[1]}`, unless it is {events[0]} that was "
        "changed, which must never be"
        if letters[1] < events[1]
        else f"once its letters are seen to, delete {letters[0]} and let `dicomcast-producer topics apply` make it anew"
    )
    raise BrokenContractError(
        f"{events[0]} has {events[1]} partitions and {letters[0]} has {letters[1]}: a dead letter keeps its record's "
        f"partition number, so both must have the same count: {way_out}"
    )


def _check_room(look: KafkaLook, *, topic: str, letters: str) -> None:
    """Where the client may read the topics' configuration (DESCRIBE_CONFIGS) and the brokers tell; it is no must."""
    events, own = look.configurations(topic, letters)
    check_room(letters, own, events=events)
    found = doubts(own, events=events)
    if found:
        log.warning("dead_letter_topic.doubtful", topic=letters, properties=found)


def _partitions(look: KafkaLook, topic: str, right: str) -> int:
    told_at_s = -_TELL_EVERY_S
    while True:
        try:
            return look.partitions(topic, right)
        except DependencyError as error:
            if time.monotonic() - told_at_s >= _TELL_EVERY_S:
                told_at_s = time.monotonic()
                log.warning("kafka.waiting", reason=str(error))
            time.sleep(_AGAIN_S)
