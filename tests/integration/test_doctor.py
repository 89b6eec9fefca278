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
from dicomcast_producer.__main__ import app as producer_app
from dicomcast_sandbox.dicom import Basic
from dicomcast_schemas import SCHEMA_JSON
from dicomcast_schemas.topic import cursor_topic
from typer.testing import CliRunner

from tests.fakes.dicom_server import DicomServer, dicom_server
from tests.fakes.fhir_server import fhir_server
from tests.fakes.processes import Line, eventually
from tests.integration.consumer.test_letters_refused import configure
from tests.services.peers import KafkaBroker
from tests.unit.producer.feeds import fill

APPS = {"consumer": consumer_app, "producer": producer_app}
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
    assert found.odd() == ["kafka.clock", "registry"], found.checks  # there is no record yet to tell the time by
    for name in ("topic.read", "letters.write", "group"):
        assert found.checks[name].endswith("is allowed")
    assert line.records(line.topic) == line.records(line.letters_topic) == []
    assert set(line.committed().values()) == {-1001}
    with line.started("dicomcast_consumer", "doctor") as running:
        assert running.process.wait(60) == 0
        assert running.text.count("ok: ") == len(found.checks) - 2
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


def test_no_topic_is_made_by_asking_for_it(line: Line) -> None:
    """Where brokers make what they are asked for by name; the consumer's start asks in the same way."""
    with KafkaBroker.started({"auto.create.topics.enable": "true"}) as broker:
        for process, check in (("consumer", "topic"), ("producer", "topics")):
            found = examined(line, process, KAFKA__BOOTSTRAP_SERVERS=broker.bootstrap)
            assert (found.code, found.failed()) == (78, [check])
        unverified = {"KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap, "PRODUCER__VERIFY_TOPICS": "false"}
        assert examined(line, "producer", **unverified).failed() == ["topics"]
        admin = AdminClient({"log_level": 0, "bootstrap.servers": broker.bootstrap})
        assert {name for name in admin.list_topics(timeout=30).topics if not name.startswith("__")} == set()


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


def test_all_is_well_for_the_producer_before_and_while_it_has_published(line: Line, dicom: DicomServer) -> None:
    before = examined(applied(line), "producer")
    assert before.code == 0
    assert before.odd() == ["transactions", "kafka.clock", "registry", "feed.page", "feed.identity", "feed.dicomweb"]
    assert line.records(cursor_topic(line.topic)) == []
    fill(dicom.store, range(1, 4))
    with line.producer() as producer:
        producer.wait_for("feed.caught_up")
        during = examined(line, "producer")
        assert (during.code, during.odd()) == (0, ["transactions", "registry"]), during.checks
        assert during.checks["cursor"].endswith("at sequence 3")
        fill(dicom.store, [4])
        eventually(lambda: line.cursor() == 4, lambda: producer.text, producer)  # it was not fenced
    with dicom_server() as rebuilt:
        fill(rebuilt.store, range(1, 3))
        other = examined(line, "producer", FEED__URL=rebuilt.base_url)
    assert (other.code, other.failed()) == (78, ["cursor"])
    assert "cursor set" in other.checks["cursor"]


def test_kafka_is_down_for_the_producer(line: Line) -> None:
    found = examined(line, "producer", KAFKA__BOOTSTRAP_SERVERS=NOWHERE)
    assert (found.code, found.failed()) == (69, ["kafka"])
    assert "correct DICOMCAST_KAFKA__BOOTSTRAP_SERVERS" in found.checks["kafka"]
    assert found.checks["feed"].startswith("ok")


def test_the_producers_topics_are_missing_or_of_another_shape(line: Line) -> None:
    topic = f"t.{uuid.uuid4().hex[:12]}"
    missing = examined(line, "producer", TOPIC__NAME=topic)
    assert (missing.code, missing.failed()) == (78, ["topics"])
    assert f"no topic {topic} and no topic {cursor_topic(topic)}" in missing.checks["topics"]
    assert "topics apply" in missing.checks["topics"]
    assert (
        topic not in AdminClient({"log_level": 0, "bootstrap.servers": line.bootstrap}).list_topics(timeout=30).topics
    )
    small = examined(line, "producer", TOPIC__MAX_RECORD_BYTES="5000000")
    assert (small.code, small.failed()) == (64, ["topics"])
    counted = examined(line, "producer", TOPIC__PARTITIONS="9")
    assert counted.code == 0
    assert "set it to 4" in counted.checks["topics.settings"]
    assert "topics apply` corrects it" in counted.checks["topics.settings"]


def test_an_incompatible_schema_is_seen_before_the_producer_starts(line: Line, registry: str) -> None:
    assert "can be registered" in examined(line, "producer", REGISTRY__URL=registry).checks["registry"]
    assert f"{line.topic}-value" not in httpx.get(f"{registry}/subjects").json()
    schema = json.loads(SCHEMA_JSON)
    schema["fields"] = [one | {"type": "string"} if one["name"] == "sequence" else one for one in schema["fields"]]
    url = f"{registry}/subjects/{line.topic}-value/versions"
    httpx.post(url, json={"schema": json.dumps(schema)}).raise_for_status()
    httpx.put(f"{registry}/config/{line.topic}-value", json={"compatibility": "FULL_TRANSITIVE"}).raise_for_status()
    found = examined(line, "producer", REGISTRY__URL=registry)
    assert (found.code, found.failed()) == (78, ["registry"])
    assert "DICOMCAST_TOPIC__NAME" in found.checks["registry"]
