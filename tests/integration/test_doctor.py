"""`doctor` against a real Kafka and HAPI: all well, and each thing that is wrong on a first day, with its way out."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions
from dicomcast_consumer.__main__ import app as consumer_app
from dicomcast_sandbox.dicom import Basic
from dicomcast_schemas import SCHEMA_JSON
from typer.testing import CliRunner

from tests.fakes.dicom_server import DicomServer
from tests.fakes.fhir_server import fhir_server
from tests.fakes.processes import Line, eventually
from tests.integration.consumer.test_letters_refused import configure
from tests.services.peers import KafkaBroker

APPS = {"consumer": consumer_app}
NOWHERE = "127.0.0.1:9"


@dataclass(frozen=True, slots=True)
class Examined:
    """How a doctor ended, and what each check says: `verdict: text`."""

    code: int
    checks: Mapping[str, str]

    def failed(self) -> list[str]:
        return [name for name, said in self.checks.items() if said.startswith("FAILED")]

    def odd(self) -> list[str]:
        return [name for name, said in self.checks.items() if not said.startswith("ok")]


def examined(line: Line, process: str, **changes: str) -> Examined:
    """`doctor --json` with the line's settings, and these."""
    env = line.env | {f"DICOMCAST_{name}": value for name, value in changes.items()}
    result = CliRunner().invoke(APPS[process], ["doctor", "--json"], env=env)
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    document: dict[str, Any] = json.loads(result.stdout)
    assert document["exit_code"] == result.exit_code
    checks = {check["name"]: f"{check['verdict']}: {check['text']}" for check in document["checks"]}
    return Examined(result.exit_code, checks)


def applied(line: Line) -> Line:
    """The line, its topics as `topics apply` makes them."""
    with line.started("dicomcast_producer", "topics", "apply", "--group", line.group) as apply:
        assert apply.process.wait(90) == 0, apply.text
    return line


@pytest.fixture
def line(kafka: str, hapi: str, dicom: DicomServer) -> Line:
    """With its topics."""
    found = Line(
        bootstrap=kafka,
        env={
            "DICOMCAST_FHIR__URL": hapi,
            "DICOMCAST_FEED__NAME": "main",
            "DICOMCAST_FEED__URL": dicom.base_url,
            "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": dicom.dicomweb_url,
            "DICOMCAST_MAPPING__PATIENT__SYSTEM": "urn:x:mrn",
        },
    )
    found.create_topics()
    return found


def test_all_is_well_for_the_consumer(line: Line) -> None:
    found = examined(applied(line), "consumer")
    assert found.code == 0
    assert found.odd() == ["registry"], found.checks
    for name in ("topic.read", "letters.write", "group"):
        assert found.checks[name].endswith("is allowed")
    assert line.records(line.topic) == line.records(line.letters_topic) == []
    assert set(line.committed().values()) == {-1001}
    with line.started("dicomcast_consumer", "doctor") as running:
        assert running.process.wait(60) == 0
        assert running.text.count("ok: ") == len(found.checks) - 1
        assert running.text.count("\n") == len(found.checks) + 1


def test_kafka_is_down(line: Line) -> None:
    found = examined(line, "consumer", KAFKA__BOOTSTRAP_SERVERS=NOWHERE)
    assert (found.code, found.failed()) == (69, ["kafka"])
    assert "Connection refused" in found.checks["kafka"]
    assert "correct DICOMCAST_KAFKA__BOOTSTRAP_SERVERS" in found.checks["kafka"]
    assert found.checks["topic"] == "skipped: it needs kafka"
    assert found.checks["fhir"].startswith("ok")


def test_brokers_that_give_out_an_address_that_nobody_reaches(line: Line) -> None:
    """As a broker in a container whose advertised.listeners is its own name there."""
    with KafkaBroker.started({"advertised.listeners": "PLAINTEXT://kafka.invalid:9092"}) as broker:
        found = examined(line, "consumer", KAFKA__BOOTSTRAP_SERVERS=broker.bootstrap)
    assert "kafka.invalid:9092" in found.checks["kafka"]
    assert "give out kafka.invalid:9092 (their advertised.listeners)" in found.checks["group"]


