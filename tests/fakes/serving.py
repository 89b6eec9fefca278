"""An ASGI application run by uvicorn in a thread, on 127.0.0.1, with or without TLS."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["ServerTls", "served"]

START_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """A server's certificate, and the CA of the client certificates that it asks for."""

    cert: Path
    key: Path
    client_ca: Path | None = None


@contextmanager
def served(app: ASGIApp, *, port: int = 0, tls: ServerTls | None = None) -> Iterator[str]:
    """Runs the application for the block; its URL. Port 0 takes a free one."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=1,
        ssl_certfile=tls and str(tls.cert),
        ssl_keyfile=tls and tls.key,
        ssl_ca_certs=tls and tls.client_ca and str(tls.client_ca),
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca else ssl.CERT_NONE,
    )
    server = uvicorn.Server(config)
    # proto: asyncio sets TCP_NODELAY only where it is named; without it every answer waits 40 ms for an ACK.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="served", daemon=True)
        thread.start()
        deadline = time.monotonic() + START_TIMEOUT_S
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not server.started:
            raise RuntimeError("the application did not start")
        try:
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(START_TIMEOUT_S)
