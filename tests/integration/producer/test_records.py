"""What stands on the topic: key, partition, headers, framing, arrival time, and what happens to large metadata."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic
from dicomcast_sandbox.dicom.store import Poison
from dicomcast_schemas import decode
from dicomcast_schemas.topic import (
    CE_ID,
    CE_TYPE,
    METADATA,
    METADATA_TOO_LARGE,
    METADATA_UNREADABLE,
    cursor_topic,
    partition_for,
    text_headers,
)

from tests.fakes.processes import eventually
from tests.integration.producer.conftest import Bridged, bridged, read_records
from tests.unit.producer.feeds import SERIES, STUDY, fill, instance, ticks


def run_to_the_end(line: Bridged, **env: str) -> str:
    with line.line.producer("--exit-when-idle", env=env) as producer:
        assert producer.process.wait(90) == 0, producer.text
        return producer.text


def test_key_partition_and_headers(line: Bridged) -> None:
    for study in range(1, 20):
        fill(line.dicom.store, [1], study=f"1.2.{study}")
    line.dicom.store.delete("1.2.7")
    run_to_the_end(line)
    records = read_records(line.line.bootstrap, line.line.topic)
    for record in records:
        event, key, headers = decode(record.value()), record.key(), text_headers(record.headers())
        assert key == event.study_instance_uid.encode()
        assert record.partition() == partition_for(key, line.line.partitions)
        assert headers[CE_ID] == f"pacs:{event.sequence}"
    assert len(records) == 20
    assert sum(text_headers(r.headers())[CE_TYPE].endswith(".delete") for r in records) == 1
    assert len({record.partition() for record in records}) > 1


@pytest.mark.parametrize("timestamp_type", ["LogAppendTime", "CreateTime"])
def test_the_records_time_is_its_arrival_not_the_feeds(line: Bridged, timestamp_type: str) -> None:
    """With the feed's time, the history of years would expire before it was read."""
    line.line.topic += ".time"
    line.line.env["DICOMCAST_TOPIC__NAME"] = line.line.topic
    admin = AdminClient({"log_level": 0, "bootstrap.servers": line.line.bootstrap})
    events = NewTopic(line.line.topic, 4, 1, config={"message.timestamp.type": timestamp_type})
    cursor = NewTopic(cursor_topic(line.line.topic), 1, 1, config={"cleanup.policy": "compact"})
    for future in admin.create_topics([events, cursor]).values():
        future.result(30)
    line.dicom.store.create(instance(1), ticks=ticks(datetime(2003, 5, 4, tzinfo=UTC)))
    run_to_the_end(line)
    (record,) = read_records(line.line.bootstrap, line.line.topic)
    arrival = datetime.fromtimestamp(record.timestamp()[1] / 1000, UTC)
    assert abs(arrival - datetime.now(UTC)) < timedelta(minutes=5)
    assert decode(record.value()).timestamp.year == 2003


def test_metadata_that_does_not_fit_is_left_out_and_marked(line: Bridged) -> None:
    text = [f"{number:064d}" for number in range(4000)]  # 268 kB
    line.dicom.store.create(instance(1))
    line.dicom.store.create(instance(2, data_set={"00081190": {"vr": "UR", "Value": text}}))
    log = run_to_the_end(line, DICOMCAST_TOPIC__MAX_RECORD_BYTES="100000")
    assert "entry.metadata_too_large feed=pacs sequence=2" in log.replace("level=warning ", "").replace("event=", "")
    records = {decode(r.value()).sequence: r for r in read_records(line.line.bootstrap, line.line.topic)}
    assert text_headers(records[2].headers())[METADATA] == METADATA_TOO_LARGE
    assert decode(records[2].value()).metadata is None
    assert METADATA not in text_headers(records[1].headers())
    run_to_the_end(line)  # and the cursor is past it


