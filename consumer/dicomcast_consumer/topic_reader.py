"""Reading a topic between two offsets of each partition, beside any group: read_committed, nothing is committed."""

import time
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from dicomcast_runtime.errors import StopError
from dicomcast_runtime.kafka_clients import ReadingConsumer, bound_fetching
from dicomcast_runtime.kafka_refusal import property_error
from dicomcast_runtime.kafka_settings import KafkaSettings

from .kafka_errors import no_answer, stop_error
from .kafka_record import record_of
from .record import Record

__all__ = ["TopicReader"]

_SILENCE_S: Final = 30.0
_BATCH: Final = 500


class TopicReader:
    """Reads one topic; a context. Raises DependencyError when Kafka stays silent for half a minute."""

    def __init__(self, kafka: KafkaSettings, *, topic: str, group: str) -> None:
        """`group` is a name the client must have; it is never joined."""
        self._topic = topic
        self._servers = kafka.root["bootstrap.servers"]
        self._reported: list[KafkaError] = []
        self._open: dict[int, int] = {}
        config: dict[str, Any] = kafka.client(
            group_id=group,
            enable_auto_commit=False,
            enable_auto_offset_store=False,
            enable_partition_eof=True,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            allow_auto_create_topics=False,
        )
        config.pop("group.instance.id", None)
        bound_fetching(config, kbytes=16_384)
        config.setdefault("fetch.wait.max.ms", 20)  # what is asked for is there; at the end nothing is waited for
        try:
            self._consumer = ReadingConsumer({**config, "error_cb": self._reported.append, "log_level": 2})
        except KafkaException as error:
            raise property_error(error.args[0]) from None

    def __enter__(self) -> "TopicReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._consumer.close()

    def read(self, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Record]:
        """The records with offsets in [start, end) of each partition, each partition in order.

        Ends at `end` or at the end of what is committed, whichever comes first: an open transaction is not waited for.
        """
        self._open = {partition: end for partition, (start, end) in ranges.items() if start < end}
        places = [TopicPartition(self._topic, partition, ranges[partition][0]) for partition in self._open]
        self._consumer.assign(places)
        self._consumer.resume(places)  # a partition stays paused over an assignment
        heard_at = time.monotonic()
        while self._open:
            items = self._next()
            if items:
                heard_at = time.monotonic()
            elif time.monotonic() - heard_at > _SILENCE_S:
                raise self._silence()
            for item in items:
                record = self._take(item)
                if record is not None:
                    yield record
            self._close_passed()
        self._consumer.unassign()

    def first(self, ranges: Mapping[int, tuple[int, int]], wanted: Callable[[Record], bool]) -> dict[int, Record]:
        """Per partition the first record in [start, end) that is wanted; none where there is none."""
        found: dict[int, Record] = {}
        for record in self.read(ranges):
            if record.partition not in found and wanted(record):
                found[record.partition] = record
                self._close(record.partition)
        return found

    def _next(self) -> list[Message]:
        """What has come, after waiting for the first of it: `consume` alone waits until a batch is full."""
        first = self._consumer.poll(0.2)
        return [] if first is None else [first, *self._consumer.consume(_BATCH, timeout=0)]

    def _take(self, item: Message) -> Record | None:
        error, partition = item.error(), item.partition()
        if error is not None:
            if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                return None  # the group is only a name here: reading takes no right on it
            if error.code() != KafkaError._PARTITION_EOF:
                raise self._stop(error)
            self._close(partition)
            return None
        record = record_of(item)
        end = self._open.get(record.partition)
        if end is None:
            return None
        if record.offset >= end - 1:
            self._close(record.partition)
        return record if record.offset < end else None

    def _close(self, partition: int | None) -> None:
        if partition is not None and self._open.pop(partition, None) is not None:
            self._consumer.pause([TopicPartition(self._topic, partition)])

    def _close_passed(self) -> None:
        """Closes partitions read up to their end, where nothing but transaction markers was left."""
        for at in self._consumer.position([TopicPartition(self._topic, partition) for partition in self._open]):
            if at.offset >= self._open[at.partition]:
                self._close(at.partition)

    def _stop(self, error: KafkaError) -> StopError:
        right = f"Read on topic {self._topic}"
        return stop_error(f"reading {self._topic}", error, self._reported, servers=self._servers, topic=right)

    def _silence(self) -> Exception:
        if self._reported:
            return self._stop(self._reported[-1])
        return no_answer(f"reading {self._topic}", f"nothing came for {_SILENCE_S:.0f} s", servers=self._servers)
