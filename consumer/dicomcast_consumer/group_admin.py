"""A consumer group and its topic as the brokers have them: log ends, committed offsets, members; altering offsets."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]  # not in its __all__
from dicomcast_runtime.errors import BrokenContractError, StopError
from dicomcast_runtime.kafka_answers import answer_of, asked
from dicomcast_runtime.kafka_clients import AdminClient, ReadingConsumer
from dicomcast_runtime.kafka_refusal import property_error
from dicomcast_runtime.kafka_settings import KafkaSettings

from .committed import committed
from .kafka_errors import no_answer, stop_error

__all__ = ["OF_CONSUMERS", "GroupAdmin", "LogEnds", "Member"]

T = TypeVar("T")

_TIMEOUT_S: Final = 15.0
_SEEN_S: Final = 5.0
_EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]
OF_CONSUMERS: Final = (
    *("group.instance.id", "group.protocol", "session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms"),
    *("partition.assignment.strategy", "queued.max.messages.kbytes", "fetch.message.max.bytes", "fetch.max.bytes"),
    *("fetch.queue.backoff.ms", "fetch.wait.max.ms", "queued.min.messages"),
)
"""Properties that only consumers take; other clients warn of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEnds:
    """The log of one partition: offsets in [begin, end) exist, not all of them are records."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A live member of the group."""

    member_id: str
    client_id: str
    host: str
    partitions: tuple[int, ...]
    """Of this topic, ascending."""


