"""With a Schema Registry: the producer registers, records carry its id, the consumer reads by it."""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Producer
from dicomcast_runtime.errors import BrokenContractError, ConfigurationError, DependencyError
from dicomcast_runtime.kafka_settings import RegistrySettings
from dicomcast_runtime.registry import SchemaRegistry
from dicomcast_schemas import SCHEMA_JSON, encode
from dicomcast_schemas.topic import event_headers, record_key
from pydicom.uid import generate_uid

from tests.fakes.dicom_server import DicomServer
from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, eventually
from tests.integration.instances import store_instances


class Proxy(ThreadingHTTPServer):
    """A registry's address that answers only once it is started."""

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Forward, bind_and_activate=False)
        self.upstream = upstream
        self.server_bind()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        self.server_activate()
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.started = True

    started = False


class _Forward(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        answer = httpx.get(self.server.upstream + self.path)
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers["Content-Type"])
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def stopped_proxy(upstream: str) -> Iterator[Proxy]:
    proxy = Proxy(upstream)
    try:
        yield proxy
    finally:
        if proxy.started:
            proxy.shutdown()
        proxy.server_close()


@pytest.fixture
def schemas(registry: str) -> Iterator[SchemaRegistry]:
    client = SchemaRegistry(RegistrySettings(url=registry))
    yield client
    client.close()


def test_events_go_through_in_the_confluent_framing(
    kafka: str, registry: str, fhir: RunningFhirServer, dicom: DicomServer, schemas: SchemaRegistry
) -> None:
    line = Line(
        bootstrap=kafka,
        env={
            "DICOMCAST_FEED__NAME": "main",
            "DICOMCAST_FEED__URL": dicom.base_url,
            "DICOMCAST_FEED__POLL_INTERVAL_S": "0.5",
            "DICOMCAST_FEED__GAP_SETTLE_S": "0",
            "DICOMCAST_FHIR__URL": fhir.base_url,
            "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": f"{dicom.base_url}/v2",
            "DICOMCAST_REGISTRY__URL": registry,
        },
    )
    line.create_topics()
    store_instances(dicom.base_url, study=generate_uid(), count=3)
    with line.producer("--exit-when-idle") as producer:
        assert producer.process.wait(90) == 0, producer.text
    schema_id = schemas.id_for(line.topic, SCHEMA_JSON)
    values = [value for _, value in line.records()]
    assert [value[:5] for value in values] == [b"\0" + schema_id.to_bytes(4, "big")] * 3
    with line.consumer() as consumer:
        eventually(line.caught_up, lambda: consumer.text, consumer)
    (entry,) = httpx.get(f"{fhir.base_url}/ImagingStudy").json()["entry"]
    assert entry["resource"]["numberOfInstances"] == 3


def test_an_unknown_id_and_an_incompatible_schema_are_told_apart(schemas: SchemaRegistry) -> None:
    schema_id = schemas.id_for("t.registry", SCHEMA_JSON)
    assert schemas.id_for("t.registry", SCHEMA_JSON) == schema_id
    assert "DicomChangeEvent" in schemas.schema_by_id(schema_id)
    with pytest.raises(LookupError):
        schemas.schema_by_id(987_654)


def test_an_unregistered_schema_is_refused_when_it_may_not_be_registered(registry: str) -> None:
    client = SchemaRegistry(RegistrySettings(url=registry, auto_register=False))
    with pytest.raises(BrokenContractError, match="register it"):
        client.id_for("t.never-registered", SCHEMA_JSON)
    client.close()


def test_a_registry_that_is_away_is_a_dependency() -> None:
    client = SchemaRegistry(RegistrySettings(url="http://127.0.0.1:9"))
    with pytest.raises(DependencyError):
        client.schema_by_id(1)
    client.close()


def other(schema_json: str) -> str:
    """A schema that neither reads our records nor is read by ours: sequence is text."""
    schema = json.loads(schema_json)
    for field in schema["fields"]:
        if field["name"] == "sequence":
            field["type"] = "string"
    return json.dumps(schema)


def level(registry: str, topic: str) -> str:
    return str(httpx.get(f"{registry}/config/{topic}-value").json()["compatibilityLevel"])


