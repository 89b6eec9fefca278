"""A line whose processes say little, so that what a command prints is what is read."""

import pytest

from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line


@pytest.fixture
def line(kafka: str, fhir: RunningFhirServer) -> Line:
    return Line.writing_to(fhir.base_url, bootstrap=kafka, LOG__LEVEL="error")
