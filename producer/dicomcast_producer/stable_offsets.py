"""Whether what was committed can be seen: the last stable offset of a partition beside its end. Blocking.

A commit is answered once the coordinator has decided; the markers that end the transaction on each partition come
after it. A broker can lose them: seen with Kafka 4.3 when its only broker was frozen and fenced for a moment, and the
transaction counted as complete all the same ("hanging transaction", KIP-664). Then read_committed readers stop at its
first record.
"""

import time
from collections.abc import Collection, Mapping

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin._listoffsets import OffsetSpec
from dicomcast_runtime.client_errors import ClientErrors
from dicomcast_runtime.kafka_answers import answer_of
from dicomcast_runtime.kafka_clients import AdminClient, ReadingConsumer
from dicomcast_runtime.kafka_refusal import refusal
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas.topic import text_headers

from .errors import RetryableError
from .record import Record

__all__ = ["Place", "StableOffsets"]

Place = tuple[str, int]
"""Topic and partition."""


class StableOffsets:
    """Asks the leaders. Takes the right to describe the topics."""

    def __init__(self, kafka: KafkaSettings, *, timeout_s: float = 10.0) -> None:
        self._kafka = kafka
        self._errors = ClientErrors()
        self._timeout_s = timeout_s
        self._admin: AdminClient | None = None

    def behind(self, places: Collection[Place]) -> dict[Place, int]:
        """The last stable offset of those whose end is beyond it. Raises RetryableError."""
        try:
            stable = self._latest(places, IsolationLevel.READ_COMMITTED)
            ends = self._latest(places, IsolationLevel.READ_UNCOMMITTED)
        except KafkaException as failure:
            raise self._named("asking for the last stable offsets", failure) from None
        return {place: offset for place, offset in stable.items() if offset < ends[place]}

    def partitions(self, topic: str) -> list[Place]:
        """Of a topic that exists. Raises RetryableError."""
        try:
            found = self._client().list_topics(topic, timeout=self._timeout_s).topics[topic]
        except KafkaException as failure:
            raise self._named("asking for the partitions", failure) from None
        if found.error is not None:
            raise RetryableError(f"topic {topic}: {found.error.str()}")
        return [(topic, partition) for partition in found.partitions]

    def last_record(self, place: Place, start: int) -> Record | None:
        """The last record of a partition at or after `start`, committed or not.

        Raises RetryableError; ConfigurationError without the right to read the topic.
        """
        config = self._kafka.client(
            group_id="dicomcast-cursor",  # never used: nothing is subscribed to, nothing committed
            isolation_level="read_uncommitted",
            enable_auto_commit=False,
            enable_partition_eof=True,
            auto_offset_reset="error",
        )
        consumer = ReadingConsumer(self._errors.config(config))
        try:
            consumer.assign([TopicPartition(*place, start)])
            return self._read_last(consumer, place)
        except KafkaException as failure:
            doing = f"reading what was left open on {place[0]}"
            refused = refusal(doing, (failure.args[0],), topic=f"Read on topic {place[0]}")
            raise refused or self._named(doing, failure) from None
        finally:
            consumer.close()

    def _read_last(self, consumer: Consumer, place: Place) -> Record | None:
        deadline, last = time.monotonic() + self._timeout_s, None
        while time.monotonic() < deadline:
            message = consumer.poll(0.2)
            if message is None:
                continue
            error = message.error()
            if error is None:
                last = message
            elif error.code() == KafkaError._PARTITION_EOF:
                return None if last is None else _record(last)
            elif error.code() != KafkaError.GROUP_AUTHORIZATION_FAILED:  # the group is only a name here
                raise KafkaException(error)
        raise RetryableError(f"{place[0]}[{place[1]}] cannot be read to its end")

    def _named(self, doing: str, failure: KafkaException) -> RetryableError:
        self._admin = None
        error: KafkaError = failure.args[0]
        return RetryableError(f"{doing}: {self._errors.reason(error)}")

    def _client(self) -> AdminClient:
        if self._admin is None:
            self._admin = AdminClient(self._errors.config(self._kafka.client()))
        return self._admin

    def _latest(self, places: Collection[Place], isolation: IsolationLevel) -> Mapping[Place, int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(topic, partition): latest for topic, partition in places}
        answers = self._client().list_offsets(wanted, isolation_level=isolation, request_timeout=self._timeout_s)
        return {
            (place.topic, place.partition): answer_of(future, within_s=self._timeout_s).offset
            for place, future in answers.items()
        }


def _record(message: Message) -> Record:
    headers = [(name, value.encode()) for name, value in text_headers(message.headers()).items()]
    return Record(key=_bytes(message.key()), value=_bytes(message.value()), headers=headers, metadata_too_large=False)


def _bytes(given: str | bytes | None) -> bytes:
    return given.encode() if isinstance(given, str) else given or b""
