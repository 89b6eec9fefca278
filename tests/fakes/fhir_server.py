"""The sandbox's FHIR server, run by uvicorn in a thread on a free port of 127.0.0.1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from dicomcast_sandbox.dicom import Access
from dicomcast_sandbox.fhir import HAPI, Dialect, Faults, Journal, Store, fhir_app

from tests.fakes.serving import ServerTls, served


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFhirServer:
    """A running server and the objects behind it; `base_url` ends in /fhir, as HAPI's does."""

    base_url: str
    store: Store
    """The server's thread owns it: look at it only while no request is under way, or read over HTTP."""
    journal: Journal
    faults: Faults
    port: int


@contextmanager
def fhir_server(
    *,
    store: Store | None = None,
    dialect: Dialect = HAPI,
    access: Access | None = None,
    port: int = 0,
    tls: ServerTls | None = None,
) -> Iterator[RunningFhirServer]:
    """Runs a server for the duration of the block. The same `store` and `port` again: the server after an outage."""
    store, journal, faults = store or Store(), Journal(), Faults()
    app = fhir_app(store, journal=journal, faults=faults, dialect=dialect, access=access)
    with served(app, port=port, tls=tls) as url:
        bound = httpx.URL(url).port
        assert bound is not None
        try:
            yield RunningFhirServer(base_url=f"{url}/fhir", store=store, journal=journal, faults=faults, port=bound)
        finally:
            faults.clear()
