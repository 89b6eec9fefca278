"""The sandbox's DICOM server, run by uvicorn in a thread on a free port of 127.0.0.1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dicomcast_sandbox.dicom import Access, Faults, Journal, Store, dicom_app

from tests.fakes.serving import ServerTls, served


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomServer:
    """A running server and the objects behind it; `base_url` is the root before /v1 and /v2."""

    base_url: str
    store: Store
    journal: Journal
    faults: Faults
    access: Access | None

    @property
    def dicomweb_url(self) -> str:
        return f"{self.base_url}/v2"


@contextmanager
def dicom_server(
    *, store: Store | None = None, access: Access | None = None, port: int = 0, tls: ServerTls | None = None
) -> Iterator[DicomServer]:
    """Runs a server for the duration of the block; what hangs in it is let go at the end."""
    store, journal, faults = store or Store(), Journal(), Faults()
    app = dicom_app(store, journal=journal, faults=faults, access=access)
    with served(app, port=port, tls=tls) as url:
        try:
            yield DicomServer(base_url=url, store=store, journal=journal, faults=faults, access=access)
        finally:
            faults.clear()
