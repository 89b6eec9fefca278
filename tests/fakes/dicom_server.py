"""The sandbox's DICOM server, run by uvicorn in a thread on a free port of 127.0.0.1."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

import uvicorn
from dicomcast_sandbox.dicom import Access, Faults, Journal, Store, dicom_app

START_TIMEOUT_S = 20.0


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
def dicom_server(*, store: Store | None = None, access: Access | None = None, port: int = 0) -> Iterator[DicomServer]:
    """Runs a server for the duration of the block; what hangs in it is let go at the end."""
    store, journal, faults = store or Store(), Journal(), Faults()
    app = dicom_app(store, journal=journal, faults=faults, access=access)
    config = uvicorn.Config(app, log_level="warning", lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # else asyncio sets no TCP_NODELAY: 40 ms an answer
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="dicom-server", daemon=True)
        thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not server.started:
            raise RuntimeError("the sandbox DICOM server did not start")
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield DicomServer(base_url=base_url, store=store, journal=journal, faults=faults, access=access)
        finally:
            faults.clear()
            server.should_exit = True
            thread.join(START_TIMEOUT_S)
