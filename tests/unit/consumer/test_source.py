"""The Kafka thread: what goes wrong in it reaches the loop, and what cannot be set is said at the start."""

import queue
import threading
import time
from collections.abc import Iterator

import pytest
from dicomcast_consumer.dead_letter import DeadLetterProducer
from dicomcast_consumer.handover import Assigned, Failed, HandedOver, Revoked
from dicomcast_consumer.room import Bounds
from dicomcast_consumer.source import Source
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.kafka_clients import Producer

from tests.fakes.mock_kafka import MockKafka, mock_kafka

NOWHERE = {"bootstrap.servers": "127.0.0.1:9", "log_level": 0}
IDEMPOTENT = {**NOWHERE, "enable.idempotence": True}


@pytest.fixture(scope="module")
def kafka() -> Iterator[MockKafka]:
    with mock_kafka() as cluster:
        for topic in ("t", "t.dlq"):
            cluster.create_topic(topic, 1)
        yield cluster


def source(config: dict[str, str | int], seen: "queue.SimpleQueue[HandedOver]", *, start: str = "earliest") -> Source:
    return Source(
        topic="t",
        config={"group.id": "g", "auto.offset.reset": "error", **config},
        letters=DeadLetterProducer(topic="t.dlq", config=NOWHERE),
        bounds=Bounds(max_records=100, max_bytes=1_000_000),
        drain_s=1,
        hand_over=seen.put,
        note_stats=lambda _: None,
        start=start,
    )


def test_an_error_inside_a_rebalance_ends_the_thread_with_a_word(kafka: MockKafka) -> None:
    """Bug put back: confluent-kafka lets a KafkaError out of a callback, which is no exception; the thread was gone
    without a word. The eager protocol, which the settings refuse, is one way to have it."""
    seen: queue.SimpleQueue[HandedOver] = queue.SimpleQueue()
    eager = source(
        {"bootstrap.servers": kafka.bootstrap, "log_level": 0, "partition.assignment.strategy": "range"}, seen
    )
    eager.start()
    until_s = time.monotonic() + 30
    while not isinstance(item := seen.get(timeout=30), Failed):
        assert time.monotonic() < until_s
    assert "_STATE" in str(item.error)
    assert eager.close(30)


def test_where_a_group_without_offsets_begins_is_handed_over_to_be_committed(kafka: MockKafka) -> None:
    """Bug put back: committed once by the thread itself, and when that was refused nobody did it again."""
    seen: queue.SimpleQueue[HandedOver] = queue.SimpleQueue()
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for _ in range(5):
        producer.produce("t", b"x", partition=0)
    assert producer.flush(10) == 0
    config: dict[str, str | int] = {"partition.assignment.strategy": "cooperative-sticky", "group.id": "another"}
    latest = source({"bootstrap.servers": kafka.bootstrap, "log_level": 0, **config}, seen, start="latest")
    latest.start()
    assert seen.get(timeout=30) == Assigned({0: 1}, {0: 5})
    threading.Thread(target=drain, args=(seen,), daemon=True).start()
    assert latest.close(30)


def drain(seen: "queue.SimpleQueue[HandedOver]") -> None:
    while not isinstance(item := seen.get(timeout=30), Revoked):
        pass
    item.drained({})


def test_properties_that_do_not_go_together_are_the_settings_fault() -> None:
    """Bug put back: librdkafka's clear text was "a bug of dicomcast"."""
    together: dict[str, str | int] = {"group.protocol": "consumer", "session.timeout.ms": "6000"}
    with pytest.raises(ConfigurationError, match=r"DICOMCAST_KAFKA__\*.*session.timeout.ms"):
        source({**NOWHERE, **together}, queue.SimpleQueue())
    with pytest.raises(ConfigurationError, match=r"DICOMCAST_KAFKA__\*.*max.in.flight"):
        DeadLetterProducer(topic="t.dlq", config={**IDEMPOTENT, "max.in.flight": "10"})
