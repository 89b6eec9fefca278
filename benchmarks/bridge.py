"""Part 2: change feed to topic, beside a bare loop that produces the same bytes in transactions of the best size."""

import time
from collections.abc import Sequence
from typing import Any, Final

import httpx
import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from dicomcast_runtime.collector import settle
from dicomcast_schemas import DicomChangeEvent, encode
from dicomcast_schemas.topic import PARTITIONER, event_headers, record_key

from tests.fakes.processes import Line, eventually

from .peers import kafka
from .result import Row
from .rounds import best, ratio, rounds_of
from .stand_in import stand_in
from .topic import new_line
from .usage import cpu_of, peak_memory_of
from .workloads import FEED, Shape, events

__all__ = ["feed_entry", "measure", "producing"]

_SIZES: Final = (100, 500, 1_000, 2_000)
_ROUNDS: Final = 5


def measure(*, quick: bool) -> list[Row]:
    """One backlog of CT headers, in turn."""
    shape = Shape(modality="CT", studies=2 if quick else 20, instances=50 if quick else 500)
    found = events(shape)
    with kafka(quick=quick) as bootstrap, stand_in("feed") as feed:
        publish(feed, found)
        settle()  # the events are here to stay
        size = best(_SIZES[: 1 if quick else None], lambda size: _bare(bootstrap, found, size))
        rounds = rounds_of(
            1 if quick else _ROUNDS,
            lambda: _ours(bootstrap, feed, len(found)),
            lambda: _bare(bootstrap, found, size),
        )
        alone = rounds_of(
            1 if quick else _ROUNDS,
            lambda: _ours(bootstrap, feed, len(found)),
            lambda: _read_alone(feed, len(found)),
        )
    return [
        Row(name="bridge / bare transactional produce", ratio=ratio(rounds), unit="of its rate",
            reach=">= 0.7", measured={"rounds": rounds}),
        Row(name="bridge / the feed read alone, page by page", ratio=ratio(alone), unit="of its rate",
            measured={"rounds": alone}),
    ]  # fmt: skip


def publish(feed: str, found: Sequence[DicomChangeEvent]) -> None:
    """Puts entries into the stand-in's feed; their sequences must go on from what it has."""
    for first in range(0, len(found), 1_000):
        lines = b"\n".join(feed_entry(event) for event in found[first : first + 1_000])
        httpx.post(f"{feed}/entries", content=lines, timeout=60).raise_for_status()


def feed_entry(event: DicomChangeEvent) -> bytes:
    """The entry as the Microsoft DICOM service writes it."""
    fields = {
        "sequence": event.sequence,
        "studyInstanceUid": event.study_instance_uid,
        "seriesInstanceUid": event.series_instance_uid,
        "sopInstanceUid": event.sop_instance_uid,
        "action": event.action.value.capitalize(),
        "timestamp": event.timestamp.isoformat(),
        "state": event.state.value.capitalize(),
        "metadata": orjson.Fragment((event.metadata or "null").encode()),
    }
    return orjson.dumps(fields)


def producing(line: Line, feed: str, **env: str) -> dict[str, str]:
    """The environment of a producer between the stand-in's feed and the line's topic."""
    return {
        "DICOMCAST_FEED__URL": feed,
        "DICOMCAST_FEED__NAME": FEED,
        "DICOMCAST_FEED__START": "beginning",
        "DICOMCAST_PRODUCER__VERIFY_TOPICS": "false",
        **env,
    }


def _ours(bootstrap: str, feed: str, count: int) -> dict[str, Any]:
    line = new_line(bootstrap, "http://127.0.0.1:9/fhir")
    with line.producer(env=producing(line, feed)) as producer:
        eventually(lambda: line.cursor() >= count, lambda: producer.text[-2000:], producer, within_s=240, every_s=1)
        cpu_s, peak_mib = cpu_of(producer.process.pid), peak_memory_of(producer.process.pid)
    return {"instances_per_s": _rate_on(line, count), "cpu_s_with_start": round(cpu_s, 2), "peak_mib": round(peak_mib)}


def _bare(bootstrap: str, found: Sequence[DicomChangeEvent], size: int) -> dict[str, Any]:
    line = new_line(bootstrap, "http://127.0.0.1:9/fhir")
    producer = Producer(
        {"log_level": 0, "bootstrap.servers": bootstrap, "transactional.id": line.topic, "partitioner": PARTITIONER}
    )
    producer.init_transactions(30)
    records: list[tuple[bytes, bytes, list[tuple[str, str | bytes | None]]]] = [
        (record_key(event), encode(event), list(event_headers(event).items())) for event in found
    ]
    cpu = time.process_time()
    for first in range(0, len(records), size):
        producer.begin_transaction()
        for key, value, headers in records[first : first + size]:
            producer.produce(line.topic, key=key, value=value, headers=headers)
        producer.commit_transaction(60)
    return {
        "instances_per_s": _rate_on(line, len(found)),
        "events_per_transaction": size,
        "bytes": sum(len(value) for _, value, _ in records),
        "cpu_s": round(time.process_time() - cpu, 2),
    }


def _rate_on(line: Line, count: int) -> float:
    """Records a second from the first that the broker appended to the last: the same measure for both."""
    consumer = Consumer({"log_level": 0, "bootstrap.servers": line.bootstrap, "group.id": "probe"})
    times: list[int] = []
    try:
        consumer.assign([TopicPartition(line.topic, partition, 0) for partition in range(line.partitions)])
        while len(times) < count:
            times += [item.timestamp()[1] for item in consumer.consume(1_000, 5.0) if item.error() is None]
    finally:
        consumer.close()
    return round(count / max(max(times) - min(times), 1) * 1_000, 1)


def _read_alone(feed: str, count: int) -> dict[str, Any]:
    begun, offset = time.monotonic(), 0
    with httpx.Client(timeout=60) as client:
        while offset < count:
            page = client.get(f"{feed}/v1/changefeed", params={"offset": str(offset), "limit": "100"})
            offset += len(orjson.loads(page.content))
    return {"instances_per_s": round(count / (time.monotonic() - begun), 1)}
