"""The publisher's promises, on the fake topic and on a real Kafka alike."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from dicomcast_producer.bridge import CursorSource, Publisher, TopicSource
from dicomcast_producer.cursor import Cursor, CursorReader, Identity
from dicomcast_producer.errors import RetryableError
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_producer.position import Position
from dicomcast_producer.publisher import KafkaPublisher
from dicomcast_producer.topic_check import TopicCheck
from dicomcast_producer.topics import Topics
from dicomcast_runtime.errors import FencedError
from dicomcast_runtime.kafka_settings import KafkaSettings, TopicSettings
from dicomcast_schemas import decode

from tests.fakes.kafka_topic import FakePublisher, FakeTopic
from tests.fakes.processes import Line, eventually
from tests.integration.producer.conftest import entries, read_records


@dataclass(slots=True, kw_only=True)
class Peer:
    """One topic, and producers for it."""

    publisher: Callable[[], Publisher]
    cursors: CursorSource
    topic: TopicSource
    committed: Callable[[], list[int]]


def fake() -> Peer:
    topic = FakeTopic()
    return Peer(
        publisher=lambda: FakePublisher(topic), cursors=topic, topic=topic, committed=lambda: sorted(topic.sequences)
    )


def real(bootstrap: str) -> Peer:
    line = Line(bootstrap=bootstrap)
    line.create_topics()
    kafka = KafkaSettings.model_validate({"log_level": 0, "bootstrap.servers": bootstrap})
    found = Peer(
        publisher=lambda: KafkaPublisher(
            kafka, line.topic, transaction_timeout_s=15, max_record_bytes=100_000, metrics=ProducerMetrics()
        ),
        cursors=CursorReader(kafka, line.topic),
        topic=TopicCheck(
            Topics(kafka),
            TopicSettings(name=line.topic, max_record_bytes=100_000),
            verify=True,
        ),
        committed=lambda: sorted(decode(r.value()).sequence for r in read_records(bootstrap, line.topic)),
    )

    def ready() -> bool:
        try:
            return found.cursors.read() is None and found.topic.state().partitions > 0
        except RetryableError:  # a leader is still being chosen
            return False

    eventually(ready)
    return found


@pytest.fixture(params=["fake", "real"])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    if request.param == "fake":
        yield fake()
        return
    yield real(request.getfixturevalue("kafka"))


def cursor_of(peer: Peer, sequence: int) -> Cursor:
    state = peer.topic.state()
    identity = Identity(
        feed="pacs", url="http://pacs", api_version="v1", partitions=state.partitions, topic_id=state.topic_id
    )
    return Cursor(identity=identity, position=Position(sequence=sequence), instance="i")


def test_events_and_cursor_appear_together(peer: Peer) -> None:
    publisher = peer.publisher()
    publisher.fence()
    publisher.publish(entries(1, 2, 3), cursor_of(peer, 3))
    publisher.publish(entries(5), cursor_of(peer, 9))
    assert peer.committed() == [1, 2, 3, 5]
    assert peer.cursors.read() == cursor_of(peer, 9)


def test_a_cursor_alone(peer: Peer) -> None:
    publisher = peer.publisher()
    publisher.fence()
    publisher.publish((), cursor_of(peer, 4))
    assert peer.committed() == []
    assert peer.cursors.read() == cursor_of(peer, 4)


def test_an_older_instance_is_refused_and_nothing_of_it_is_seen(peer: Peer) -> None:
    older, newer = peer.publisher(), peer.publisher()
    older.fence()
    older.publish(entries(1), cursor_of(peer, 1))
    newer.fence()
    with pytest.raises(FencedError):
        older.publish(entries(2, 3), cursor_of(peer, 3))
    newer.publish(entries(2), cursor_of(peer, 2))
    assert peer.committed() == [1, 2]
    assert peer.cursors.read() == cursor_of(peer, 2)


def test_one_that_was_fenced_may_begin_anew(peer: Peer) -> None:
    first, second = peer.publisher(), peer.publisher()
    first.fence()
    second.fence()
    with pytest.raises(FencedError):
        first.publish(entries(1), cursor_of(peer, 1))
    first.fence()
    first.publish(entries(1), cursor_of(peer, 1))
    with pytest.raises(FencedError):
        second.publish(entries(1), cursor_of(peer, 1))
    assert peer.committed() == [1]


def test_a_commit_that_times_out_is_committed_again(kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is produced again, whatever had become of the commit."""
    peer = real(kafka)
    publisher = peer.publisher()
    publisher.fence()
    monkeypatch.setattr("dicomcast_producer.publisher._TRY_S", 0.001)
    for sequence in range(1, 11):
        publisher.publish(entries(sequence), cursor_of(peer, sequence))
    assert peer.committed() == list(range(1, 11))
