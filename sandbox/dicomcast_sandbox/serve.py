"""Runs the sandbox's servers for people: each prints its address first and ends with 0 on SIGTERM or SIGINT."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import uvicorn
from dicomcast_runtime.errors import ConfigurationError

from dicomcast_sandbox.kafka import LIMITS, MockCluster

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["serve_app", "serve_kafka"]

HOST: Final = "127.0.0.1"
_STOP: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve_kafka(topics: Sequence[str], *, out: Callable[[str], None]) -> None:
    """The mock cluster with these topics, until a signal. The first line is what bootstrap.servers takes."""
    stopped = threading.Event()
    for number in _STOP:
        signal.signal(number, lambda *_: stopped.set())
    with MockCluster() as cluster:
        cluster.touch(topics)
        out(cluster.bootstrap_servers)
        out(f"topics: {', '.join(topics)}")
        out(LIMITS)
        stopped.wait()


def serve_app(app: "ASGIApp", *, port: int, path: str, about: Sequence[str], out: Callable[[str], None]) -> None:
    """The application on 127.0.0.1, until a signal. Port 0 takes a free one. The first line is its URL with `path`.

    Raises ConfigurationError when the port is taken.
    """
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise ConfigurationError(f"--port {port}: {error.strerror}; 0 takes a free port") from None
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        lines = [f"{url}{path}", *(line.replace("{url}", url) for line in about)]
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=2
        )
        _Server(config, ready=lambda: out("\n".join(lines))).run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn's server that says when it listens, and for which a signal is the usual end, not raised again."""

    def __init__(self, config: uvicorn.Config, *, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._stop) for number in _STOP}
        try:
            yield
        finally:
            for number, was in before.items():
                signal.signal(number, was)

    def _stop(self, *_: object) -> None:
        self.should_exit = True
