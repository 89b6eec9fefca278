"""The sandbox's FHIR server, run by uvicorn in a thread on a free port of 127.0.0.1."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

import uvicorn
from dicomcast_sandbox.dicom import Access
from dicomcast_sandbox.fhir import HAPI, Dialect, Faults, Journal, Store, fhir_app

START_TIMEOUT_S = 20.0


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
    *, store: Store | None = None, dialect: Dialect = HAPI, access: Access | None = None, port: int = 0
) -> Iterator[RunningFhirServer]:
    """Runs a server for the duration of the block. The same `store` and `port` again: the server after an outage."""
    store, journal, faults = store or Store(), Journal(), Faults()
    app = fhir_app(store, journal=journal, faults=faults, dialect=dialect, access=access)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    # proto: asyncio sets TCP_NODELAY only where it is named; without it every answer waits 40 ms for an ACK.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        bound = listener.getsockname()[1]
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="fhir-server", daemon=True)
        thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not server.started:
            raise RuntimeError("the sandbox FHIR server did not start")
        try:
            yield RunningFhirServer(
                base_url=f"http://127.0.0.1:{bound}/fhir", store=store, journal=journal, faults=faults, port=bound
            )
        finally:
            faults.clear()
            server.should_exit = True
            thread.join(START_TIMEOUT_S)
