"""Each real server answers, and a broker of one's own survives what tests do to it."""

import json
import urllib.request
import uuid

import httpx
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.services.peers import KafkaBroker, OrthancServer


def test_kafka_answers(kafka: str) -> None:
    admin = AdminClient({"log_level": 0, "bootstrap.servers": kafka})
    assert len(admin.list_topics(timeout=30).brokers) == 1


def test_hapi_is_a_fhir_r4_server(hapi: str) -> None:
    with urllib.request.urlopen(f"{hapi}/metadata?_summary=true", timeout=60) as answer:
        assert json.load(answer)["fhirVersion"].startswith("4.0.")


def test_orthanc_answers_by_dicomweb(orthanc: OrthancServer) -> None:
    answer = httpx.get(f"{orthanc.dicomweb_url}/studies?limit=1", auth=(orthanc.user, orthanc.password))
    assert answer.status_code == 200


def test_orthanc_asks_for_a_password(orthanc: OrthancServer) -> None:
    assert httpx.get(f"{orthanc.dicomweb_url}/studies?limit=1").status_code == 401


def test_registry_gives_back_a_schema(registry: str) -> None:
    schema = json.dumps({"type": "record", "name": f"R{uuid.uuid4().hex}", "fields": []})
    subject = f"{uuid.uuid4()}-value"
    answer = httpx.post(f"{registry}/subjects/{subject}/versions", json={"schema": schema}, timeout=60)
    answer.raise_for_status()
    found = httpx.get(f"{registry}/schemas/ids/{answer.json()['id']}", timeout=60).json()
    assert json.loads(found["schema"]) == json.loads(schema)


def test_own_kafka_keeps_its_records_over_a_kill(own_kafka: KafkaBroker) -> None:
    topic = "kept"
    admin = AdminClient({"log_level": 0, "bootstrap.servers": own_kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(30)
    _produce(own_kafka, topic, b"before")
    own_kafka.server.kill()
    assert own_kafka.server.pid is None
    own_kafka.server.start()
    _produce(own_kafka, topic, b"after")
    assert _values(own_kafka, topic, 2) == [b"before", b"after"]


def test_own_kafka_thaws(own_kafka: KafkaBroker) -> None:
    own_kafka.server.freeze()
    own_kafka.server.thaw()
    admin = AdminClient({"log_level": 0, "bootstrap.servers": own_kafka.bootstrap})
    assert admin.list_topics(timeout=30).brokers


def _produce(broker: KafkaBroker, topic: str, value: bytes) -> None:
    producer = Producer({"log_level": 0, "bootstrap.servers": broker.bootstrap})
    producer.produce(topic, value)
    assert producer.flush(60) == 0


def _values(broker: KafkaBroker, topic: str, count: int) -> list[bytes | None]:
    group = {"group.id": str(uuid.uuid4()), "auto.offset.reset": "earliest"}
    consumer = Consumer({"log_level": 0, "bootstrap.servers": broker.bootstrap, **group})
    consumer.subscribe([topic])
    try:
        return [record.value() for record in consumer.consume(count, timeout=60)]
    finally:
        consumer.close()
