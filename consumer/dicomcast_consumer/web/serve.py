"""The process of `dicomcast-consumer web`: the sampler and the page, until a signal."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import typer
import uvicorn
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.logs import configure_logs
from dicomcast_runtime.settings import load_settings

from ..status_read import StatusReader
from .app import Parts, page_app
from .sampler import Sampler, ask_members
from .settings import WebSettings
from .shelf import Shelf
from .study_io import StudyTopic

__all__ = ["listener", "parts_of", "serve"]


def serve(config: Path | None) -> None:
    """Serves until a signal. Raises ConfigurationError when the settings are not usable or the address is taken."""
    settings = load_settings(WebSettings, config=config)
    configure_logs(settings.log)
    with listener(settings.web.listen) as sock, parts_of(settings) as parts:
        host, port = sock.getsockname()[:2]
        typer.echo(f"http://{f'[{host}]' if ':' in host else host}:{port}/")
        options = uvicorn.Config(
            page_app(parts),
            log_config=None,
            access_log=False,  # a URL may hold a Study Instance UID
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        _Server(options).run(sockets=[sock])


class _Server(uvicorn.Server):
    """uvicorn's server, for which a signal is the usual end, not raised again: the process ends with 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """For the time that it serves."""
        before = {number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, was in before.items():
                signal.signal(number, was)

    def _stop(self, *_: object) -> None:
        self.force_exit = self.should_exit
        self.should_exit = True


@contextlib.contextmanager
def parts_of(settings: WebSettings) -> Iterator[Parts]:
    """What the page is made of, with its sampler at work."""
    place = {"topic": settings.topic.name, "group": settings.consumer.group}
    shelf = Shelf(settings.kafka, **place)
    sampler = Sampler(
        status=StatusReader(settings.kafka, **place).read,
        members=partial(ask_members, settings.web.members),
        letters=shelf.kept,
        every_s=settings.web.sample_every_s,
    )
    topic = StudyTopic(settings.kafka, **place, schema_by_id=settings.schema_by_id())
    with sampler:
        yield Parts(settings=settings, sampler=sampler, shelf=shelf, topic=topic)


def listener(listen: str) -> socket.socket:
    """A socket bound to host:port. Raises ConfigurationError when it cannot be had."""
    host, _, port = listen.rpartition(":")
    host = host.strip("[]")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        sock.listen()  # so that the address that is printed answers, if only in a moment
    except (OSError, OverflowError) as error:
        sock.close()
        raise ConfigurationError(
            f"DICOMCAST_WEB__LISTEN: {listen} cannot be had ({error}): name another address, port 0 takes a free one"
        ) from None
    return sock
