"""What the brokers say of topics, groups and rights. Blocking; asking creates no topic and changes nothing of ours."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin._config import ConfigResource
from confluent_kafka.admin._listoffsets import OffsetSpec
from confluent_kafka.admin._resource import ResourceType

from .client_errors import ClientErrors
from .doctor import Finding
from .errors import ConfigurationError, DependencyError, StopError
from .kafka_answers import answer_of, asked
from .kafka_clients import AdminClient
from .kafka_refusal import not_allowed, property_error, refusal
from .kafka_settings import KafkaSettings

__all__ = ["Brokers", "KafkaLook", "Rights", "require_rights"]

T = TypeVar("T")

Rights = frozenset[str]
"""Kafka's names of operations: Read, Write, DescribeConfigs, …"""

_ABSENT: Final = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
_UNTOLD: Final = (KafkaError._UNSUPPORTED_FEATURE, KafkaError.UNSUPPORTED_VERSION)
_CONFIG_S: Final = 3.0
_MAX_TIMESTAMP: Final = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brokers:
    """Who answered."""

    cluster: str | None
    addresses: tuple[str, ...]
    """`host:port` of each broker as it advertises itself: where a client goes after its first contact."""

    def __str__(self) -> str:
        return f"cluster {self.cluster} answers; its brokers give out {', '.join(self.addresses)}"


