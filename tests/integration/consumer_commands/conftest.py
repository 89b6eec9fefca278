"""A line whose processes say little, so that what a command prints is what is read."""

import pytest

from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line


@pytest.fixture
def line(kafka: str, fhir: RunningFhirServer) -> Line:
    line = Line(
        bootstrap=kafka,
        env={
            "DICOMCAST_FHIR__URL": fhir.base_url,
            "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "http://127.0.0.1:9/dicom-web",
            "DICOMCAST_LOG__LEVEL": "error",
        },
    )
    line.create_topics()
    return line
