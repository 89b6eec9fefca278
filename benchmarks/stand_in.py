"""Servers that are faster than what is measured: a FHIR server without memory, and a change feed of ready-made pages.

    python -m benchmarks.stand_in fhir PORT DELAY_MS     answers every request after so many milliseconds
    python -m benchmarks.stand_in feed PORT              a feed of what is posted to /entries, one JSON entry a line

Each is one asyncio protocol without a framework. The FHIR server finds nothing but the Endpoint, accepts every
transaction, and tells at /stats what it got: requests, instances, when the first and last came, and each instance's
first arrival.
"""

import asyncio
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
import orjson
from dicomcast_consumer.mapping import endpoint_resource

from tests.services.server import free_ports

from .topic import DICOMWEB

__all__ = ["stand_in"]

Answer = Callable[[str, str, bytes], bytes]

_ENTRY: Final = re.compile(rb'"request":\{"method":"(POST|PUT)"')
_INSTANCE: Final = re.compile(rb'"uid":"([0-9.]+)","sopClass"')
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PAGE_LIMIT: Final = 100


class _Fhir:
    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.requests = self.writes = self.instances = 0
        self.first_s = self.last_s = 0.0
        self.arrivals: dict[str, float] = {}

    def answer(self, method: str, path: str, body: bytes) -> bytes:
        if path.startswith("/stats"):
            return self._stats(clear=method == "POST", arrivals=path.endswith("arrivals"))
        if path.endswith("/metadata"):
            rest = [{"mode": "server", "interaction": [{"code": "transaction"}]}]
            return orjson.dumps({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": rest})
        now = time.time()
        self.requests += 1
        self.first_s = self.first_s or now
        self.last_s = now
        if path.endswith("/_search"):
            return _ENDPOINT if path.endswith("/Endpoint/_search") else _NOTHING
        self.writes += 1
        for uid in _INSTANCE.findall(body):
            self.arrivals.setdefault(uid.decode(), now)
        self.instances = len(self.arrivals)
        return (
            b'{"resourceType":"Bundle","type":"transaction-response","entry":['
            + b",".join(_CREATED if kind == b"POST" else _UPDATED for kind in _ENTRY.findall(body))
            + b"]}"
        )

    def _stats(self, *, clear: bool, arrivals: bool) -> bytes:
        names = ["requests", "writes", "instances", "first_s", "last_s", *(["arrivals"] if arrivals else [])]
        found = orjson.dumps({name: getattr(self, name) for name in names})
        if clear:
            self.clear()
        return found


_ENDPOINT: Final = orjson.dumps(
    {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": {**endpoint_resource(DICOMWEB), "id": "1"}, "search": {"mode": "match"}}],
    }
)
_NOTHING: Final = b'{"resourceType":"Bundle","type":"searchset","total":0}'
_CREATED: Final = b'{"response":{"status":"201 Created","etag":"1"}}'
_UPDATED: Final = b'{"response":{"status":"200 OK","etag":"2"}}'


class _Feed:
    def __init__(self) -> None:
        self._entries: list[bytes] = []

    def answer(self, method: str, path: str, body: bytes) -> bytes:
        parts = urlsplit(path)
        if parts.path == "/entries":
            self._entries += body.splitlines()
            return b"{}"
        if parts.path.endswith("/latest"):
            return self._entries[-1] if self._entries else b""
        query = parse_qs(parts.query)
        offset, limit = int(query["offset"][0]), min(int(query["limit"][0]), _PAGE_LIMIT)
        return b"[" + b",".join(self._entries[offset : offset + limit]) + b"]"


class _Protocol(asyncio.Protocol):
    def __init__(self, answer: Answer, delay_s: float) -> None:
        self._answer, self._delay_s = answer, delay_s
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._buffer[: end + 2])
            found = _LENGTH.search(head)
            size = end + 4 + (int(found.group(1)) if found else 0)
            if len(self._buffer) < size:
                return
            body = bytes(self._buffer[end + 4 : size])
            del self._buffer[:size]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            delay_s = self._delay_s if "/fhir" in target else 0
            asyncio.get_running_loop().call_later(delay_s, self._write, self._answer(method, target, body))

    def _write(self, body: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)


@contextlib.contextmanager
def stand_in(kind: str, *, delay_ms: float = 0) -> Iterator[str]:
    """A server in a process of its own; its base URL."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "benchmarks.stand_in", kind, str(port), str(delay_ms)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{url}/stats" if kind == "fhir" else f"{url}/v1/changefeed/latest")
                break
            time.sleep(0.05)
        yield url + ("/fhir" if kind == "fhir" else "")
    finally:
        process.terminate()
        process.wait(10)


async def _main() -> None:
    kind, port, delay_ms = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    answer = _Fhir().answer if kind == "fhir" else _Feed().answer
    loop, parent = asyncio.get_running_loop(), os.getppid()
    server = await loop.create_server(lambda: _Protocol(answer, delay_ms / 1000), "127.0.0.1", port)
    async with server:
        while os.getppid() == parent:  # noqa: ASYNC110 (it ends with who started it)
            await asyncio.sleep(0.5)


if __name__ == "__main__":
    asyncio.run(_main())
