"""Producer and consumer as the processes a user runs, on a topic of the test's own."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from dicomcast_schemas.topic import cursor_topic, dead_letter_topic, done_topic

__all__ = ["Line", "Running", "eventually"]

START_S = 90.0


@dataclass(slots=True)
class Running:
    """A process of ours, with everything it wrote."""

    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def text(self) -> str:
        """Standard output and error so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Waits until the log holds `text` that often. Fails with the log when the process ends before."""
        eventually(lambda: self.text.count(text) >= times, lambda: f"no {text!r} in:\n{self.text[-4000:]}", self)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(30)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@dataclass(slots=True, kw_only=True)
class Line:
    """One topic with its cursor and dead letters, one group, and the environment of their processes."""

    bootstrap: str
    env: dict[str, str] = field(default_factory=dict)
    topic: str = field(default_factory=lambda: f"t.{uuid.uuid4().hex[:12]}")
    group: str = field(default_factory=lambda: f"g.{uuid.uuid4().hex[:12]}")
    partitions: int = 4
    feed: str = "main"

    @classmethod
    def writing_to(cls, fhir_url: str, *, bootstrap: str, partitions: int = 4, **settings: str) -> "Line":
        """With its topics. Its events bring their metadata: no DICOM server. `settings`: without DICOMCAST_."""
        peers = {"FHIR__URL": fhir_url, "SOURCES__MAIN__DICOMWEB_URL": "http://127.0.0.1:9/dicom-web"}
        env = {f"DICOMCAST_{name}": value for name, value in {**peers, **settings}.items()}
        line = cls(bootstrap=bootstrap, env=env, partitions=partitions)
        line.create_topics()
        return line

    def __post_init__(self) -> None:
        self.env = {
            "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap,
            "DICOMCAST_KAFKA__SESSION_TIMEOUT_MS": "6000",
            "DICOMCAST_TOPIC__NAME": self.topic,
            "DICOMCAST_TOPIC__PARTITIONS": str(self.partitions),
            "DICOMCAST_CONSUMER__GROUP": self.group,
            **self.env,
        }

    @property
    def letters_topic(self) -> str:
        """The group's dead-letter topic."""
        return dead_letter_topic(self.topic, self.group)

    def create_topics(self) -> None:
        """As `topics apply` makes them, faster."""
        admin = AdminClient({"log_level": 0, "bootstrap.servers": self.bootstrap})
        compacted = {"cleanup.policy": "compact"}
        topics = [
            NewTopic(self.topic, self.partitions, 1, config={"message.timestamp.type": "LogAppendTime"}),
            NewTopic(self.letters_topic, self.partitions, 1),
            NewTopic(done_topic(self.topic, self.group), 1, 1, config=compacted),
            NewTopic(cursor_topic(self.topic), 1, 1, config=compacted),
        ]
        for future in admin.create_topics(topics).values():
            future.result(30)

    def spawn(self, log: Path, package: str, *args: str, env: Mapping[str, str] | None = None) -> Running:
        """`python -m package args`, what it writes appended to `log`; the caller ends it."""
        with log.open("ab") as sink:
            process = subprocess.Popen(
                [sys.executable, "-m", package, *args],
                env={**os.environ, **self.env, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        return Running(process, log)

    @contextmanager
    def started(self, package: str, *args: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
        """`python -m package args` for the block; killed at its end if it still runs."""
        with tempfile.TemporaryDirectory() as folder:
            running = self.spawn(Path(folder) / "log", package, *args, env=env)
            try:
                yield running
            finally:
                running.process.send_signal(signal.SIGCONT)
                running.process.kill()
                running.process.wait(30)

    @contextmanager
    def consumer(self, *, env: Mapping[str, str] | None = None) -> Iterator[Running]:
        """`dicomcast-consumer run`."""
        with self.started("dicomcast_consumer", "run", env=env) as running:
            yield running

    @contextmanager
    def producer(self, *args: str, env: Mapping[str, str] | None = None) -> Iterator[Running]:
        """`dicomcast-producer run`."""
        with self.started("dicomcast_producer", "run", *args, env=env) as running:
            yield running

    def end_offsets(self, topic: str | None = None) -> dict[int, int]:
        """By partition, of the topic or another one."""
        consumer = Consumer(
            {"log_level": 0, "bootstrap.servers": self.bootstrap, "group.id": "probe", "enable.auto.commit": False}
        )
        try:
            name = topic or self.topic
            return {
                p: consumer.get_watermark_offsets(TopicPartition(name, p), timeout=30)[1]
                for p in range(len(consumer.list_topics(name, timeout=30).topics[name].partitions))
            }
        finally:
            consumer.close()

    def committed(self) -> dict[int, int]:
        """The group's offsets by partition; -1001 where it has none."""
        consumer = Consumer(
            {"log_level": 0, "bootstrap.servers": self.bootstrap, "group.id": self.group, "enable.auto.commit": False}
        )
        try:
            places = [TopicPartition(self.topic, p) for p in range(self.partitions)]
            return {place.partition: place.offset for place in consumer.committed(places, timeout=30)}
        finally:
            consumer.close()

    def cursor(self) -> int:
        """The newest committed cursor's sequence; -1 without one."""
        values = [value for _, value in self.records(cursor_topic(self.topic))]
        return int(json.loads(values[-1])["sequence"]) if values else -1

    def records(self, topic: str | None = None) -> list[tuple[bytes, bytes]]:
        """Key and value of all committed records of a topic, partition by partition."""
        return [(item.key() or b"", item.value() or b"") for item in self.read(topic)]

    def read(self, topic: str | None = None) -> list[Message]:
        """All committed records of a topic, partition by partition."""
        name, found = topic or self.topic, []
        consumer = Consumer(
            {
                "log_level": 0,
                "bootstrap.servers": self.bootstrap,
                "group.id": "probe",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        try:
            open_partitions = set(self.end_offsets(name))
            consumer.assign([TopicPartition(name, p, 0) for p in sorted(open_partitions)])
            while open_partitions:
                for item in consumer.consume(500, 0.5):
                    error = item.error()
                    if error is None:
                        found.append(item)
                    elif error.code() == KafkaError._PARTITION_EOF:
                        open_partitions.discard(item.partition())
        finally:
            consumer.close()
        return sorted(found, key=lambda item: item.partition() or 0)

    def caught_up(self) -> bool:
        """Whether nothing is left to do for the group."""
        committed = self.committed()
        return all(committed[p] == end for p, end in self.end_offsets().items())


def eventually(
    condition: Callable[[], bool],
    explain: Callable[[], str] = lambda: "it did not come about",
    running: Running | None = None,
    *,
    within_s: float = START_S,
    every_s: float = 0.1,
) -> None:
    """Looks again and again until the condition holds; fails with `explain` after `within_s`, or with the process."""
    until = time.monotonic() + within_s
    while not _holds(condition):
        ended = running is not None and running.process.poll() is not None
        if ended and not _holds(condition):
            raise AssertionError(f"the process ended with {running.process.returncode}: {explain()}")  # type: ignore[union-attr]
        if time.monotonic() > until:
            raise AssertionError(explain())
        time.sleep(every_s)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except KafkaException:  # a leader or coordinator that is moving
        return False
