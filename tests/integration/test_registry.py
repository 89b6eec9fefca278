"""With a Schema Registry: the producer registers, records carry its id, the consumer reads by it."""

from collections.abc import Iterator

import httpx
import pytest
from dicomcast_runtime.errors import BrokenContractError, DependencyError
from dicomcast_runtime.kafka_settings import RegistrySettings
from dicomcast_runtime.registry import SchemaRegistry
from dicomcast_schemas import SCHEMA_JSON
from pydicom.uid import generate_uid

from tests.fakes.dicom_server import DicomServer
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, eventually
from tests.integration.instances import store_instances


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
