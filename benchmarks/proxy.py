"""A TCP proxy in front of the FHIR server that counts: all contestants pass it, so that all are counted alike.

It runs in a process of its own and writes what it counted to a file whenever it is asked to by SIGUSR1, and at its end.
"""

import asyncio
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from tests.services.server import free_ports

__all__ = ["Counts", "Proxy", "counting_proxy"]

_REQUEST: Final = re.compile(rb"(GET|POST|PUT|DELETE) (\S+) HTTP/1\.1\r\n")


@dataclass(slots=True)
class Counts:
    """What went through."""

    reads: int = 0
    """Searches and reads."""
    writes: int = 0
    """Everything that may write: transactions, PUT, DELETE."""
    sent_bytes: int = 0
    received_bytes: int = 0
    first_s: float = 0.0
    """When the first search or transaction was sent, by time.monotonic."""
    last_s: float = 0.0
    """When the last answer came."""

    @property
    def requests(self) -> int:
        """All of them."""
        return self.reads + self.writes


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy."""

    url: str
    _process: "subprocess.Popen[bytes]"
    _path: Path

    def counts(self) -> Counts:
        """So far since the last `clear`."""
        return self._ask(signal.SIGUSR1)

    def clear(self) -> None:
        """Begins anew."""
        self._ask(signal.SIGUSR2)

    def _ask(self, number: signal.Signals) -> Counts:
        self._path.unlink(missing_ok=True)
        self._process.send_signal(number)
        for _ in range(500):
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                return Counts(**json.loads(self._path.read_text()))
            time.sleep(0.01)
        raise RuntimeError("the proxy does not answer")


@contextlib.contextmanager
def counting_proxy(url: str) -> Iterator[Proxy]:
    """A proxy in front of `url`, an http URL of 127.0.0.1."""
    (port,) = free_ports(1)
    host, _, path = url.removeprefix("http://").partition("/")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counts"
        command = [sys.executable, "-m", "benchmarks.proxy", str(port), host, str(file)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        proxy = Proxy(f"http://127.0.0.1:{port}/{path}", process, file)
        try:
            for _ in range(500):
                if file.exists():
                    break
                time.sleep(0.01)
            yield proxy
        finally:
            process.terminate()
            process.wait(10)


class _Server:
    def __init__(self, host: str, path: Path) -> None:
        self._host, self._path = host, path
        self.counts = Counts()

    def write(self) -> None:
        """Puts the counts into the file, whole or not at all."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self.counts)))
        fresh.rename(self._path)

    def clear(self) -> None:
        """Begins anew."""
        self.counts = Counts()
        self.write()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, both ways."""
        host, _, port = self._host.partition(":")
        there, away = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(self._pass(reader, away, self._sent), self._pass(there, writer, self._received))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: object) -> None:
        assert callable(count)
        try:
            while chunk := await reader.read(256 * 1024):
                count(chunk)
                writer.write(chunk)
                await writer.drain()
        finally:
            writer.close()

    def _sent(self, chunk: bytes) -> None:
        self.counts.sent_bytes += len(chunk)
        found = _REQUEST.match(chunk)
        if found is None:
            return
        method, path = found.groups()
        if path.endswith(b"/metadata"):
            return
        self.counts.first_s = self.counts.first_s or time.monotonic()
        if method == b"GET" or path.endswith(b"/_search"):
            self.counts.reads += 1
        else:
            self.counts.writes += 1

    def _received(self, chunk: bytes) -> None:
        self.counts.received_bytes += len(chunk)
        self.counts.last_s = time.monotonic()


async def _main() -> None:
    server = _Server(sys.argv[2], Path(sys.argv[3]))
    loop, ended, parent = asyncio.get_running_loop(), asyncio.Event(), os.getppid()
    loop.add_signal_handler(signal.SIGUSR1, server.write)
    loop.add_signal_handler(signal.SIGUSR2, server.clear)
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    async with await asyncio.start_server(server.serve, "127.0.0.1", int(sys.argv[1]), limit=1024 * 1024):
        server.write()
        while not ended.is_set() and os.getppid() == parent:  # it ends with who started it
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), 0.5)


if __name__ == "__main__":
    asyncio.run(_main())