def test_the_topic_is_missing(line: Line) -> None:
    topic = f"t.{uuid.uuid4().hex[:12]}"
    found = examined(line, "consumer", TOPIC__NAME=topic)
    assert (found.code, found.failed()) == (78, ["topic"])
    assert f"`dicomcast-producer topics apply --group {line.group}` creates it" in found.checks["topic"]
    assert (
        topic not in AdminClient({"log_level": 0, "bootstrap.servers": line.bootstrap}).list_topics(timeout=30).topics
    )


def test_the_partition_counts_differ(line: Line) -> None:
    admin = AdminClient({"log_level": 0, "bootstrap.servers": line.bootstrap})
    admin.create_partitions([NewPartitions(line.topic, 6)])[line.topic].result(30)
    eventually(lambda: len(line.end_offsets()) == 6)
    found = examined(line, "consumer")
    assert (found.code, found.failed()) == (78, ["letters"])
    assert f"kafka-topics --alter --topic {line.letters_topic} --partitions 6" in found.checks["letters"]


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("cleanup.policy", "compact", "FAILED"),
        ("max.message.bytes", "5000", "FAILED"),
        ("retention.ms", "1000", "warning"),
    ],
)
def test_a_dead_letter_topic_that_loses_letters(line: Line, name: str, value: str, verdict: str) -> None:
    configure(line, name, value)
    found = examined(line, "consumer")
    assert found.code == (64 if verdict == "FAILED" else 0)
    assert found.checks["letters.settings"].startswith(verdict)
    assert f"{name}={value}" in found.checks["letters.settings"]
    assert "topics apply" in found.checks["letters.settings"]


def test_fhir_does_not_know_us(line: Line) -> None:
    with fhir_server(access=Basic("us", "right")) as closed:
        found = examined(line, "consumer", FHIR__URL=closed.base_url)
    assert (found.code, found.failed()) == (64, ["fhir"])
    assert "401" in found.checks["fhir"]
    assert "check DICOMCAST_FHIR__AUTH__*" in found.checks["fhir"]
    assert found.checks["fhir.search"] == "skipped: it needs fhir"


def test_fhir_is_down(line: Line) -> None:
    found = examined(line, "consumer", FHIR__URL=f"http://{NOWHERE}/fhir")
    assert (found.code, found.failed()) == (69, ["fhir"])
    assert "start it" in found.checks["fhir"]
    assert "correct DICOMCAST_FHIR__URL" in found.checks["fhir"]


def test_a_url_of_something_else(line: Line, hapi: str) -> None:
    found = examined(line, "consumer", FHIR__URL=hapi.removesuffix("/fhir"))
    assert (found.code, found.failed()) == (64, ["fhir"])
    assert "DICOMCAST_FHIR__URL" in found.checks["fhir"]


def test_the_groups_offset_has_left_the_topic(line: Line) -> None:
    consumer = Consumer({"log_level": 0, "bootstrap.servers": line.bootstrap, "group.id": line.group})
    consumer.commit(offsets=[TopicPartition(line.topic, 0, 7)], asynchronous=False)
    consumer.close()
    found = examined(line, "consumer")
    assert (found.code, found.failed()) == (78, ["group.offsets"])
    assert "replay plan" in found.checks["group.offsets"]


def test_a_registry_is_looked_at_and_nothing_registered(line: Line, registry: str) -> None:
    found = examined(line, "consumer", REGISTRY__URL=registry)
    assert found.code == 0
    assert "has not this release's schema" in found.checks["registry"]
    assert f"{line.topic}-value" not in httpx.get(f"{registry}/subjects").json()
    schema = {"schema": SCHEMA_JSON}
    httpx.post(f"{registry}/subjects/{line.topic}-value/versions", json=schema).raise_for_status()
    assert "this release's schema is id" in examined(line, "consumer", REGISTRY__URL=registry).checks["registry"]
    away = examined(line, "consumer", REGISTRY__URL=f"http://{NOWHERE}")
    assert (away.code, away.failed()) == (69, ["registry"])
    assert "DICOMCAST_REGISTRY__URL" in away.checks["registry"]
