"""A producer between the sandbox's DICOM server and a real Kafka, on a topic of the test's own."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from dicomcast_producer.entry import FeedEntry
from dicomcast_schemas import Action, DicomChangeEvent, State, decode

from tests.fakes.dicom_server import DicomServer, dicom_server
from tests.fakes.processes import Line

CRASHING = str(Path(__file__).with_name("crashing_producer.py"))


@dataclass(slots=True)
class Bridged:
    """The two ends and the topic between them."""

    dicom: DicomServer
    line: Line

    def events(self) -> list[DicomChangeEvent]:
        """What a read_committed reader sees, by sequence."""
        found = [decode(value) for _, value in self.line.records()]
        return sorted(found, key=lambda event: event.sequence)

    def sequences(self) -> list[int]:
        return [event.sequence for event in self.events()]


def bridged(dicom: DicomServer, bootstrap: str, **env: str) -> Bridged:
    """With topics as `topics apply` makes them and a producer that polls quickly."""
    settings = {
        "DICOMCAST_FEED__URL": dicom.base_url,
        "DICOMCAST_FEED__NAME": "pacs",
        "DICOMCAST_FEED__POLL_INTERVAL_S": "0.1",
        "DICOMCAST_FEED__GAP_SETTLE_S": "0.5",
        "DICOMCAST_PRODUCER__TRANSACTION_TIMEOUT_S": "15",
        "DICOMCAST_LOG__LEVEL": "debug",
    }
    return Bridged(dicom, Line(bootstrap=bootstrap, env={**settings, **env}))


def read_records(bootstrap: str, topic: str, *, isolation: str = "read_committed") -> list[Message]:
    """Every record of a topic as the broker gives it."""
    consumer = Consumer(
        {
            "log_level": 0,
            "bootstrap.servers": bootstrap,
            "group.id": "probe",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
        }
    )
    found: list[Message] = []
    try:
        partitions = set(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
        consumer.assign([TopicPartition(topic, p, 0) for p in partitions])
        while partitions:
            for item in consumer.consume(500, 0.5):
                error = item.error()
                if error is None:
                    found.append(item)
                elif error.code() == KafkaError._PARTITION_EOF:
                    partitions.discard(item.partition())
    finally:
        consumer.close()
    return found


def entries(*sequences: int) -> list[FeedEntry]:
    """Of three studies by turns."""
    return [
        FeedEntry(
            event=DicomChangeEvent(
                feed="pacs",
                sequence=sequence,
                partition_name=None,
                study_instance_uid=f"1.2.{sequence % 3}",
                series_instance_uid="1.2.1",
                sop_instance_uid=f"1.2.1.{sequence}",
                action=Action.CREATE,
                state=State.CURRENT,
                timestamp=datetime(2020, 1, 1, tzinfo=UTC),
                file_path=None,
                metadata=None,
            )
        )
        for sequence in sequences
    ]


@pytest.fixture
def dicom() -> Iterator[DicomServer]:
    with dicom_server() as server:
        yield server


@pytest.fixture
def line(dicom: DicomServer, kafka: str) -> Bridged:
    found = bridged(dicom, kafka)
    found.line.create_topics()
    return found
