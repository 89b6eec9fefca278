"""Brokers that answer with errors, as they do when leaders and coordinators move: the member goes on by itself.

On librdkafka's mock cluster, which can be asked for any error; it needs no Kafka installed.
"""

import random

import pytest
from confluent_kafka import Producer
from dicomcast_schemas import DicomChangeEvent, encode
from dicomcast_schemas.topic import event_headers, partition_for, record_key

from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.mock_kafka import MockKafka, mock_kafka
from tests.fakes.processes import Line, eventually
from tests.integration.consumer.test_group import studies

pytestmark = pytest.mark.slow

# Names as in Kafka's protocol guide. What stops a member by design (authorization, an offset out of range) is not here.
ERRORS = {
    "Produce": (6, 7, 19, 20),  # NOT_LEADER, TIMED_OUT, NOT_ENOUGH_REPLICAS (and after append)
    "Fetch": (6, 7, 56),  # NOT_LEADER, TIMED_OUT, KAFKA_STORAGE_ERROR
    "OffsetCommit": (7, 14, 15, 16, 22, 25, 27),  # coordinator away or loading, generation, member, rebalance
    "OffsetFetch": (14, 15, 16),
    "Heartbeat": (16, 22, 25, 27),
}
ROUNDS, STUDIES = 4, 8


def produce(line: Line, events: list[DicomChangeEvent]) -> None:
    producer = Producer({"log_level": 0, "bootstrap.servers": line.bootstrap})
    for event in events:
        key = record_key(event)
        headers = list(event_headers(event).items())
        partition = partition_for(key, line.partitions)
        producer.produce(line.topic, key=key, value=encode(event), headers=headers, partition=partition)
    assert producer.flush(60) == 0


def happening(round_: int) -> list[DicomChangeEvent]:
    """One instance for each study, and one that must become a dead letter."""
    first = 100 * round_
    good = [create(first + s, f"1.{s}", f"1.{s}.{round_}") for s in range(1, STUDIES + 1)]
    return [*good, create(first + 99, "1.1", f"1.1.{first}", patient_id=None)]


@pytest.fixture
def mock() -> MockKafka:
    with mock_kafka() as kafka:
        yield kafka


@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_broker_answers_nothing_is_lost(mock: MockKafka, fhir: RunningFhirServer, seed: int) -> None:
    chance = random.Random(seed)
    line = Line(
        bootstrap=mock.bootstrap,
        env={
            "DICOMCAST_FHIR__URL": fhir.base_url,
            "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "http://127.0.0.1:9/dicom-web",
            "DICOMCAST_CONSUMER__CHECK_TOPICS": "false",
        },
    )
    for topic in (line.topic, line.letters_topic):
        mock.create_topic(topic, line.partitions)
    with line.consumer() as member:
        for round_ in range(1, ROUNDS + 1):
            for api in chance.sample(sorted(ERRORS), 2):
                mock.push_errors(api, [chance.choice(ERRORS[api]) for _ in range(chance.randint(1, 3))])
            produce(line, happening(round_))
            eventually(line.caught_up, lambda: member.text, member, within_s=180)
        assert member.stop() == 0
    expected = {f"1.{s}": [f"1.{s}.{round_}" for round_ in range(1, ROUNDS + 1)] for s in range(1, STUDIES + 1)}
    assert studies(fhir) == expected
    offsets = line.end_offsets(line.letters_topic)
    assert sum(offsets.values()) >= ROUNDS
