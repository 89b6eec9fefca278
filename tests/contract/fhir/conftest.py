"""One FHIR server after the other: the sandbox's and the real HAPI answer the same tests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.fakes.fhir_server import RunningFhirServer, fhir_server


@pytest.fixture(scope="session", params=["sandbox", "hapi"])
def fhir_base_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The base URL; resources of other tests are on the server too, so use identifiers of your own."""
    if request.param == "hapi":
        yield request.getfixturevalue("hapi")
        return
    with fhir_server() as server:
        yield server.base_url


@pytest.fixture(scope="session")
def fhir(fhir_base_url: str) -> Iterator[httpx.Client]:
    """A client of that server."""
    with client_of(fhir_base_url) as client:
        yield client


@pytest.fixture
def sandbox() -> Iterator[RunningFhirServer]:
    """A sandbox server of this test's own."""
    with fhir_server() as server:
        yield server


@pytest.fixture
def sandbox_client(sandbox: RunningFhirServer) -> Iterator[httpx.Client]:
    """A client of `sandbox`."""
    with client_of(sandbox.base_url) as client:
        yield client


def client_of(base_url: str) -> httpx.Client:
    headers = {"accept": "application/fhir+json"}
    return httpx.Client(base_url=f"{base_url}/", headers=headers, timeout=60)
