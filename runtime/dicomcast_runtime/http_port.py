"""The HTTP port of a process: /livez, /readyz, /startupz for probes, /metrics for Prometheus.

It is served from a thread of its own, so that it still answers when the event loop does not: /livez is there for that.
Nothing that it serves names a study or a patient, and nothing can be changed through it.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import urlsplit

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from .errors import ConfigurationError
from .health import Health, Report
from .http_settings import HttpSettings

__all__ = ["Answer", "HttpPort", "routes_of"]

_READ_S: Final = 5.0
_TEXT: Final = "text/plain; charset=utf-8"
_OFF: Final = "off"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a path answers."""

    status: int
    content_type: str
    body: bytes


Route = Callable[[str], Answer]
"""Takes the request's Accept header."""


def routes_of(health: Health, registry: CollectorRegistry) -> dict[str, Route]:
    """The paths of a process with this health and these metrics."""

    def metrics(accept: str) -> Answer:
        encode, content_type = choose_encoder(accept)
        return Answer(200, content_type, encode(registry))

    return {
        "/livez": lambda _: _of(health.report(health.alive)),
        "/readyz": lambda _: _of(health.report(health.ready)),
        "/startupz": lambda _: _of(health.report(health.started)),
        "/metrics": metrics,
    }


def _of(report: Report) -> Answer:
    return Answer(200 if report.ok else 503, _TEXT, str(report).encode())


class HttpPort:
    """Serves routes for the `with` block, unless it is off."""

    def __init__(self, settings: HttpSettings, routes: Mapping[str, Route]) -> None:
        """Binds the address. Raises ConfigurationError when it cannot be had."""
        self._server: ThreadingHTTPServer | None = None
        if settings.listen == _OFF:
            return
        host, _, port = settings.listen.rpartition(":")
        try:
            self._server = _Server((host.strip("[]"), int(port)), _handler(routes))
        except (OSError, OverflowError) as error:
            raise ConfigurationError(
                f"DICOMCAST_HTTP__LISTEN: {settings.listen} cannot be had ({error}): another address, or `off`"
            ) from None

    @property
    def address(self) -> str | None:
        """`host:port` as bound, or None when it is off."""
        if self._server is None:
            return None
        host, port = self._server.server_address[:2]
        return f"[{host!s}]:{port}" if ":" in str(host) else f"{host!s}:{port}"

    def __enter__(self) -> "HttpPort":
        if self._server is not None:
            threading.Thread(target=self._server.serve_forever, name="http port", daemon=True).start()
            _log.info("http.listening", address=self.address)
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A probe that went away before its answer is no news."""


def _handler(routes: Mapping[str, Route]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = _READ_S
        server_version = "dicomcast"
        sys_version = ""

        def do_GET(self) -> None:
            route = routes.get(urlsplit(self.path).path)
            missing = Answer(404, _TEXT, ("there is: " + " ".join(routes) + "\n").encode())
            self._send(missing if route is None else route(self.headers.get("Accept", "")))

        do_HEAD = do_GET

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes come every few seconds: quiet."""

    return Handler
