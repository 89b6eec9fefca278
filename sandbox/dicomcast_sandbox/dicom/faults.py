"""What a test sees and bends: a journal of the requests, and faults that are answered before the server is asked."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from threading import Event, Lock

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One request and the status it got (0: the connection ended without an answer)."""

    method: str
    path: str
    query: str
    status: int
    authorization_scheme: str | None


class Journal:
    """The requests in the order of their answers."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []

    def of(self, path_part: str, method: str | None = None) -> list[JournalEntry]:
        """Those whose path contains `path_part`."""
        return [one for one in list(self.entries) if path_part in one.path and method in (None, one.method)]

    def clear(self) -> None:
        self.entries.clear()


@dataclass(slots=True, kw_only=True)
class _Fault:
    path_part: str
    query_part: str
    method: str | None
    left: int
    status: int | None
    headers: dict[str, str]
    body: str
    content_type: str
    hang_s: float
    released: Event = field(default_factory=Event)


class Faults:
    """Answers that take the place of the server's, in the order in which they were asked for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: list[_Fault] = []
        self._hanging: list[_Fault] = []

    def answer(
        self,
        status: int,
        *,
        times: int = 1,
        path_part: str = "",
        query_part: str = "",
        method: str | None = None,
        headers: dict[str, str] | None = None,
        body: str = "injected fault",
        content_type: str = "text/plain",
    ) -> None:
        """Answer the next `times` requests whose path and query contain `path_part` and `query_part` with `status`."""
        self._add(path_part, query_part, method, times, status, headers or {}, body, content_type, 0.0)

    def hang(self, *, times: int = 1, path_part: str = "", method: str | None = None, hang_s: float = 60.0) -> None:
        """Keep the next requests waiting for `hang_s` or until `clear`, then answer 503."""
        self._add(path_part, "", method, times, None, {}, "released", "text/plain", hang_s)

    def clear(self) -> None:
        """No more faults; what hangs is let go."""
        with self._lock:
            for fault in (*self._waiting, *self._hanging):
                fault.released.set()
            self._waiting.clear()
            self._hanging.clear()

    def take(self, method: str, path: str, query: str = "") -> _Fault | None:
        """The fault for this request, counted as used."""
        with self._lock:
            for fault in self._waiting:
                if fault.path_part in path and fault.query_part in query and fault.method in (None, method):
                    fault.left -= 1
                    if fault.left <= 0:
                        self._waiting.remove(fault)
                    if fault.status is None:
                        self._hanging.append(fault)
                    return fault
            return None

    def _add(
        self,
        path_part: str,
        query_part: str,
        method: str | None,
        times: int,
        status: int | None,
        headers: dict[str, str],
        body: str,
        content_type: str,
        hang_s: float,
    ) -> None:
        fault = _Fault(
            path_part=path_part,
            query_part=query_part,
            method=method,
            left=times,
            status=status,
            headers=headers,
            body=body,
            content_type=content_type,
            hang_s=hang_s,
        )
        with self._lock:
            self._waiting.append(fault)


class JournalMiddleware:
    """Writes the journal; outermost, so that it sees faults and refusals as well."""

    def __init__(self, app: ASGIApp, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._note(Request(scope), status)
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            if status == 0:
                self._note(Request(scope), 0)

    def _note(self, request: Request, status: int) -> None:
        scheme = request.headers.get("authorization", "").partition(" ")[0] or None
        self._journal.entries.append(
            JournalEntry(
                method=request.method,
                path=request.url.path,
                query=request.url.query,
                status=status,
                authorization_scheme=scheme,
            )
        )


class FaultMiddleware:
    """Answers with a fault when one is waiting for the request."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self._fault(scope) if scope["type"] == "http" else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.status is None:
            deadline = time.monotonic() + fault.hang_s
            # Released from another thread, which an asyncio.Event does not allow.
            while not fault.released.is_set() and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        response = Response(fault.body, fault.status or 503, headers=fault.headers, media_type=fault.content_type)
        await response(scope, receive, send)

    def _fault(self, scope: Scope) -> _Fault | None:
        return self._faults.take(scope["method"], scope["path"], scope["query_string"].decode())
