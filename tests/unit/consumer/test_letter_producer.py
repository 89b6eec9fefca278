"""The producer of dead letters: what it takes, and how it ends."""

import time

import pytest
from dicomcast_consumer.config import ConsumerSettings
from dicomcast_consumer.dead_letter import DeadLetterProducer, Letter
from dicomcast_consumer.parts import letter_producer_config
from dicomcast_runtime.errors import DependencyError
from dicomcast_runtime.settings import load_settings

from tests.fakes.events import create, record
from tests.fakes.mock_kafka import mock_kafka


def letter(size: int = 1) -> Letter:
    one = record(create(1, "1.1", "1.1.1"), offset=0, value=b"x" * size)
    return Letter(record=one, headers=one.headers)


def producer(bootstrap: str) -> DeadLetterProducer:
    settings = {
        "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": bootstrap,
        "DICOMCAST_KAFKA__LOG_LEVEL": "0",
        "DICOMCAST_FHIR__URL": "http://127.0.0.1:9/fhir",
        "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "http://127.0.0.1:9/dicom-web",
    }
    return DeadLetterProducer(
        topic="t.dlq", config=letter_producer_config(load_settings(ConsumerSettings, environ=settings))
    )


def test_a_letter_of_any_size_is_the_topics_business() -> None:
    """Bug put back: the producer alone has a larger TOPIC__MAX_RECORD_BYTES, and the client refuses what both topics
    would take; then no `topics apply` helps."""
    answers: list[str | None] = []
    producer("127.0.0.1:9").send(letter(20_000_000), answers.append)
    assert answers == []


def test_a_producer_that_fails_for_good_ends_the_member_with_a_word() -> None:
    with mock_kafka() as kafka:
        kafka.create_topic("t.dlq", 1)
        kafka.push_errors("InitProducerId", [31] * 100)  # CLUSTER_AUTHORIZATION_FAILED: fatal to the client
        letters = producer(kafka.bootstrap)
        letters.send(letter(), lambda _: None)
        with pytest.raises(DependencyError, match=r"dead letters.*Cluster authorization failed.*start"):
            poll_for(letters, 20)
        letters.flush(1)


def poll_for(letters: DeadLetterProducer, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        letters.poll()
        time.sleep(0.01)
