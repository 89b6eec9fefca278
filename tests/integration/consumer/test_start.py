"""What stops a consumer at its start, said in one error; and what a backlog costs."""

import orjson
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, eventually
from tests.integration.consumer.test_group import produce, studies
from tests.integration.consumer.test_letters_refused import configure

FEED = {"DICOMCAST_FEED__NAME": "main", "DICOMCAST_FEED__URL": "http://127.0.0.1:9"}
CAPABILITY = {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{"mode": "server"}]}


def ends(line: Line, code: int, *texts: str, env: dict[str, str] | None = None) -> None:
    with line.consumer(env=env) as member:
        assert member.process.wait(60) == code, member.text
        assert "Traceback" not in member.text
        assert member.text.count("error: ") == 1
        for text in texts:
            assert text in member.text


def test_bad_configuration(line: Line) -> None:
    ends(line, 64, "DICOMCAST_FHIR__BOGUS", "DICOMCAST_TOPIC__PARTITIONS", env={
        "DICOMCAST_FHIR__BOGUS": "1", "DICOMCAST_TOPIC__PARTITIONS": "many",
    })  # fmt: skip


def test_a_topic_that_does_not_exist(line: Line) -> None:
    ends(line, 78, "no.such.topic", "topics apply", env={"DICOMCAST_TOPIC__NAME": "no.such.topic"})


def test_a_dead_letter_topic_with_another_partition_count(line: Line) -> None:
    admin = AdminClient({"log_level": 0, "bootstrap.servers": line.bootstrap})
    admin.create_partitions([NewPartitions(line.topic, 6)])[line.topic].result(30)
    eventually(lambda: len(line.end_offsets()) == 6)
    ends(line, 78, f"{line.topic} has 6 partitions", "has 4")


@pytest.mark.parametrize(("name", "value"), [("cleanup.policy", "compact"), ("max.message.bytes", "5000")])
def test_a_dead_letter_topic_that_cannot_hold_every_letter(line: Line, name: str, value: str) -> None:
    configure(line, name, value)
    ends(line, 64, f"{name}={value}", "topics apply")


def test_a_dead_letter_topic_that_deletes_letters_is_warned_of(line: Line) -> None:
    with line.consumer() as member:
        member.wait_for("event=dead_letter_topic.doubtful")
        assert "retention.ms" in member.text
    with line.started("dicomcast_producer", "topics", "apply", "--group", line.group, env=FEED) as applied:
        assert applied.process.wait(60) == 0, applied.text
    with line.consumer() as member:
        member.wait_for("event=partitions.assigned")
        assert "dead_letter_topic.doubtful" not in member.text


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (CAPABILITY | {"fhirVersion": "5.0.0"}, "FHIR 5.0.0, R4 (4.0.1) is needed"),
        (CAPABILITY, "no transaction interaction"),
        (CAPABILITY | {"rest": [{"interaction": [{"code": "transaction"}]}]}, "no Observation"),
    ],
)
def test_a_fhir_server_that_cannot_do_it(
    line: Line, fhir: RunningFhirServer, statement: dict[str, object], text: str
) -> None:
    fhir.faults.answer(200, times=None, body=orjson.dumps(statement))
    ends(line, 64, text, "DICOMCAST_FHIR__URL", env={"DICOMCAST_MAPPING__OBSERVATIONS": "dose"})


@pytest.mark.parametrize("system", [None, "MAPPING__PATIENT__SYSTEM", "SOURCES__MAIN__PATIENT_SYSTEM"])
def test_decision_21_patient_ids_without_a_system_are_warned_of_once(line: Line, system: str | None) -> None:
    env = {f"DICOMCAST_{system}": "urn:x:mrn"} if system else {}
    with line.consumer(env=env) as member:
        member.wait_for("event=partitions.assigned")
        assert member.stop() == 0
        assert member.text.count("patient_system.missing") == (0 if system else 1)


def test_a_url_without_a_fhir_server(line: Line, fhir: RunningFhirServer) -> None:
    fhir.faults.answer(404, times=None, body=b"not here")
    ends(line, 64, "404", "DICOMCAST_FHIR__URL")


def test_500_waiting_instances_of_a_ct_take_at_most_10_requests(line: Line, fhir: RunningFhirServer) -> None:
    """With headers of 15 kB, Patient and Endpoint included, on a real broker."""
    long = "x" * 15_000
    events = [create(n, "1.1", f"1.1.{n}", description=long if n % 2 else long[:-1]) for n in range(1, 501)]
    produce(line, events, per_transaction=100)
    with line.consumer() as member:
        eventually(line.caught_up, lambda: member.text, member)
        assert len(studies(fhir)["1.1"]) == 500
        requests = [entry for entry in fhir.journal.entries if entry.method != "GET"]
        assert len(requests) <= 10
