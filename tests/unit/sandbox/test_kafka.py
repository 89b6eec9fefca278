"""The Kafka stand-in, and the demo's view of a group on it."""

from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from dicomcast_sandbox.demo.offsets import GroupOffsets
from dicomcast_sandbox.kafka import MockCluster, contract_topics

TOPIC, CURSOR, LETTERS, DONE = contract_topics()


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with MockCluster() as running:
        running.touch(contract_topics())
        yield running


def _client(cluster: MockCluster) -> dict[str, str]:
    return {"log_level": 0, "bootstrap.servers": cluster.bootstrap_servers}


def _produce(cluster: MockCluster, topic: str, count: int) -> None:
    producer = Producer(_client(cluster))
    for number in range(count):
        producer.produce(topic, key=str(number), value=b"x")
    assert producer.flush(10) == 0


def _commit(cluster: MockCluster, offsets: dict[int, int]) -> None:
    member = Consumer({**_client(cluster), "group.id": "g", "enable.auto.commit": False})
    member.commit(offsets=[TopicPartition(TOPIC, p, offset) for p, offset in offsets.items()], asynchronous=False)
    member.close()


def test_the_topics_of_the_contract_are_there(cluster: MockCluster) -> None:
    known = Producer(_client(cluster)).list_topics(timeout=10).topics
    assert {CURSOR, DONE, LETTERS, TOPIC} <= set(known)
    assert LETTERS == "dicom.changes.v1.dicomcast-consumer.dlq"


def test_touching_a_topic_adds_no_record(cluster: MockCluster) -> None:
    offsets = GroupOffsets(_client(cluster), topic=TOPIC, group="g")
    assert [offsets.count(topic) for topic in contract_topics()] == [0, 0, 0, 0]
    offsets.close()


def test_lag_is_what_the_group_has_not_committed(cluster: MockCluster) -> None:
    offsets = GroupOffsets(_client(cluster), topic=TOPIC, group="g")
    _produce(cluster, TOPIC, 40)
    assert offsets.count(TOPIC) == 40
    assert (offsets.begun(), offsets.lag()) == (False, 40)
    _commit(cluster, {0: 1, 1: 0, 2: 2, 3: 0})
    assert (offsets.begun(), offsets.lag()) == (True, 37)
    offsets.close()
