"""The publisher, when no broker answers, or one that has forgotten it."""

import threading

import pytest
from confluent_kafka import KafkaError
from dicomcast_producer import publisher
from dicomcast_producer.cursor import Cursor, CursorReader, Identity
from dicomcast_producer.errors import TransactionTimedOutError
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_producer.position import Position
from dicomcast_producer.publisher import KafkaPublisher
from dicomcast_runtime.errors import DependencyError
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas.topic import cursor_topic

from tests.fakes.mock_kafka import mock_kafka
from tests.fakes.processes import eventually


def publisher_at(bootstrap: str) -> KafkaPublisher:
    return KafkaPublisher(
        KafkaSettings.model_validate({"bootstrap.servers": bootstrap, "log_level": 0}),
        "events",
        transaction_timeout_s=15,
        max_record_bytes=100_000,
        metrics=ProducerMetrics(),
    )


def test_a_call_that_waits_for_kafka_says_so_and_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "_TRY_S", 0.1)
    waiting = publisher_at("127.0.0.1:9")
    errors: list[BaseException] = []

    def fence() -> None:
        try:
            waiting.fence()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=fence, daemon=True)
    thread.start()
    eventually(lambda: waiting.beat_at_s > 0)
    seen = waiting.beat_at_s
    eventually(lambda: waiting.beat_at_s > seen)
    assert waiting.waiting is not None
    waiting.interrupt(within_s=0)
    thread.join(60)
    assert waiting.waiting is None
    assert [type(error) for error in errors] == [DependencyError]


def test_an_id_that_expired_or_that_another_has_is_for_the_cursor_to_tell() -> None:
    """After a quiet week, or after a takeover: never the same client again, which could write beside a newer one."""
    identity = Identity(feed="pacs", url="http://pacs", api_version="v1", partitions=4, topic_id=None)
    with mock_kafka() as kafka:
        kafka.create_topic("events", 4)
        kafka.create_topic(cursor_topic("events"), 1)
        found = publisher_at(kafka.bootstrap)
        found.fence()
        kafka.push_errors("AddPartitionsToTxn", [KafkaError.INVALID_PRODUCER_ID_MAPPING])
        cursor = Cursor(identity=identity, position=Position(sequence=1), instance="i")
        with pytest.raises(TransactionTimedOutError, match=r"transactional\.id\.expiration\.ms"):
            found.publish((), cursor)
        found.fence()
        found.publish((), cursor)
        assert CursorReader(KafkaSettings(bootstrap_servers=kafka.bootstrap), "events").read() == cursor
