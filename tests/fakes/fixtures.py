"""The sandbox's servers as pytest fixtures, one for each test (loaded by tests/conftest.py)."""

from collections.abc import Iterator

import pytest

from tests.fakes.dicom_server import DicomServer, dicom_server
from tests.fakes.fhir_server import RunningFhirServer, fhir_server

__all__ = ["dicom", "fhir"]


@pytest.fixture
def fhir() -> Iterator[RunningFhirServer]:
    """A FHIR server that can be made to misbehave."""
    with fhir_server() as server:
        yield server


@pytest.fixture
def dicom() -> Iterator[DicomServer]:
    """A DICOM server with the change feed."""
    with dicom_server() as server:
        yield server
