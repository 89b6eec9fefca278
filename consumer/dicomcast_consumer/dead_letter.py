"""Dead letters: the record as it was, on the same partition number of the group's dead-letter topic, with the reason.

The offset of a rejected event moves on only after the broker has acknowledged its letter (G3).
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message
from dicomcast_runtime.errors import DependencyError
from dicomcast_runtime.kafka_clients import Producer
from dicomcast_runtime.kafka_refusal import property_error
from dicomcast_schemas.topic import DeadLetterHeader, rfc3339

from .errors import RejectedError
from .record import Record

__all__ = ["DeadLetterProducer", "Letter", "letter_headers", "letter_producer"]

_MAX_TEXT: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A rejected record on its way to the dead-letter topic."""

    record: Record
    headers: tuple[tuple[str, bytes | None], ...]


def letter_headers(
    record: Record, error: RejectedError, *, group: str, failed_at: datetime, attempts: int = 1
) -> tuple[tuple[str, bytes | None], ...]:
    """The record's own headers, then ours in the place of any `dlq.` headers: the topic of changes is open to others,
    and what they say there is not believed. `record` stands at its place on that topic, also a replayed letter's.
    """
    h = DeadLetterHeader
    ours: dict[str, str] = {
        h.REASON: error.reason,
        h.ERROR_CODE: error.code,
        h.ERROR_MESSAGE: error.detail[:_MAX_TEXT],
        h.ATTEMPTS: str(attempts),
        h.FAILED_AT: rfc3339(failed_at),
        h.SOURCE_TOPIC: record.topic,
        h.SOURCE_PARTITION: str(record.partition),
        h.SOURCE_OFFSET: str(record.offset),
        h.SOURCE_GROUP: group,
        h.RECORD_TIMESTAMP: str(record.timestamp_ms),
    }
    if error.http_status is not None:
        ours[h.HTTP_STATUS] = str(error.http_status)
    kept = tuple((name, value) for name, value in record.headers if name not in h.ALL)
    return kept + tuple((name, text.encode()) for name, text in ours.items())


def letter_producer(config: Mapping[str, Any]) -> Producer:
    """What produces letters. Raises ConfigurationError when librdkafka refuses a property."""
    try:
        return Producer(dict(config))
    except KafkaException as error:
        raise property_error(error.args[0]) from None


class DeadLetterProducer:
    """Produces letters; used by the Kafka thread alone."""

    def __init__(self, *, topic: str, config: Mapping[str, Any]) -> None:
        self._topic = topic
        self._producer = letter_producer(config)

    def send(self, letter: Letter, answer: Callable[[str | None], None]) -> None:
        """Produces the letter. `answer` gets None once it is acknowledged, else the error's name; it is called in a
        later `poll`, or at once when the client does not take it."""

        def delivered(error: KafkaError | None, _: Message) -> None:
            answer(None if error is None else str(error.name()))

        try:
            self._producer.produce(
                self._topic,
                key=letter.record.key,
                value=letter.record.value,
                headers=list(letter.headers),
                partition=letter.record.partition,
                on_delivery=delivered,
            )
        except KafkaException as error:
            answer(str(error.args[0].name()))
        except BufferError:
            answer("_QUEUE_FULL")

    def poll(self) -> None:
        """Serves the answers that have come. Raises DependencyError when the client has failed for good, as an
        idempotent one may: the next process sends what was not acknowledged anew."""
        try:
            self._producer.poll(0)
        except KafkaException as error:
            text = error.args[0].str()
            raise DependencyError(f"the producer of dead letters has failed for good ({text}): start again") from None

    def flush(self, timeout_s: float) -> None:
        """Waits for the letters on their way."""
        with contextlib.suppress(KafkaException):  # it has failed for good, which poll says
            self._producer.flush(timeout_s)
