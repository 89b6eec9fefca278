"""Faults that a test or a demo asks for: answers in place of the server's, silence, a connection that ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Literal

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicomcast_sandbox.fhir.journal import Journal, JournalEntry
from dicomcast_sandbox.fhir.json_text import dump
from dicomcast_sandbox.fhir.outcome import error_outcome

HANG_LIMIT_S = 300.0
Effect = Literal["answer", "hang", "drop before", "drop after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSeen:
    """What a predicate may look at."""

    method: str
    path: str
    query: str
    body: bytes


When = Callable[[RequestSeen], bool]


@dataclass(slots=True, kw_only=True)
class Fault:
    """One fault, for `left` more requests (None: until cleared)."""

    when: When
    left: int | None
    effect: Effect
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    released: Event = field(default_factory=Event)


def any_request(seen: RequestSeen) -> bool:
    """Every one."""
    return True


class Faults:
    """Faults in the order in which they were asked for; the first that fits a request is used. From any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[Fault] = []
        self._hanging: list[Fault] = []

    def answer(
        self,
        status: int,
        *,
        times: int | None = 1,
        when: When = any_request,
        retry_after: str | int | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> None:
        """The next `times` requests get `status` (body None: an OperationOutcome) and do not reach the server."""
        sent = dict(headers or {}) | ({} if retry_after is None else {"retry-after": str(retry_after)})
        self._add(Fault(when=when, left=times, effect="answer", status=status, headers=sent, body=body))

    def hang(self, *, times: int | None = 1, when: When = any_request) -> None:
        """They get no answer until `clear`, then 503."""
        self._add(Fault(when=when, left=times, effect="hang"))

    def drop(self, *, times: int | None = 1, when: When = any_request) -> None:
        """The connection ends before anything was done."""
        self._add(Fault(when=when, left=times, effect="drop before"))

    def drop_after_write(self, *, times: int | None = 1, when: When = any_request) -> None:
        """The request is carried out, then the connection ends without an answer."""
        self._add(Fault(when=when, left=times, effect="drop after"))

    def clear(self) -> None:
        """No more faults; what hangs is let go."""
        with self._lock:
            for fault in (*self._waiting, *self._hanging):
                fault.released.set()
            self._waiting.clear()
            self._hanging.clear()

    def waiting(self) -> bool:
        """Whether a fault is still to be used."""
        with self._lock:
            return bool(self._waiting)

    def hanging(self) -> int:
        """How many requests hang now."""
        with self._lock:
            return len(self._hanging)

    def take(self, seen: RequestSeen) -> Fault | None:
        """The fault for this request, counted as used."""
        with self._lock:
            for fault in self._waiting:
                if not fault.when(seen):
                    continue
                if fault.left is not None:
                    fault.left -= 1
                    if fault.left <= 0:
                        self._waiting.remove(fault)
                if fault.effect == "hang":
                    self._hanging.append(fault)
                return fault
            return None

    def _add(self, fault: Fault) -> None:
        with self._lock:
            self._waiting.append(fault)


class ObservedApp:
    """The server with its journal and its faults. Outermost, so that it owns the connection."""

    def __init__(self, app: ASGIApp, *, journal: Journal, faults: Faults) -> None:
        self._app = app
        self._journal = journal
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        seen = RequestSeen(method=request.method, path=request.url.path, query=request.url.query, body=body)
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._note(seen, status)
            await send(message)

        try:
            await self._answer(seen, scope, _replay(body), watched, send)
        finally:
            if status == 0:
                self._note(seen, 0)

    async def _answer(self, seen: RequestSeen, scope: Scope, receive: Receive, send: Send, wire: Send) -> None:
        fault = self._faults.take(seen)
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.effect in ("answer", "hang"):
            await _wait(fault)
            await _response(fault)(scope, receive, send)
        else:
            if fault.effect == "drop after":
                await self._app(scope, receive, _unheard)
            await _end_connection(wire)

    def _note(self, seen: RequestSeen, status: int) -> None:
        size = len(seen.body)
        entry = JournalEntry(method=seen.method, path=seen.path, query=seen.query, status=status, request_size=size)
        self._journal.entries.append(entry)


async def _wait(fault: Fault) -> None:
    if fault.effect == "hang":
        deadline = time.monotonic() + HANG_LIMIT_S
        # Released from another thread, which an asyncio.Event does not allow.
        while not fault.released.is_set() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _response(fault: Fault) -> Response:
    body = dump(error_outcome("injected fault")) if fault.body is None else fault.body
    return Response(body, fault.status, headers=fault.headers, media_type="application/fhir+json")


def _replay(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _unheard(message: Message) -> None:
    """Takes the answer and sends it nowhere."""


async def _end_connection(send: Send) -> None:
    """Ends the TCP connection; under uvicorn `send` belongs to the cycle that holds its transport."""
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise ConnectionResetError("injected fault: the connection ends")
    transport.abort()
    await asyncio.sleep(0)
