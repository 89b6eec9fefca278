"""A topic with events on a real broker or on the mock cluster, and the commands run against it."""

import json
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from dicomcast_consumer.__main__ import app
from dicomcast_consumer.dead_letter import DeadLetterProducer, Letter, letter_headers
from dicomcast_consumer.errors import RejectedError
from dicomcast_runtime.errors import StopError
from dicomcast_schemas import DicomChangeEvent, encode
from dicomcast_schemas.topic import dead_letter_topic, done_topic, event_headers, partition_for, record_key
from typer.testing import CliRunner

from tests.fakes.events import BEGIN, record

__all__ = ["PARTITIONS", "Cluster", "Result"]

PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One topic and group of a test's own."""

    bootstrap: str
    topic: str
    group: str = "g"
    transactional: bool = True

    @staticmethod
    def with_topics(bootstrap: str) -> "Cluster":
        """On a real broker."""
        found = Cluster(bootstrap=bootstrap, topic=f"t.{uuid.uuid4().hex[:12]}")
        topics = [NewTopic(name, PARTITIONS, 1) for name in (found.topic, found.letters)]
        topics.append(NewTopic(done_topic(found.topic, found.group), 1, 1, config={"cleanup.policy": "compact"}))
        admin = AdminClient({"log_level": 0, "bootstrap.servers": bootstrap})
        for future in admin.create_topics(topics).values():
            future.result(30)
        return found

    @property
    def letters(self) -> str:
        """The dead-letter topic."""
        return dead_letter_topic(self.topic, self.group)

    def run(self, *args: str, **env: str) -> Result:
        """A command with this cluster's settings."""
        settings = {
            "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap,
            "DICOMCAST_KAFKA__GROUP_PROTOCOL": "consumer",
            "DICOMCAST_TOPIC__NAME": self.topic,
            "DICOMCAST_CONSUMER__GROUP": self.group,
            **env,
        }
        result = CliRunner().invoke(app, list(args), env=settings)
        error = result.exception
        if isinstance(error, StopError):
            return Result(error.exit_code, result.stdout, str(error))
        assert error is None or isinstance(error, SystemExit), repr(error)
        return Result(result.exit_code, result.stdout, result.stderr)

    def produce(self, events: Sequence[DicomChangeEvent]) -> None:
        """As the producer does; two transactions and an aborted one, so that markers take offsets."""
        if not self.transactional:
            producer = Producer({"log_level": 0, "bootstrap.servers": self.bootstrap})
            self._produce(producer, events)
            producer.flush(30)
            return
        producer = Producer({"log_level": 0, "bootstrap.servers": self.bootstrap, "transactional.id": self.topic})
        producer.init_transactions(60)
        half = len(events) // 2
        ends = (producer.commit_transaction, producer.commit_transaction, producer.abort_transaction)
        for part, end in zip((events[:half], events[half:], events[:1]), ends, strict=True):
            producer.begin_transaction()
            self._produce(producer, part)
            producer.flush(30)
            end(30)

    def reject(self, event: DicomChangeEvent, code: str) -> None:
        """A dead letter of the event, as the consumer writes it."""
        partition = partition_for(record_key(event), PARTITIONS)
        source = record(event, offset=event.sequence, partition=partition)
        error = RejectedError(code.split(".")[0], code, "a sentence")
        headers = letter_headers(source, error, group=self.group, failed_at=BEGIN)
        answers: list[str | None] = []
        letters = DeadLetterProducer(topic=self.letters, config={"log_level": 0, "bootstrap.servers": self.bootstrap})
        letters.send(Letter(record=source, headers=headers), answers.append)
        letters.flush(30)
        assert answers == [None]

    def committed(self) -> dict[int, int]:
        """The group's offsets by partition."""
        consumer = Consumer(
            {"log_level": 0, "bootstrap.servers": self.bootstrap, "group.id": self.group, "enable.auto.commit": False}
        )
        try:
            places = [TopicPartition(self.topic, partition) for partition in range(PARTITIONS)]
            return {place.partition: place.offset for place in consumer.committed(places, timeout=30)}
        finally:
            consumer.close()

    @contextmanager
    def live_member(self, *, commit: bool = False) -> Iterator[Consumer]:
        """A member named `live-one` that has all partitions, and with `commit` all records behind it."""
        config = {
            "log_level": 0,
            "bootstrap.servers": self.bootstrap,
            "group.id": self.group,
            "group.protocol": "consumer",
            "client.id": "live-one",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
        consumer = Consumer(config)
        consumer.subscribe([self.topic])
        until = time.monotonic() + 60
        while len(consumer.assignment()) < PARTITIONS:
            consumer.poll(0.1)
            assert time.monotonic() < until, "the member got no partitions"
        try:
            if commit:
                consumer.commit(offsets=list(self._ends(consumer)), asynchronous=False)
            yield consumer
        finally:
            consumer.close()

    def _ends(self, consumer: Consumer) -> Iterator[TopicPartition]:
        for partition in range(PARTITIONS):
            place = TopicPartition(self.topic, partition)
            yield TopicPartition(self.topic, partition, consumer.get_watermark_offsets(place, timeout=30)[1])

    def _produce(self, producer: Producer, events: Sequence[DicomChangeEvent]) -> None:
        for event in events:
            producer.produce(
                self.topic,
                key=record_key(event),
                value=encode(event),
                headers=list(event_headers(event).items()),
                partition=partition_for(record_key(event), PARTITIONS),
            )
