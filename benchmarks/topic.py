"""A topic filled as the producer fills it, and a consumer group over it."""

from collections.abc import Sequence

from confluent_kafka import Producer
from dicomcast_schemas import DicomChangeEvent, encode
from dicomcast_schemas.topic import PARTITIONER, event_headers, record_key

from tests.fakes.processes import Line

__all__ = ["DICOMWEB", "another_group", "fill", "new_line"]

DICOMWEB = "http://pacs.example/dicom-web"
_PER_TRANSACTION = 500


def new_line(bootstrap: str, fhir_url: str, *, partitions: int = 12, env: dict[str, str] | None = None) -> Line:
    """An empty topic with the settings of a group that applies it to the FHIR server: the defaults."""
    settings = {
        "DICOMCAST_FHIR__URL": fhir_url,
        "DICOMCAST_SOURCES__BENCH__DICOMWEB_URL": DICOMWEB,
        "DICOMCAST_LOG__LEVEL": "info",
        **(env or {}),
    }
    line = Line(bootstrap=bootstrap, env=settings, partitions=partitions, feed="bench")
    line.create_topics()
    return line


def another_group(line: Line, env: dict[str, str] | None = None) -> Line:
    """A group that has read nothing yet, over the same topic."""
    kept = {name: value for name, value in line.env.items() if name != "DICOMCAST_CONSUMER__GROUP"}
    kept |= {"DICOMCAST_CONSUMER__CHECK_TOPICS": "false", **(env or {})}
    return Line(bootstrap=line.bootstrap, env=kept, topic=line.topic, partitions=line.partitions, feed=line.feed)


def fill(line: Line, events: Sequence[DicomChangeEvent]) -> None:
    """Produces the events in transactions."""
    producer = Producer(
        {
            "log_level": 0,
            "bootstrap.servers": line.bootstrap,
            "transactional.id": line.topic,
            "partitioner": PARTITIONER,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.kbytes": 65_536,
        }
    )
    producer.init_transactions(30)
    for first in range(0, len(events), _PER_TRANSACTION):
        producer.begin_transaction()
        for event in events[first : first + _PER_TRANSACTION]:
            headers: list[tuple[str, str | bytes | None]] = list(event_headers(event).items())
            producer.produce(line.topic, key=record_key(event), value=encode(event), headers=headers)
        producer.commit_transaction(60)
