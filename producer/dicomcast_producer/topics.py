"""The topics of the contract: what they must be, what they are, and making them so. Blocking.

dicom.changes.v1                    events; arrival is their timestamp (LogAppendTime), or a first run over years of
                                    history would have expired before it was read
dicom.changes.v1.cursor             the producer's cursor; compacted, one partition
dicom.changes.v1.<group>.dlq        a group's dead letters; the partitions of the events, room for the added headers
dicom.changes.v1.<group>.dlq.done   which of them have been seen to; compacted, one partition
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.admin._topic import TopicDescription
from confluent_kafka.cimpl import NewTopic
from dicomcast_runtime.client_errors import ClientErrors
from dicomcast_runtime.errors import BrokenContractError, ConfigurationError
from dicomcast_runtime.kafka_answers import answer_of
from dicomcast_runtime.kafka_clients import AdminClient
from dicomcast_runtime.kafka_refusal import property_error, refusal
from dicomcast_runtime.kafka_settings import KafkaSettings, TopicSettings
from dicomcast_schemas.topic import cursor_topic, dead_letter_topic, done_topic

from .errors import RetryableError
from .record import BATCH_OVERHEAD_BYTES

__all__ = ["ActualTopic", "Change", "Topics", "WantedTopic", "changes", "wanted_topics"]

DEAD_LETTER_ROOM_BYTES: Final = 65_536
_ABSENT: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
_AWAY: Final = (KafkaError._TIMED_OUT, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN)
_MS_PER_DAY: Final = 86_400_000
_FOR_EVER: Final = "-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedTopic:
    """What a topic must be."""

    name: str
    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActualTopic:
    """What a topic is."""

    name: str
    topic_id: str | None
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be done to one topic."""

    topic: WantedTopic
    create: bool
    config: Mapping[str, tuple[str | None, str]]
    """Name → what it is and what it is to be."""
    wrong_partitions: int | None = None
    """The partition count that cannot be changed."""

    def lines(self) -> list[str]:
        """For a person."""
        head = [f"create with {self.topic.partitions} partitions"] if self.create else []
        if self.wrong_partitions is not None:
            head = [f"WRONG: {self.wrong_partitions} partitions, not {self.topic.partitions}; cannot be changed"]
        return head + self.config_lines()

    def config_lines(self) -> list[str]:
        """Of the properties alone."""
        return [
            f"{name}={wanted}" + ("" if self.create else f" (is {now})") for name, (now, wanted) in self.config.items()
        ]


def wanted_topics(settings: TopicSettings, *, groups: Sequence[str], letter_partitions: int) -> tuple[WantedTopic, ...]:
    """The topics of events, of the cursor, and each group's two of dead letters.

    The letters have the partitions that the events have.
    """
    batch = settings.max_record_bytes + BATCH_OVERHEAD_BYTES
    days = settings.retention_days
    retention = _FOR_EVER if days < 0 else str(int(days * _MS_PER_DAY))
    kept = {"cleanup.policy": "delete", "retention.bytes": _FOR_EVER, "message.timestamp.type": "LogAppendTime"}
    events = {**kept, "retention.ms": retention, "max.message.bytes": str(batch)}
    letters = {**kept, "retention.ms": _FOR_EVER, "max.message.bytes": str(batch + DEAD_LETTER_ROOM_BYTES)}
    table = {"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime"}
    return (
        WantedTopic(name=settings.name, partitions=settings.partitions, config=events),
        WantedTopic(name=cursor_topic(settings.name), partitions=1, config=table),
        *(
            topic
            for group in groups
            for topic in (
                WantedTopic(name=dead_letter_topic(settings.name, group), partitions=letter_partitions, config=letters),
                WantedTopic(name=done_topic(settings.name, group), partitions=1, config=table),
            )
        ),
    )


def changes(wanted: Sequence[WantedTopic], actual: Mapping[str, ActualTopic]) -> tuple[Change, ...]:
    """What is to be done, topic by topic; nothing for one that is as it must be."""
    found = []
    for topic in wanted:
        now = actual.get(topic.name)
        if now is None:
            found.append(Change(topic=topic, create=True, config={n: (None, v) for n, v in topic.config.items()}))
            continue
        config = {n: (now.config.get(n), v) for n, v in topic.config.items() if now.config.get(n) != v}
        wrong = now.partitions if now.partitions != topic.partitions else None
        if config or wrong is not None:
            found.append(Change(topic=topic, create=False, config=config, wrong_partitions=wrong))
    return tuple(found)