def test_the_largest_record_fits_the_topic_that_apply_makes(line: Bridged) -> None:
    line.line.env["DICOMCAST_TOPIC__NAME"] = line.line.topic = f"{line.line.topic}.large"
    with line.line.started("dicomcast_producer", "topics", "apply") as applying:
        assert applying.process.wait(60) == 0, applying.text
    for number in range(1, 8):
        noise = "".join(chr(33 + (i * i * 31 + i * number) % 90) for i in range(960_000 + number * 6_000))
        noise = noise.replace('"', "'").replace("\\", "/")
        line.dicom.store.create(instance(number, data_set={"00081190": {"vr": "UR", "Value": [noise]}}))
    run_to_the_end(line, DICOMCAST_KAFKA__COMPRESSION_TYPE="none")
    marked = [METADATA in text_headers(r.headers()) for r in read_records(line.line.bootstrap, line.line.topic)]
    assert len(marked) == 7
    assert 0 < sum(marked) < 7  # both sides of the limit


def test_an_instance_that_no_one_can_read_is_published_marked(line: Bridged) -> None:
    fill(line.dicom.store, range(1, 21))
    line.dicom.store.poison(f"{SERIES}.9", Poison.MALFORMED)
    line.dicom.faults.answer(500, times=5, path_part="/instances/")
    run_to_the_end(line)
    marked = {
        decode(record.value()).sequence: text_headers(record.headers()).get(METADATA)
        for record in read_records(line.line.bootstrap, line.line.topic)
    }
    assert marked == {number: METADATA_UNREADABLE if number == 9 else None for number in range(1, 21)}


def test_with_a_registry_the_records_carry_its_id(line: Bridged, registry: str) -> None:
    fill(line.dicom.store, [1])
    run_to_the_end(line, DICOMCAST_REGISTRY__URL=registry)
    (record,) = read_records(line.line.bootstrap, line.line.topic)
    value = record.value()
    assert value is not None
    assert value[0] == 0
    registered = httpx.get(f"{registry}/subjects/{line.line.topic}-value/versions/latest").json()
    assert int.from_bytes(value[1:5], "big") == registered["id"]
    assert decode(value, schema_by_id=lambda _: registered["schema"]).sop_instance_uid == f"{SERIES}.1"


def test_a_partition_count_that_changes_stops_before_anything_is_misplaced(line: Bridged) -> None:
    env = {"DICOMCAST_PRODUCER__IDENTITY_CHECK_S": "1", "DICOMCAST_KAFKA__TOPIC_METADATA_REFRESH_INTERVAL_MS": "200"}
    with line.line.producer(env=env) as producer:
        producer.wait_for("feed.caught_up")
        admin = AdminClient({"log_level": 0, "bootstrap.servers": line.line.bootstrap})
        for future in admin.create_partitions([NewPartitions(line.line.topic, 7)]).values():
            future.result(30)
        for study in range(1, 40):
            fill(line.dicom.store, [1], study=f"1.2.{study}")
        assert producer.process.wait(60) == 78, producer.text
        assert "partitions: 4, now 7" in producer.text
    for record in read_records(line.line.bootstrap, line.line.topic):
        assert record.partition() == partition_for(record.key() or b"", 4)
    with line.line.producer() as again:
        assert again.process.wait(60) == 78, again.text
        assert "cursor set" in again.text


def test_api_v2_publishes_the_same_events(line: Bridged) -> None:
    fill(line.dicom.store, range(1, 31))
    line.dicom.store.delete(STUDY, SERIES, f"{SERIES}.3")
    env = {"DICOMCAST_FEED__API_VERSION": "v2", "DICOMCAST_FEED__LAG_S": "0.5"}
    line.line.env |= env
    with line.line.producer() as producer:
        eventually(lambda: line.line.cursor() == 31, lambda: producer.text, producer)
        fill(line.dicom.store, range(31, 41))
        eventually(lambda: line.line.cursor() == 41, lambda: producer.text, producer)
        assert producer.stop() == 0, producer.text
    with line.line.producer() as producer:
        fill(line.dicom.store, [41])
        eventually(lambda: line.line.cursor() == 42, lambda: producer.text, producer)
    assert line.sequences() == list(range(1, 43))


def test_a_feed_that_was_reset_stops(line: Bridged) -> None:
    fill(line.dicom.store, range(1, 11))
    run_to_the_end(line)
    line.dicom.store.reset()
    with line.line.producer() as producer:
        assert producer.process.wait(60) == 78, producer.text
        assert "not the change feed that was read so far" in producer.text
    assert bridged(line.dicom, line.line.bootstrap).line.topic != line.line.topic
    assert line.line.cursor() == 10
