"""Members of a consumer group on a real Kafka, writing to the sandbox's FHIR server, which can misbehave."""

import signal
import time
from collections.abc import Sequence

import httpx
from confluent_kafka import ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from dicomcast_schemas import DicomChangeEvent, encode
from dicomcast_schemas.topic import event_headers, partition_for, record_key

from tests.fakes.events import create, delete
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, Running, eventually


def produce(line: Line, events: Sequence[DicomChangeEvent], *, per_transaction: int = 10) -> None:
    """As the producer does: in transactions, so that markers take offsets; the last one is aborted."""
    producer = Producer({"log_level": 0, "bootstrap.servers": line.bootstrap, "transactional.id": line.topic})
    producer.init_transactions(30)
    chunks = [events[n : n + per_transaction] for n in range(0, len(events), per_transaction)]
    for chunk, ends in [
        *((chunk, producer.commit_transaction) for chunk in chunks),
        (events[:1], producer.abort_transaction),
    ]:
        producer.begin_transaction()
        for event in chunk:
            partition = partition_for(record_key(event), line.partitions)
            headers = list(event_headers(event).items())
            producer.produce(
                line.topic, key=record_key(event), value=encode(event), headers=headers, partition=partition
            )
        producer.flush(30)
        ends(30)


def studies(fhir: RunningFhirServer) -> dict[str, list[str]]:
    """Study Instance UID → SOP Instance UIDs, as the FHIR server has them."""
    page = httpx.get(f"{fhir.base_url}/ImagingStudy", params={"_count": "1000"}).json()
    return {
        study["identifier"][0]["value"].removeprefix("urn:oid:"): sorted(
            instance["uid"] for series in study.get("series", []) for instance in series["instance"]
        )
        for study in (entry["resource"] for entry in page.get("entry", []))
    }


def feed(studies: int, instances: int, *, first: int = 1) -> list[DicomChangeEvent]:
    """Instances of studies, interleaved."""
    pairs = [(s, i) for i in range(1, instances + 1) for s in range(1, studies + 1)]
    return [create(first + n, f"1.{s}", f"1.{s}.{i}", patient_id=f"P{s % 5}") for n, (s, i) in enumerate(pairs)]


def expected(studies: int, instances: int) -> dict[str, list[str]]:
    return {f"1.{s}": sorted(f"1.{s}.{i}" for i in range(1, instances + 1)) for s in range(1, studies + 1)}


def done(line: Line, running: Running | None = None) -> None:
    eventually(line.caught_up, lambda: f"{line.committed()} of {line.end_offsets()}", running)


def test_a_backlog_is_applied_and_the_lag_becomes_zero(line: Line, fhir: RunningFhirServer) -> None:
    """Transaction markers and the aborted transaction take offsets too: the position passes them."""
    produce(line, feed(20, 10))
    with line.consumer() as member:
        done(line, member)
        assert studies(fhir) == expected(20, 10)
        assert member.stop() == 0
        assert "consumer.caught_up" in member.text


def test_two_members_share_the_work_and_one_leaves(line: Line, fhir: RunningFhirServer) -> None:
    with line.consumer() as one, line.consumer() as two:
        one.wait_for("event=partitions.assigned")
        two.wait_for("event=partitions.assigned")
        produce(line, feed(20, 5))
        done(line, one)
        assert two.stop() == 0
        produce(line, feed(20, 10))
        done(line, one)
        assert studies(fhir) == expected(20, 10)


def test_kill_9_between_the_write_and_the_commit_redoes_and_doubles_nothing(
    line: Line, fhir: RunningFhirServer
) -> None:
    """G3, G5: the offset was not ahead of FHIR, and the next owner finds everything as it should be."""
    produce(line, feed(20, 10))
    with line.consumer() as member:
        eventually(lambda: bool(fhir.journal.writes()), running=member)
        member.kill()
    before = line.committed()
    there = studies(fhir)
    assert any(before[p] < end for p, end in line.end_offsets().items())
    assert set(there) <= set(expected(20, 10))
    with line.consumer() as member:
        done(line, member)
    assert studies(fhir) == expected(20, 10)
    versions = httpx.get(f"{fhir.base_url}/ImagingStudy", params={"_count": "1000"}).json()["entry"]
    assert len(versions) == 20


def test_a_member_thawed_after_its_session_does_not_write(line: Line, fhir: RunningFhirServer) -> None:
    """G2: frozen between read and write, it finds itself replaced when it must prove that it still owns it."""
    with line.consumer() as old:
        old.wait_for("event=partitions.assigned")
        fhir.faults.hang(times=None, when=lambda seen: seen.path.endswith("_search"))
        produce(line, [create(1, "1.1", "1.1.1")])
        eventually(lambda: fhir.faults.hanging() > 0, running=old)
        old.process.send_signal(signal.SIGSTOP)
        fhir.faults.clear()
        with line.consumer() as new:
            done(line, new)
            produce(line, [delete(2, "1.1", "1.1.1")])
            done(line, new)
            fhir.journal.clear()
            old.process.send_signal(signal.SIGCONT)
            old.wait_for("event=partitions.lost")
            time.sleep(1)
            assert fhir.journal.writes() == []
            assert studies(fhir) == {}


def test_fhir_down_nothing_is_lost_and_it_goes_on_by_itself(line: Line, fhir: RunningFhirServer) -> None:
    with line.consumer() as member:
        member.wait_for("event=partitions.assigned")
        fhir.faults.answer(503, times=None, retry_after="1")
        produce(line, feed(6, 2))
        member.wait_for("breaker.opened")
        time.sleep(3)
        assert line.end_offsets(line.letters_topic) == dict.fromkeys(range(4), 0)
        fhir.faults.clear()
        done(line, member)
        assert studies(fhir) == expected(6, 2)


def test_an_offset_out_of_range_stops_with_an_explanation(line: Line, fhir: RunningFhirServer) -> None:
    admin = AdminClient({"log_level": 0, "bootstrap.servers": line.bootstrap})
    places = [TopicPartition(line.topic, p, 999) for p in range(line.partitions)]
    request = ConsumerGroupTopicPartitions(line.group, places)
    answer = admin.alter_consumer_group_offsets([request])[line.group].result(30)
    assert [place.error for place in answer.topic_partitions] == [None] * line.partitions
    produce(line, feed(1, 1))
    with line.consumer() as member:
        assert member.process.wait(60) == 78
        assert "replay plan" in member.text


def test_a_missing_topic_and_another_partition_count_are_one_clear_error(line: Line) -> None:
    with line.consumer(env={"DICOMCAST_TOPIC__NAME": "no.such.topic"}) as member:
        assert member.process.wait(60) == 78
        assert "topics apply" in member.text
        assert "Traceback" not in member.text
