"""What a broker left open of a committed transaction (KIP-664) is closed: a real Kafka, with its answers replaced.

No setting makes a broker lose the markers of a transaction; `Answers` says what such a broker says of its last stable
offsets. A real one does it when it is frozen: tests/integration/test_outages.py.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest
from dicomcast_producer.cursor import Cursor, Identity
from dicomcast_producer.entry import FeedEntry
from dicomcast_producer.errors import RetryableError
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_producer.position import Position
from dicomcast_producer.publisher import KafkaPublisher
from dicomcast_producer.stable_offsets import Place, StableOffsets
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas import decode
from dicomcast_schemas.topic import partition_for, text_headers

from tests.fakes.processes import Line
from tests.integration.producer.conftest import entries, read_records


@dataclass(slots=True)
class Answers:
    """In place of what the broker says: the next of `said`, and the broker's own word once there are no more."""

    said: list[dict[Place, int]] = field(default_factory=list)
    asked: int = 0

    def behind(self, places: Collection[Place]) -> dict[Place, int]:
        self.asked += 1
        found = self.said.pop(0) if self.said else {}
        return {place: offset for place, offset in found.items() if place in places}


@dataclass(slots=True)
class Topic:
    """One topic, producers for it, and what their broker says."""

    line: Line
    kafka: KafkaSettings
    answers: Answers

    def publisher(self) -> KafkaPublisher:
        return KafkaPublisher(
            self.kafka, self.line.topic, transaction_timeout_s=15, max_record_bytes=100_000, metrics=ProducerMetrics()
        )

    def place_of(self, entry: list[FeedEntry]) -> Place:
        return self.line.topic, partition_for(entry[0].event.study_instance_uid.encode(), self.line.partitions)

    def cursor(self, sequence: int) -> Cursor:
        identity = Identity(
            feed="pacs", url="http://pacs", api_version="v1", partitions=self.line.partitions, topic_id=None
        )
        return Cursor(identity=identity, position=Position(sequence=sequence), instance="i")

    def seen(self) -> list[int]:
        """What a read_committed reader sees."""
        return sorted(decode(r.value()).sequence for r in read_records(self.line.bootstrap, self.line.topic))

    def ids(self) -> set[str]:
        records = read_records(self.line.bootstrap, self.line.topic)
        return {text_headers(record.headers())["ce_id"] for record in records}


@pytest.fixture
def topic(kafka: str, monkeypatch: pytest.MonkeyPatch) -> Topic:
    line = Line(bootstrap=kafka)
    line.create_topics()
    answers = Answers()
    monkeypatch.setattr(StableOffsets, "behind", lambda _, places: answers.behind(places))
    monkeypatch.setattr("dicomcast_producer.publisher._MARKERS_S", 0.0)
    return Topic(line, KafkaSettings.model_validate({"log_level": 0, "bootstrap.servers": kafka}), answers)


def test_what_was_committed_and_not_seen_is_repeated_and_seen(topic: Topic) -> None:
    publisher, entry = topic.publisher(), entries(3)
    publisher.fence()
    still_open = {topic.place_of(entry): 0}
    topic.answers.said = [still_open, still_open, {}]
    publisher.publish(entry, topic.cursor(3))
    assert topic.seen() == [3, 3]
    assert len(topic.ids()) == 1


def test_nothing_is_repeated_where_the_markers_came_after_all(topic: Topic) -> None:
    publisher, entry = topic.publisher(), entries(3)
    publisher.fence()
    topic.answers.said = [{topic.place_of(entry): 0}, {}, {}]
    publisher.publish(entry, topic.cursor(3))
    publisher.publish(entries(4), topic.cursor(4))
    assert topic.seen() == [3, 4]


def test_nothing_else_is_published_while_it_is_open(topic: Topic) -> None:
    publisher, entry = topic.publisher(), entries(3)
    publisher.fence()
    still_open = {topic.place_of(entry): 0}
    topic.answers.said = [still_open] * 6
    publisher.publish(entry, topic.cursor(3))  # it is committed: no error
    with pytest.raises(RetryableError, match="still open"):
        publisher.publish(entries(4), topic.cursor(4))
    assert 4 not in topic.seen()


def test_the_next_instance_repeats_what_it_finds_open_among_the_events(topic: Topic) -> None:
    """The process ended between the commit and the look: the cursor counts the events, and readers wait for them."""
    older, entry = topic.publisher(), entries(3)
    older.fence()
    older.publish(entry, topic.cursor(3))
    still_open = {topic.place_of(entry): 0}
    newer = topic.publisher()
    topic.answers.said = [{}, still_open, still_open, still_open, {}]
    newer.fence()
    newer.close_older(topic.cursor(3))
    assert topic.seen() == [3, 3]
    assert len(topic.ids()) == 1


@pytest.mark.parametrize(("counted", "seen"), [(2, [3]), (None, [3, 3])])
def test_what_the_cursor_does_not_count_is_aborted_for_it_comes_again(
    topic: Topic, counted: int | None, seen: list[int]
) -> None:
    """Committed, it would be there twice. Without a cursor that cannot be told, and it is committed."""
    older, entry = topic.publisher(), entries(3)
    older.fence()
    older.publish(entry, topic.cursor(3))
    still_open = {topic.place_of(entry): 0}
    newer = topic.publisher()
    newer.fence()
    topic.answers.said = [still_open, still_open, still_open, {}]
    newer.close_older(None if counted is None else topic.cursor(counted))
    assert topic.seen() == seen


def test_without_the_right_to_read_the_events_the_next_instance_goes_on(
    topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: StableOffsets, place: Place, start: int) -> None:
        raise ConfigurationError(f"Read on topic {place[0]} from {start}")

    monkeypatch.setattr(StableOffsets, "last_record", refused)
    publisher = topic.publisher()
    topic.answers.said = [{}, {(topic.line.topic, 1): 0}]
    publisher.fence()
    publisher.close_older(None)
    publisher.publish(entries(3), topic.cursor(3))
    assert topic.seen() == [3]