class GroupAdmin:
    """One group on one topic. Raises DependencyError when Kafka stays away, ConfigurationError when it refuses."""

    def __init__(self, kafka: KafkaSettings, *, topic: str, group: str) -> None:
        self.topic = topic
        self.group = group
        self._servers = kafka.root["bootstrap.servers"]
        self._reported: list[KafkaError] = []
        config: dict[str, Any] = {n: v for n, v in kafka.client().items() if n not in OF_CONSUMERS}
        try:
            self._config = config | {"error_cb": self._reported.append, "log_level": 2}
            self._admin = AdminClient(self._config)
        except KafkaException as error:
            raise property_error(error.args[0]) from None

    def partitions(self) -> tuple[int, ...]:
        """The topic's partitions. Raises BrokenContractError when it does not exist."""
        found = self.partitions_of(self.topic)
        if not found:
            raise BrokenContractError(
                f"the topic {self.topic} does not exist, or this client may not see it: "
                "check DICOMCAST_TOPIC__NAME, or create it with `dicomcast-producer topics apply`"
            )
        return found

    def partitions_of(self, topic: str) -> tuple[int, ...]:
        """The partitions of any topic, empty when it does not exist."""
        try:
            found = self._admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        except KafkaException as error:
            raise self._stop("asking for the topic", error.args[0], topic) from None
        if found.error is not None and found.error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise self._stop("asking for the topic", found.error, topic)
        return () if found.error is not None else tuple(sorted(found.partitions))

    def exists(self, topic: str) -> bool:
        """Whether the topic exists. Raises ConfigurationError when this client may not see it.

        Metadata are not asked for by name: some brokers would make it.
        """
        try:
            if topic in self._admin.list_topics(timeout=_TIMEOUT_S).topics:
                return True
        except KafkaException as error:
            raise self._stop("asking for the topics", error.args[0]) from None
        future = self._admin.describe_topics(TopicCollection([topic]), request_timeout=_SEEN_S)[topic]
        try:
            future.result(timeout=2 * _SEEN_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise self._stop("asking for the topic", error.args[0], topic) from None
            return False
        except TimeoutError:  # librdkafka's mock cluster does not answer this
            return False
        return True

    def log_ends(self, topic: str | None = None) -> dict[int, LogEnds]:
        """First offset and end (high watermark) of each partition of the group's topic, or of another one."""
        name = topic or self.topic
        partitions = self.partitions() if topic is None else self.partitions_of(topic)
        begins = self._offsets(name, dict.fromkeys(partitions, _EARLIEST))
        ends = self._offsets(name, dict.fromkeys(partitions, _LATEST))
        return {partition: LogEnds(begin=begins[partition], end=ends[partition]) for partition in partitions}

    def offsets_at(self, timestamp_ms: int) -> dict[int, int | None]:
        """Per partition the first offset whose record has this timestamp or a later one; None without one."""
        spec = OffsetSpec.for_timestamp(timestamp_ms)
        found = self._offsets(self.topic, dict.fromkeys(self.partitions(), spec))
        return {partition: offset if offset >= 0 else None for partition, offset in found.items()}

    def committed(self) -> dict[int, int | None]:
        """The group's committed offset of each partition; None where it has none."""
        self.members()  # names a right that is missing, for which a consumer would wait without a word
        places = [TopicPartition(self.topic, partition) for partition in self.partitions()]
        consumer = ReadingConsumer(self._config | {"group.id": self.group, "enable.auto.commit": False})
        try:
            found = committed(consumer, places, within_s=_TIMEOUT_S)
        except KafkaException as error:
            raise self._stop("reading the group's offsets", error.args[0]) from None
        finally:
            consumer.close()
        return {item.partition: item.offset if item.offset >= 0 else None for item in found}

    def members(self) -> tuple[Member, ...] | None:
        """The live members; None where the brokers cannot tell (librdkafka's mock cluster)."""

        def ask() -> Any:
            found = self._admin.describe_consumer_groups([self.group], request_timeout=_TIMEOUT_S)
            return answer_of(found[self.group], within_s=_TIMEOUT_S)

        try:
            found = asked(ask, within_s=_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() in (KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION):
                return None
            raise self._stop("describing the group", error.args[0]) from None
        return tuple(sorted((self._member(item) for item in found.members), key=lambda member: member.partitions))

    def alter(self, offsets: Mapping[int, int]) -> dict[int, str | None]:
        """Asks for new committed offsets; the error's name per partition, None where it was accepted.

        The client raises nothing for a refused partition (tried: UNKNOWN_MEMBER_ID of a group with live members), and
        an accepted one is proven only by reading it back.
        """
        wanted = [TopicPartition(self.topic, partition, offset) for partition, offset in sorted(offsets.items())]
        request = [ConsumerGroupTopicPartitions(self.group, wanted)]
        future = self._admin.alter_consumer_group_offsets(request, request_timeout=_TIMEOUT_S)[self.group]
        try:
            answers = answer_of(future, within_s=_TIMEOUT_S).topic_partitions
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_MEMBER_ID:
                return dict.fromkeys(offsets, error.args[0].name())
            raise self._stop("altering the group's offsets", error.args[0], right="Read") from None
        named = {item.partition: item.error.name() if item.error is not None else None for item in answers}
        return {partition: named.get(partition, "NO_ANSWER") for partition in offsets}

    def _stop(self, doing: str, error: KafkaError, topic: str | None = None, right: str = "Describe") -> StopError:
        """What looking takes; `topic` where it is not the group's, `right` on the group where it is not to look."""
        self._admin.poll(0)  # what the client has to report comes in its poll alone
        rights = {"topic": f"Read on topic {topic or self.topic}", "group": f"{right} on group {self.group}"}
        return stop_error(doing, error, self._reported, servers=self._servers, **rights)

    def _member(self, item: Any) -> Member:
        assigned = item.assignment.topic_partitions if item.assignment else ()
        return Member(
            member_id=item.member_id,
            client_id=item.client_id,
            host=str(item.host).lstrip("/"),
            partitions=tuple(sorted(each.partition for each in assigned if each.topic == self.topic)),
        )

    def _offsets(self, topic: str, specs: Mapping[int, OffsetSpec]) -> dict[int, int]:
        if not specs:
            return {}
        request = {TopicPartition(topic, partition): spec for partition, spec in specs.items()}
        futures = self._admin.list_offsets(request, request_timeout=_TIMEOUT_S)
        return {
            asked.partition: self._answer(f"asking for offsets of partition {asked.partition}", future, topic).offset
            for asked, future in futures.items()
        }

    def _answer(self, doing: str, future: "Future[T]", topic: str | None = None) -> T:
        try:
            return future.result(timeout=2 * _TIMEOUT_S)
        except KafkaException as error:
            raise self._stop(doing, error.args[0], topic) from None
        except TimeoutError:
            raise no_answer(doing, f"nothing in {2 * _TIMEOUT_S:.0f} s", servers=self._servers) from None
