"""The sandbox's FHIR or DICOM server as a process that keeps what it holds over `kill -9`.

    python -m tests.chaos.peer fhir|dicom PORT FILE
    python -m tests.chaos.peer proxy PORT URL       in front of a real FHIR server: here the faults, there the resources

FILE is the oracle's truth too: every transaction of FHIR, every operation of DICOM, written before it is answered.
Beside its own API a server takes POST /chaos/faults, and that of DICOM POST /chaos/operations.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import uvicorn
from dicomcast_sandbox import dicom, fhir
from dicomcast_sandbox.dicom.instance import Instance
from dicomcast_sandbox.dicom.store import AlreadyStoredError, Poison, now_ticks
from dicomcast_sandbox.fhir.faults import ObservedApp, RequestSeen
from dicomcast_sandbox.fhir.store import Key, Version
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.chaos.story import REFUSED_FROM, Operation

__all__ = ["dicom_store", "lines"]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a server's file; one that a kill has cut off was never answered, and is no line."""
    if path.exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield orjson.loads(line)


class _File:
    """Appends lines; what was cut off is removed first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.exists():
            os.truncate(path, path.read_bytes().rfind(b"\n") + 1)

    def append(self, line: dict[str, Any]) -> None:
        with self._path.open("ab") as sink:
            sink.write(orjson.dumps(line) + b"\n")


class KeptStore(fhir.Store):
    """A FHIR store whose transactions are written to a file, and read from it at the start."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._new: list[Version] = []
        for line in lines(path):
            for seen in line["versions"]:
                self._restore(seen)
        self._file = _File(path)

    def append(self, version: Version) -> None:
        super().append(version)
        self._new.append(version)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        self._new = []
        with super().all_or_nothing():
            yield
            if self._new:
                self._file.append({"at_s": time.time(), "versions": [_seen(version) for version in self._new]})

    def _restore(self, seen: dict[str, Any]) -> None:
        targets = frozenset(Key(*target) for target in seen.pop("targets"))
        key = Key(seen.pop("type"), seen.pop("id"))
        super().append(Version(key=key, targets=targets, **seen))
        if key.id.isdigit():
            self._last_id = max(self._last_id, int(key.id))


def _seen(version: Version) -> dict[str, Any]:
    return {
        "type": version.key.type,
        "id": version.key.id,
        "number": version.number,
        "at": version.at,
        "method": version.method,
        "resource": version.resource,
        "targets": [list(target) for target in version.targets],
    }


def dicom_store(path: Path) -> tuple[dicom.Store, Callable[[Operation], None]]:
    """The store that the operations in the file make, and what carries out one more; at once the oracle's truth."""
    clock = [0]
    store = dicom.Store(clock=lambda: clock[0])

    def carry_out(operation: Operation) -> None:
        clock[0] = operation["ticks"]
        match operation["op"]:
            case "create":
                store.create(_instance(operation))
            case "update":
                store.update([operation["study"]], operation["changes"])
            case "delete":
                store.delete(operation["study"], operation["series"], operation["sop"])
            case "poison":
                store.poison(operation["sop"], Poison.ERROR_500, also_wado=operation["also_wado"])
            case "gap":
                store.skip_sequences(operation["count"])

    for operation in lines(path):
        with _repeated():
            carry_out(operation)
    return store, carry_out


@contextmanager
def _repeated() -> Iterator[None]:
    """An operation that was carried out before the server was killed, and sent again for want of an answer."""
    with suppress(AlreadyStoredError):
        yield


def _instance(operation: Operation) -> Instance:
    return Instance(
        study_instance_uid=operation["study"],
        series_instance_uid=operation["series"],
        sop_instance_uid=operation["sop"],
        sop_class_uid=None,
        data_set=operation["data_set"],
    )


# --- the process ---


def _fhir(file: str) -> tuple[ASGIApp, list[Route]]:
    faults = fhir.Faults()
    return fhir.fhir_app(KeptStore(Path(file)), faults=faults), _fault_routes(faults)


def _proxy(url: str) -> tuple[ASGIApp, list[Route]]:
    client, faults = httpx.AsyncClient(base_url=url, timeout=60), fhir.Faults()

    async def forward(request: Request) -> Response:
        kept = {name: value for name, value in request.headers.items() if name not in _OF_A_CONNECTION}
        target = httpx.URL(request.url.path, query=request.url.query.encode())
        answer = await client.request(request.method, target, headers=kept, content=await request.body())
        headers = {name: value for name, value in answer.headers.items() if name not in _OF_A_CONNECTION}
        return Response(answer.content, answer.status_code, headers=headers)

    methods = ["GET", "POST", "PUT", "DELETE"]
    app = Starlette(routes=[Route("/{path:path}", forward, methods=methods)])
    return ObservedApp(app, journal=fhir.Journal(), faults=faults), _fault_routes(faults)


_OF_A_CONNECTION = ("host", "connection", "content-length", "transfer-encoding", "content-encoding", "accept-encoding")


def _fault_routes(faults: fhir.Faults) -> list[Route]:
    _refuse(faults)

    async def change(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        effect, only_writes = asked.pop("effect"), asked.pop("only_writes", False)
        when = (lambda seen: _is_transaction(seen)) if only_writes else (lambda seen: True)
        if effect == "clear":
            faults.clear()
            _refuse(faults)
        else:
            getattr(faults, effect)(when=when, **asked)
        return Response()

    return [Route("/chaos/faults", change, methods=["POST"])]


def _is_transaction(seen: RequestSeen) -> bool:
    return seen.method == "POST" and seen.path.rstrip("/") == "/fhir"


def _refuse(faults: fhir.Faults) -> None:
    marker = f'"number":{REFUSED_FROM}'[:-5].encode()
    faults.answer(422, times=None, when=lambda seen: _is_transaction(seen) and marker in seen.body)


def _dicom(path: str) -> tuple[ASGIApp, list[Route]]:
    store, carry_out = dicom_store(Path(path))
    faults, file = dicom.Faults(), _File(Path(path))

    async def change(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        effect = asked.pop("effect")
        getattr(faults, effect)(**asked)
        return Response()

    async def operate(request: Request) -> Response:
        for operation in orjson.loads(await request.body()):
            operation["ticks"] = now_ticks()
            file.append(operation)
            with _repeated():
                carry_out(operation)
        return Response()

    routes = [
        Route("/chaos/faults", change, methods=["POST"]),
        Route("/chaos/operations", operate, methods=["POST"]),
    ]
    return dicom.dicom_app(store, faults=faults), routes


class _Beside:
    """The server's own application, and what the chaos run asks of it."""

    def __init__(self, app: ASGIApp, routes: list[Route]) -> None:
        self._app = app
        self._chaos = Starlette(routes=routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"].startswith("/chaos/")
        await (self._chaos if ours else self._app)(scope, receive, send)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main(kind: str, port: int, place: str) -> None:
    """Serves until SIGTERM, or until the process that started it has ended."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    app = _Beside(*{"fhir": _fhir, "dicom": _dicom, "proxy": _proxy}[kind](place))
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    # proto: asyncio sets TCP_NODELAY only where it is named; without it every answer waits 40 ms for an ACK.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
