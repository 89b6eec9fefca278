"""The connections to a peer, each with a transport of its own.

httpcore's pool goes through all its connections, for each of them again, at the begin and the end of every request: 32
of them cost more CPU than the request itself. Of pools of one connection, it goes through one.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Protocol

import httpx

__all__ = ["Connections"]


class Connections(httpx.AsyncBaseTransport):
    """Requests wait here, first come first served, until a connection is free; the last one used is used first.

    One is used again only when its answer was read to the end and closed. A task that is cancelled while httpcore
    closes an answer leaves that pool believing, for good, that its connection is in use.
    """

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], count: int) -> None:
        """`make`: a transport of one connection; `count`: how many there are."""
        self._make = make
        self._free = [make() for _ in range(count)]
        self._all = set(self._free)
        self._turn = asyncio.Semaphore(count)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx. The connection is free again when the response is closed."""
        await self._turn.acquire()
        transport = self._free.pop()
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            await self._release(transport, is_sound=False)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, partial(self._release, transport))
        return response

    async def aclose(self) -> None:
        """Closes all of them."""
        for transport in tuple(self._all):
            await transport.aclose()

    async def _release(self, transport: httpx.AsyncBaseTransport, *, is_sound: bool) -> None:
        fresh = transport if is_sound else self._make()
        self._free.append(fresh)
        self._turn.release()
        if not is_sound:
            self._all.discard(transport)
            self._all.add(fresh)
            with contextlib.suppress(Exception):  # one that cannot be closed is gone all the same
                await transport.aclose()


class _Release(Protocol):
    def __call__(self, *, is_sound: bool) -> Awaitable[None]: ...


class _Body(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, release: _Release) -> None:
        self._inner = inner
        self._release = release
        self._is_read = self._is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part
        self._is_read = True

    async def aclose(self) -> None:
        if self._is_closed:
            return
        self._is_closed, is_sound = True, False
        try:
            await self._inner.aclose()
            is_sound = self._is_read
        finally:
            await self._release(is_sound=is_sound)
