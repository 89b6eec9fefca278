"""The real servers as pytest fixtures (loaded by tests/conftest.py).

    kafka         bootstrap servers            one broker for the whole session
    hapi          base URL                     one FHIR server for the whole session: use identifiers of your own
    orthanc       OrthancServer                one for the whole session: use UIDs and PatientIDs of your own
    registry      URL of the Confluent API     one for the whole session
    validator     Validator                    HAPI's FHIR validator, one for the whole session

    own_kafka     KafkaBroker                  one for this test: stop, kill, freeze and start it again as you like
    own_hapi      FhirServer                   likewise; stopped (not killed: H2) it keeps its resources over a restart
    own_orthanc   OrthancServer                likewise

Started when a test first asks. What is not installed skips the test, and fails it where CI=true. To spare the start
while you work, TEST_KAFKA, TEST_HAPI_URL and TEST_REGISTRY_URL name servers that run already.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import pytest

from tests.services.judge import Validator
from tests.services.peers import FhirServer, KafkaBroker, OrthancServer, SchemaRegistry
from tests.services.server import NotInstalledError

__all__ = ["hapi", "installed", "kafka", "orthanc", "own_hapi", "own_kafka", "own_orthanc", "registry", "validator"]

T = TypeVar("T")


@contextmanager
def _installed(peer: AbstractContextManager[T]) -> Iterator[T]:
    with installed(), peer as entered:
        yield entered


@contextmanager
def installed() -> Iterator[None]:
    """Skips the test when a server that the block starts is not installed; fails it where CI=true."""
    try:
        yield
    except NotInstalledError as error:
        missing = str(error)
    else:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(missing, pytrace=False)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap servers of the session's broker."""
    running = os.environ.get("TEST_KAFKA")
    if running:
        yield running
        return
    with _installed(KafkaBroker.started()) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def hapi() -> Iterator[str]:
    """Base URL of the session's FHIR server."""
    running = os.environ.get("TEST_HAPI_URL")
    if running:
        yield running
        return
    with _installed(FhirServer.started()) as fhir:
        yield fhir.url


@pytest.fixture(scope="session")
def registry() -> Iterator[str]:
    """URL of the Confluent API of the session's Schema Registry."""
    running = os.environ.get("TEST_REGISTRY_URL")
    if running:
        yield running
        return
    with _installed(SchemaRegistry.started()) as schemas:
        yield schemas.url


@pytest.fixture(scope="session")
def orthanc() -> Iterator[OrthancServer]:
    """The session's DICOM server."""
    with _installed(OrthancServer.started()) as dicom:
        yield dicom


@pytest.fixture(scope="session")
def validator() -> Iterator[Validator]:
    """The session's FHIR validator."""
    with _installed(Validator.started()) as judge:
        yield judge


@pytest.fixture
def own_kafka() -> Iterator[KafkaBroker]:
    """A broker of this test's own."""
    with _installed(KafkaBroker.started()) as broker:
        yield broker


@pytest.fixture
def own_hapi() -> Iterator[FhirServer]:
    """A FHIR server of this test's own, on disk."""
    with _installed(FhirServer.started(on_disk=True)) as fhir:
        yield fhir


@pytest.fixture
def own_orthanc() -> Iterator[OrthancServer]:
    """A DICOM server of this test's own."""
    with _installed(OrthancServer.started()) as dicom:
        yield dicom
