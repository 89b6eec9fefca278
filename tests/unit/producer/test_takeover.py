"""What a client that broke at its commit left open is for the cursor to decide, by this process or the next one."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError
from dicomcast_producer.cursor import Cursor, Identity
from dicomcast_producer.entry import FeedEntry, parse_page
from dicomcast_producer.errors import ClientBrokenError
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_producer.position import Position
from dicomcast_producer.publisher import KafkaPublisher
from dicomcast_producer.stable_offsets import Place, StableOffsets
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas.topic import cursor_topic, partition_for

from tests.fakes.kafka_transactions import Broker

TOPIC, STUDY, PARTITIONS = "events", "1.2", 2
EVENTS: Place = (TOPIC, partition_for(STUDY.encode(), PARTITIONS))
CURSOR: Place = (cursor_topic(TOPIC), 0)
IDENTITY = Identity(feed="pacs", url="http://pacs", api_version="v1", partitions=PARTITIONS, topic_id=None)
LATE_FATAL = KafkaError(
    KafkaError._FATAL,
    "Transaction commit succeeded on the broker but the transaction had already failed locally",
    fatal=True,
)


def cursor(sequence: int) -> Cursor:
    return Cursor(identity=IDENTITY, position=Position(sequence=sequence), instance="i")


def entries(sequence: int) -> tuple[FeedEntry, ...]:
    text = (
        f'[{{"sequence": {sequence}, "studyInstanceUid": "{STUDY}", "seriesInstanceUid": "1.2.1", "sopInstanceUid": '
        '"1.2.1.1", "action": "create", "state": "current", "timestamp": "2020-01-01T00:00:00Z"}]'
    )
    return parse_page(text.encode(), feed="pacs")


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    found = Broker(topic=TOPIC, partitions=PARTITIONS)
    monkeypatch.setattr("dicomcast_producer.publisher.Producer", found.producer)
    monkeypatch.setattr("dicomcast_producer.publisher._MARKERS_S", 0.0)
    monkeypatch.setattr(StableOffsets, "behind", lambda _, places: found.behind(places))
    monkeypatch.setattr(StableOffsets, "last_record", lambda _, place, start: found.last_record(place, start))
    monkeypatch.setattr(
        StableOffsets, "partitions", lambda _, topic: [(topic, partition) for partition in range(PARTITIONS)]
    )
    return found


def publisher() -> KafkaPublisher:
    return KafkaPublisher(
        KafkaSettings.model_validate({"bootstrap.servers": "127.0.0.1:9"}),
        TOPIC,
        transaction_timeout_s=15,
        max_record_bytes=100_000,
        metrics=ProducerMetrics(),
    )


def broken_at_its_commit(broker: Broker, *, loses: Place) -> KafkaPublisher:
    """Event 1 is published, and event 2 with a commit that was made, without its end on one partition, and broke the
    client."""
    found = publisher()
    found.fence()
    found.close_older(None)
    found.publish(entries(1), cursor(1))
    broker.loses, broker.breaks = [loses], LATE_FATAL
    with pytest.raises(ClientBrokenError):
        found.publish(entries(2), cursor(2))
    return found


@pytest.mark.parametrize("next_of", [lambda same: same, lambda _: publisher()], ids=["same process", "next process"])
def test_events_that_the_cursor_counts_are_committed_by_whoever_comes_next(
    broker: Broker, next_of: Callable[[KafkaPublisher], KafkaPublisher]
) -> None:
    following = next_of(broken_at_its_commit(broker, loses=EVENTS))
    following.fence()
    assert broker.cursor() == cursor(2)
    following.close_older(broker.cursor())
    following.publish(entries(3), cursor(3))
    assert set(broker.sequences()) == {1, 2, 3}


@pytest.mark.parametrize("next_of", [lambda same: same, lambda _: publisher()], ids=["same process", "next process"])
def test_a_cursor_that_was_left_open_goes_back_and_its_events_come_again(
    broker: Broker, next_of: Callable[[KafkaPublisher], KafkaPublisher]
) -> None:
    following = next_of(broken_at_its_commit(broker, loses=CURSOR))
    following.fence()
    assert broker.behind([CURSOR]) == {}
    assert broker.cursor() == cursor(1)


def test_what_is_known_to_be_committed_is_committed_by_the_next_client_of_the_process(broker: Broker) -> None:
    """Its cursor too: were that aborted, the events would come again."""
    found = publisher()
    found.fence()
    broker.loses = [CURSOR] * 3
    found.publish(entries(1), cursor(1))
    broker.breaks = LATE_FATAL
    with pytest.raises(ClientBrokenError):
        found.publish(entries(2), cursor(2))
    found.fence()
    assert broker.cursor() == cursor(1)
    found.close_older(broker.cursor())
    found.publish(entries(2), cursor(2))
    assert broker.sequences() == [1, 2]
