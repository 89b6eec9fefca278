"""A line of the test's own between the real Kafka and the sandbox's FHIR server."""

import pytest

from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line


@pytest.fixture
def line(kafka: str, fhir: RunningFhirServer) -> Line:
    return Line.writing_to(fhir.base_url, bootstrap=kafka)