class KafkaLook:
    """Asks one cluster. Raises ConfigurationError when it refuses this client, DependencyError when it is away.

    After a question without answer the next one is asked by a new client: a member of a chaos run, whose broker had
    frozen while it was starting, had no answer for three minutes in which new clients had theirs (librdkafka 2.16).
    """

    def __init__(self, kafka: KafkaSettings, *, timeout_s: float = 10.0) -> None:
        self._servers = kafka.root["bootstrap.servers"]
        self._timeout_s = timeout_s
        self._errors = ClientErrors()
        self._addresses = ""
        """What the brokers have given out, once they were asked."""
        self._tells = True
        """Whether the brokers tell rights; those that do not are asked once, it takes until the timeout."""
        self._config = self._errors.config(kafka.client())
        self._admin = self._client()

    def _client(self) -> AdminClient:
        try:
            return AdminClient(self._config)
        except KafkaException as error:
            raise property_error(error.args[0]) from None

    def brokers(self) -> Brokers:
        """The cluster, by the first broker that answers."""
        try:
            found = self._admin.list_topics(timeout=self._timeout_s)
        except KafkaException as error:
            raise self._stop("asking for the brokers", error.args[0]) from None
        self._errors.forget()
        addresses = sorted(f"{broker.host}:{broker.port}" for broker in found.brokers.values())
        self._addresses = ", ".join(addresses)
        return Brokers(cluster=found.cluster_id, addresses=tuple(addresses))

    def partitions(self, topic: str, right: str) -> int:
        """The topic's partition count, 0 when it does not exist. `right` is named where the client may not see it."""
        doing, needed = f"looking at topic {topic}", f"{right} on topic {topic}"
        try:
            # Not by its name: some brokers would make it.
            found = self._admin.list_topics(timeout=self._timeout_s).topics.get(topic)
        except KafkaException as error:
            raise self._stop(doing, error.args[0], topic=needed) from None
        if found is None:
            self.rights_on_topic(topic, right)  # to tell one that is missing from one that is hidden
            return 0
        self._errors.forget()
        return len(found.partitions)

    def partitions_if_seen(self, topic: str) -> int:
        """The same for a topic that this client need not see: 0 then, too."""
        try:
            return self.partitions(topic, "Describe")
        except ConfigurationError:
            return 0

    def rights_on_topic(self, topic: str, right: str) -> Rights | None:
        """What this client may do with the topic (KIP-430); None when it is missing or the brokers do not tell."""

        def ask() -> Iterable[object] | None:
            futures = self._admin.describe_topics(
                TopicCollection([topic]), include_authorized_operations=True, request_timeout=self._timeout_s
            )
            return answer_of(futures[topic], within_s=self._timeout_s).authorized_operations  # type: ignore[no-any-return]

        if not self._tells:
            return None
        untold = (*_UNTOLD, *_ABSENT, KafkaError._TIMED_OUT)  # librdkafka's mock cluster has no controller to ask
        found = self._asked(ask, f"looking at topic {topic}", untold=untold, topic=f"{right} on topic {topic}")
        return _rights(found)

    def rights_on_group(self, group: str) -> Rights | None:
        """What this client may do with the group (KIP-430); None when the brokers do not tell."""

        def ask() -> Iterable[object] | None:
            futures = self._admin.describe_consumer_groups(
                [group], include_authorized_operations=True, request_timeout=self._timeout_s
            )
            return answer_of(futures[group], within_s=self._timeout_s).authorized_operations  # type: ignore[no-any-return]

        return _rights(self._asked(ask, f"looking at group {group}", untold=_UNTOLD, group=f"Read on group {group}"))

    def configurations(self, *topics: str) -> tuple[dict[str, str], ...]:
        """Property → value of each topic; empty where it cannot be read (it takes DescribeConfigs)."""
        resources = [ConfigResource(ResourceType.TOPIC, topic) for topic in topics]
        futures = self._admin.describe_configs(resources, request_timeout=_CONFIG_S)
        found: list[dict[str, str]] = []
        for resource in resources:
            try:
                entries = answer_of(futures[resource], within_s=_CONFIG_S)
            except KafkaException:
                entries = {}
            found.append({entry.name: entry.value for entry in entries.values() if entry.value is not None})
        return tuple(found)

    def newest(self, topic: str, partitions: int, right: str) -> datetime | None:
        """The highest timestamp of the topic's records, None without any; asks the leader of each partition."""

        def ask() -> list[int]:
            wanted = {TopicPartition(topic, partition): _MAX_TIMESTAMP for partition in range(partitions)}
            answers = self._admin.list_offsets(wanted, request_timeout=self._timeout_s)
            return [int(answer_of(future, within_s=self._timeout_s).timestamp) for future in answers.values()]

        doing = f"asking the leaders of {topic}'s partitions"
        found = self._asked(ask, doing, untold=_UNTOLD, topic=f"{right} on topic {topic}") or ()
        stamps = [stamp for stamp in found if stamp >= 0]
        return datetime.fromtimestamp(max(stamps) / 1000, UTC) if stamps else None

    def _asked(
        self, ask: Callable[[], T], doing: str, *, untold: tuple[int, ...], topic: str = "", group: str = ""
    ) -> T | None:
        """The answer, None for an error of `untold`. A leader or coordinator that is moving is asked again."""
        try:
            answer = asked(ask, within_s=self._timeout_s, final=untold)
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if error.code() in untold:
                self._tells = self._tells and error.code() in _ABSENT
                return None
            raise self._stop(doing, error, topic=topic, group=group) from None
        self._errors.forget()
        return answer

    def _stop(self, doing: str, error: KafkaError, *, topic: str = "", group: str = "") -> StopError:
        self._admin.poll(0)  # what the client has to report comes in its poll alone
        refused = refusal(doing, (error, *self._errors.reported), topic=topic, group=group)
        if refused is not None:
            return refused
        self._admin = self._client()
        way_out = (
            f"the brokers give out {self._addresses} (their advertised.listeners), which must be reachable from here"
            if self._addresses
            else "start it, or correct DICOMCAST_KAFKA__BOOTSTRAP_SERVERS"
        )
        reason = self._errors.reason(error)
        return DependencyError(f"{doing}: Kafka at {self._servers} gives no answer ({reason}): {way_out}")


def require_rights(found: Rights | None, needed: Sequence[str], *, on: str) -> Finding:
    """Raises ConfigurationError for the first right that is missing. `on`: such as `topic dicom.changes.v1`."""
    if found is None:
        return Finding(f"the brokers do not tell what this user may do with {on}")
    for right in needed:
        if right not in found:
            raise not_allowed(f"{right} is not allowed", f"{right} on {on}")
    return Finding(f"{' and '.join(needed)} on {on} is allowed")


def _rights(operations: Iterable[object] | None) -> Rights | None:
    if operations is None:
        return None
    names = (str(getattr(operation, "name", operation)) for operation in operations)
    return frozenset("".join(part.capitalize() for part in name.split("_")) for name in names)
