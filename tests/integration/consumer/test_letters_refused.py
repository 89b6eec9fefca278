"""The dead-letter topic refuses: the partition waits, nothing is dropped, others go on, and it mends by itself."""

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from dicomcast_sandbox.fhir.faults import RequestSeen
from dicomcast_schemas.topic import partition_for

from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, Running, eventually
from tests.integration.consumer.test_group import done, produce, studies
from tests.services.peers import KafkaBroker

UIDS = [f"1.{n}" for n in range(1, 60)]


def on(partition: int) -> list[str]:
    """Studies of a partition."""
    return [uid for uid in UIDS if partition_for(uid.encode(), 4) == partition]


def configure(line: Line, name: str, value: str) -> None:
    """Sets a property of the dead-letter topic."""
    admin = AdminClient({"log_level": 0, "bootstrap.servers": line.bootstrap})
    entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, line.letters_topic, incremental_configs=[entry])
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(30)


def delete_letters_topic(line: Line) -> None:
    admin = AdminClient({"log_level": 0, "bootstrap.servers": line.bootstrap})
    admin.delete_topics([line.letters_topic])[line.letters_topic].result(30)
    eventually(lambda: line.letters_topic not in admin.list_topics(timeout=30).topics)


def create_letters_topic(line: Line) -> None:
    admin = AdminClient({"log_level": 0, "bootstrap.servers": line.bootstrap})
    admin.create_topics([NewTopic(line.letters_topic, line.partitions, 1)])[line.letters_topic].result(30)


@pytest.fixture
def member(line: Line) -> Iterator[Running]:
    with line.consumer() as running:
        running.wait_for("event=partitions.assigned")
        yield running


def refuse_and_go_on(line: Line, fhir: RunningFhirServer, member: Running, error: str) -> int:
    """One event of partition 0 and eight studies' worth of partition 1 are rejected: more than may be in flight.

    Partitions 2 and 3 go on, and the offsets of 0 and 1 stay before the rejected events.
    """
    bad = [on(0)[0], *on(1)[:9]]
    good = [*on(2)[:3], *on(3)[:3]]
    produce(line, [create(n, uid, f"{uid}.1", patient_id=None) for n, uid in enumerate(bad, 1)], per_transaction=1)
    member.wait_for(error)
    produce(line, [create(100 + n, uid, f"{uid}.1") for n, uid in enumerate(good)])
    ends = line.end_offsets()
    eventually(lambda: all(line.committed()[p] == ends[p] for p in (2, 3)), lambda: member.text, member)
    assert sorted(studies(fhir)) == sorted(good)
    assert "way_out" in member.text
    committed = line.committed()
    assert [committed[p] for p in (0, 1)] == [0, 0]
    return len(bad)


def test_a_missing_topic(line: Line, fhir: RunningFhirServer, member: Running) -> None:
    delete_letters_topic(line)
    rejected = refuse_and_go_on(line, fhir, member, "dead_letter.refused")
    create_letters_topic(line)
    done(line, member)
    assert len(line.records(line.letters_topic)) == rejected
    assert member.stop() == 0


def test_a_record_too_large_for_the_topic(line: Line, fhir: RunningFhirServer, member: Running) -> None:
    configure(line, "max.message.bytes", "300")
    rejected = refuse_and_go_on(line, fhir, member, "error=MSG_SIZE_TOO_LARGE")
    configure(line, "max.message.bytes", "2000000")
    done(line, member)
    assert len(line.records(line.letters_topic)) == rejected
    assert member.stop() == 0


def test_a_broker_that_does_not_answer(own_kafka: KafkaBroker, fhir: RunningFhirServer) -> None:
    """It freezes as FHIR rejects the event, so that the letter is the first thing it does not take."""
    line = Line.writing_to(fhir.base_url, bootstrap=own_kafka.bootstrap)
    attempts: list[RequestSeen] = []

    def frozen_at_the_second(seen: RequestSeen) -> bool:
        if b'"transaction"' not in seen.body:
            return False
        attempts.append(seen)
        if len(attempts) == 2:
            own_kafka.server.freeze()
        return True

    fhir.faults.answer(422, times=None, when=frozen_at_the_second)
    with line.consumer() as member:
        member.wait_for("event=partitions.assigned")
        produce(line, [create(1, "1.1", "1.1.1")])
        member.wait_for("error=_MSG_TIMED_OUT")
        own_kafka.server.thaw()
        done(line, member)
        keys = [key for key, _ in line.records(line.letters_topic)]
        assert keys
        assert set(keys) == {b"1.1"}


def test_a_member_with_a_refused_letter_drains_and_the_next_one_sends_it(
    line: Line, fhir: RunningFhirServer, member: Running
) -> None:
    configure(line, "max.message.bytes", "300")
    uid = on(0)[0]
    produce(line, [create(1, uid, f"{uid}.1", patient_id=None)])
    member.wait_for("error=MSG_SIZE_TOO_LARGE")
    assert member.stop() == 0
    assert line.committed()[0] <= 0
    assert line.records(line.letters_topic) == []
    configure(line, "max.message.bytes", "2000000")
    with line.consumer() as next_one:
        done(line, next_one)
        assert len(line.records(line.letters_topic)) == 1