def test_the_subject_is_full_transitive_before_its_first_schema(registry: str, schemas: SchemaRegistry) -> None:
    topic = f"t.{uuid.uuid4().hex[:12]}"
    schemas.id_for(topic, SCHEMA_JSON)
    assert level(registry, topic) == "FULL_TRANSITIVE"
    refused = httpx.post(f"{registry}/subjects/{topic}-value/versions", json={"schema": other(SCHEMA_JSON)})
    assert refused.status_code == 409


def test_an_incompatible_schema_ends_with_subject_version_and_the_way_out(
    kafka: str, registry: str, dicom: DicomServer
) -> None:
    line = Line(
        bootstrap=kafka,
        env={
            "DICOMCAST_FEED__NAME": "main",
            "DICOMCAST_FEED__URL": dicom.base_url,
            "DICOMCAST_REGISTRY__URL": registry,
        },
    )
    line.create_topics()
    subject = f"{line.topic}-value"
    httpx.post(f"{registry}/subjects/{subject}/versions", json={"schema": other(SCHEMA_JSON)}).raise_for_status()
    with line.producer("--exit-when-idle") as producer:
        assert producer.process.wait(90) == 78, producer.text
        assert f"{subject} (409)" in producer.text
        assert "FULL_TRANSITIVE with version 1" in producer.text
        assert "DICOMCAST_TOPIC__NAME" in producer.text
        assert "Traceback" not in producer.text
    assert line.records() == []


def away(settings: RegistrySettings) -> RegistrySettings:
    """The same settings for the same registry, whose port nothing listens to. The cache file knows it by its URL."""
    file = Path(settings.cache_file or "")
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "url": "http://127.0.0.1:9"}))
    return settings.model_copy(update={"url": "http://127.0.0.1:9"})


def test_a_restart_while_the_registry_is_away_goes_on_from_the_cache_file(registry: str, tmp_path: Path) -> None:
    settings = RegistrySettings(url=registry, cache_file=str(tmp_path / "registry.json"))
    first = SchemaRegistry(settings)
    schema_id = first.id_for("t.cached", SCHEMA_JSON)
    first.close()
    again = SchemaRegistry(away(settings))
    assert again.id_for("t.cached", SCHEMA_JSON) == schema_id
    assert "DicomChangeEvent" in again.schema_by_id(schema_id)
    with pytest.raises(DependencyError):
        again.id_for("t.other", SCHEMA_JSON)
    with pytest.raises(DependencyError):
        again.schema_by_id(schema_id + 100_000)
    again.close()


def test_a_cache_of_another_registry_and_a_damaged_one_say_nothing(registry: str, tmp_path: Path) -> None:
    file = tmp_path / "registry.json"
    for text in ('{"url": "http://other", "schemas": {"1": "x"}, "ids": {}}', "{", "[]"):
        file.write_text(text)
        client = SchemaRegistry(RegistrySettings(url="http://127.0.0.1:9", cache_file=str(file)))
        with pytest.raises(DependencyError):
            client.schema_by_id(1)
        client.close()
    client = SchemaRegistry(RegistrySettings(url=registry, cache_file=str(tmp_path / "none" / "registry.json")))
    with pytest.raises(ConfigurationError, match="CACHE_FILE"):
        client.id_for("t.cached", SCHEMA_JSON)
    client.close()


def test_a_consumer_waits_for_a_registry_that_is_away_and_dead_letters_nothing(
    kafka: str, registry: str, fhir: RunningFhirServer, schemas: SchemaRegistry
) -> None:
    with stopped_proxy(registry) as proxy:
        line = Line.writing_to(fhir.base_url, bootstrap=kafka, REGISTRY__URL=proxy.url)
        event = create(1, "1.1", "1.1.1")
        producer = Producer({"log_level": 0, "bootstrap.servers": kafka})
        producer.produce(
            line.topic,
            key=record_key(event),
            value=encode(event, schema_id=schemas.id_for(line.topic, SCHEMA_JSON)),
            headers=list(event_headers(event).items()),
        )
        producer.flush(30)
        with line.consumer() as consumer:
            consumer.wait_for("event=event.waiting")
            assert line.records(line.letters_topic) == []
            proxy.start()
            eventually(line.caught_up, lambda: consumer.text, consumer)
    assert line.records(line.letters_topic) == []
    assert len(httpx.get(f"{fhir.base_url}/ImagingStudy").json()["entry"]) == 1