class Topics:
    """The topics of one Kafka cluster."""

    def __init__(self, kafka: KafkaSettings, *, timeout_s: float = 10.0) -> None:
        self._kafka = kafka
        self._errors = ClientErrors()
        self._admin = self._new_client()
        self._timeout_s = timeout_s
        self._answered = False

    def describe(self, names: Sequence[str], *, with_config: bool = True) -> dict[str, ActualTopic]:
        """Those of the topics that exist. Raises RetryableError, or ConfigurationError when it is not allowed."""
        found = {}
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=self._timeout_s)
        for name, future in futures.items():
            described = self._result(future, "Describe", name, absent_is_none=True)
            if described is not None:
                config = self._config(name) if with_config else {}
                found[name] = _actual(name, described, config)
        return found

    def count_partitions(self, name: str) -> int:
        """By the metadata alone, which every broker has; some create the topic when asked. Raises RetryableError."""
        try:
            topic = self._admin.list_topics(name, timeout=self._timeout_s).topics[name]
        except KafkaException as failure:
            raise self._named(failure.args[0], "Describe", name) from None
        if topic.error is not None:
            raise RetryableError(f"topic {name}: {topic.error.str()}")
        return len(topic.partitions)

    def apply(self, wanted: Sequence[Change], *, replication_factor: int) -> None:
        """Creates and alters topics. Refuses as a whole, with BrokenContractError, when a partition count is wrong."""
        for change in wanted:
            if change.wrong_partitions is not None:
                raise BrokenContractError(_partitions_text(change))
        for change in wanted:
            if change.create:
                self._create(change.topic, replication_factor)
            else:
                self._alter(change)

    def _create(self, topic: WantedTopic, replication_factor: int) -> None:
        new = NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=replication_factor,
            config=dict(topic.config),
        )
        futures = self._admin.create_topics([new], request_timeout=self._timeout_s)
        self._result(futures[topic.name], "Create", topic.name)

    def _alter(self, change: Change) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
            for name, (_, value) in change.config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, change.topic.name, incremental_configs=entries)
        for future in self._admin.incremental_alter_configs([resource], request_timeout=self._timeout_s).values():
            self._result(future, "AlterConfigs", change.topic.name)

    def _config(self, name: str) -> dict[str, str]:
        resource = ConfigResource(ResourceType.TOPIC, name)
        futures = self._admin.describe_configs([resource], request_timeout=self._timeout_s)
        entries = self._result(next(iter(futures.values())), "DescribeConfigs", name)
        return {entry.name: entry.value for entry in entries.values() if entry.value is not None}

    def _new_client(self) -> AdminClient:
        try:
            return AdminClient(self._errors.config(self._kafka.client()))
        except KafkaException as error:
            raise property_error(error.args[0]) from None

    def _result(self, future: "Future[Any]", operation: str, topic: str, *, absent_is_none: bool = False) -> Any:
        """`operation` is Kafka's name of it, and of the right it takes on the topic."""
        try:
            answer = answer_of(future, within_s=self._timeout_s)
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if absent_is_none and error.code() in _ABSENT:
                return None
            raise self._named(error, operation, topic) from None
        self._answered = True
        self._errors.forget()
        return answer

    def _named(self, error: KafkaError, operation: str, topic: str) -> Exception:
        self._admin.poll(0)
        doing = f"{operation} on topic {topic}"
        # Once it has answered, a client that is not let in waits: the brokers, or what they ask, are being changed.
        others = () if self._answered else self._errors.reported
        refused = refusal(doing, (error, *others), topic=doing)
        if refused is not None:
            return refused
        reason = self._errors.reason(error)
        if error.retriable() or error.code() in _AWAY:
            # One that was made while the broker was frozen has been seen to wait for its controller long after it.
            self._admin = self._new_client()
            return RetryableError(f"{doing}: {reason}")
        return ConfigurationError(f"{doing}: Kafka refuses it: {reason}")


def _actual(name: str, described: TopicDescription, config: Mapping[str, str]) -> ActualTopic:
    return ActualTopic(name=name, topic_id=str(described.topic_id), partitions=len(described.partitions), config=config)


def _partitions_text(change: Change) -> str:
    topic = change.topic
    return (
        f"topic {topic.name} has {change.wrong_partitions} partitions and should have {topic.partitions}. A partition "
        "count is never changed: the events of a study would be spread over two partitions and lose their order. Make "
        "a new topic (DICOMCAST_TOPIC__NAME), or delete this one and let the feed fill it again"
    )
