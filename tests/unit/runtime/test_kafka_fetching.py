"""What a consumer's client fetches ahead is bounded, and is fetched anew as soon as there is room."""

import time
from typing import Any

from confluent_kafka import TopicPartition
from dicomcast_runtime.kafka_clients import Producer, ReadingConsumer, bound_fetching

from tests.fakes.mock_kafka import MockKafka, mock_kafka

COUNT = 3_000


def test_a_client_that_may_fetch_little_ahead_does_not_stand_still_for_it() -> None:
    """Bug put back: librdkafka's second between a full queue and the next fetch; a member stood most of its time."""
    with mock_kafka() as kafka:
        kafka.create_topic("t", 1)
        producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
        for _ in range(COUNT):
            producer.produce("t", bytes(1_000), partition=0)
        assert producer.flush(30) == 0
        assert seconds(kafka, {}) * 3 < seconds(kafka, {"fetch.queue.backoff.ms": 1_000})


def seconds(kafka: MockKafka, config: dict[str, Any]) -> float:
    """How long it takes to read all of it through a queue of a tenth."""
    config |= {"bootstrap.servers": kafka.bootstrap, "group.id": "g", "log_level": 0, "auto.offset.reset": "earliest"}
    bound_fetching(config, kbytes=300)
    consumer = ReadingConsumer({**config, "fetch.message.max.bytes": 200_000})
    try:
        consumer.assign([TopicPartition("t", 0, 0)])
        begun_s, count = time.monotonic(), 0
        while count < COUNT:
            count += sum(item.error() is None for item in consumer.consume(100, 1.0))
            assert time.monotonic() - begun_s < 120
        return time.monotonic() - begun_s
    finally:
        consumer.close()
