"""Setting a group's offsets as its only member: for a cluster whose admin API cannot (librdkafka's mock cluster)."""

import time
from collections.abc import Mapping
from typing import Any, Final

import typer
from confluent_kafka import Consumer, KafkaException, TopicPartition
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.kafka_clients import ReadingConsumer
from dicomcast_runtime.kafka_refusal import property_error
from dicomcast_runtime.kafka_settings import KafkaSettings

from .kafka_errors import stop_error

__all__ = ["OnlyMember"]

_WAIT_S: Final = 90.0
_SETTLE_S: Final = 10.0


class OnlyMember:
    """Joins a group to commit offsets; what it is given to read is not looked at."""

    def __init__(self, kafka: KafkaSettings, *, topic: str, group: str) -> None:
        self._kafka = kafka
        self._servers = kafka.root["bootstrap.servers"]
        self._topic = topic
        self._group = group

    def __call__(self, offsets: Mapping[int, int], *, partitions: tuple[int, ...]) -> None:
        """Commits the offsets once all `partitions` are assigned to this member.

        Says on standard error that it waits. Raises ConfigurationError when it gets fewer or none, for then others are
        alive, and DependencyError when a commit is refused.
        """
        try:
            consumer = ReadingConsumer(self._config())
        except KafkaException as error:
            raise property_error(error.args[0]) from None
        try:
            consumer.subscribe([self._topic])
            self._wait(consumer, set(partitions))
            wanted = [TopicPartition(self._topic, partition, offset) for partition, offset in sorted(offsets.items())]
            answers = consumer.commit(offsets=wanted, asynchronous=False) or []
            for answer in answers:
                if answer.error is not None:
                    doing = f"committing the offset of partition {answer.partition}"
                    raise stop_error(doing, answer.error, servers=self._servers)
        except KafkaException as error:
            raise stop_error("committing the offsets", error.args[0], servers=self._servers) from None
        finally:
            consumer.close()

    def _wait(self, consumer: Consumer, wanted: set[int]) -> None:
        typer.echo(
            f"joining {self._group}, for up to {_WAIT_S:.0f} s: this cluster does not tell its members", err=True
        )
        began_at = time.monotonic()
        assigned_at: float | None = None
        while True:
            consumer.consume(100, timeout=0.1)
            assigned = {each.partition for each in consumer.assignment()}
            if wanted <= assigned:
                return
            now = time.monotonic()
            assigned_at = (assigned_at or now) if assigned else None
            if assigned_at is not None and now - assigned_at > _SETTLE_S:
                raise ConfigurationError(
                    f"joining {self._group} gave {len(assigned)} of {len(wanted)} partitions: it has live members. "
                    "Stop them first, then apply again"
                )
            if now - began_at > _WAIT_S:
                raise ConfigurationError(
                    f"joining {self._group} gave no partition in {_WAIT_S:.0f} s: it has live members, or one that was "
                    "killed has not timed out yet. Stop them first, then apply again"
                )

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = self._kafka.client(
            group_id=self._group,
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            auto_offset_reset="latest",
            isolation_level="read_committed",
        )
        config["log_level"] = 2
        config.pop("group.instance.id", None)
        if config.setdefault("group.protocol", "classic") == "classic":
            config.setdefault("partition.assignment.strategy", "cooperative-sticky")
        return config
