"""The sandbox's DICOM server: one for all tests, empty for each."""

from collections.abc import Iterator

import pytest

from tests.fakes.dicom_server import DicomServer, dicom_server


@pytest.fixture(scope="session")
def _running_dicom() -> Iterator[DicomServer]:
    with dicom_server() as server:
        yield server


@pytest.fixture
def dicom(_running_dicom: DicomServer) -> DicomServer:
    _running_dicom.faults.clear()
    _running_dicom.store.reset()
    _running_dicom.journal.clear()
    return _running_dicom
