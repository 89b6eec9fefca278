"""The connections to a peer, each with a transport of its own.

httpcore's pool goes through all its connections, for each of them again, at the begin and the end of every request: 32
of them cost more CPU than the request itself. Of pools of one connection, it goes through one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx

__all__ = ["Connections"]


class Connections(httpx.AsyncBaseTransport):
    """Requests wait here, first come first served, until a connection is free; the last one used is used first."""

    def __init__(self, make: Callable[[], httpx.AsyncBaseTransport], count: int) -> None:
        """`make`: a transport of one connection; `count`: how many there are."""
        self._make = make
        self._all = [make() for _ in range(count)]
        self._free = list(self._all)
        self._turn = asyncio.Semaphore(count)
        self._closing: set[asyncio.Future[None]] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx. The connection is free again when the response is closed."""
        await self._turn.acquire()
        transport = self._free.pop()
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            self._replace(transport)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, lambda: self._give_back(transport), lambda: self._replace(transport))
        return response

    async def aclose(self) -> None:
        """Closes all of them."""
        for transport in self._all:
            await transport.aclose()

    def _replace(self, transport: httpx.AsyncBaseTransport) -> None:
        """A request that was cut off may leave its pool believing that the connection is in use: not used again."""
        fresh = self._make()
        self._all = [one for one in self._all if one is not transport] + [fresh]
        closing = asyncio.ensure_future(transport.aclose())
        self._closing.add(closing)
        closing.add_done_callback(self._closed)
        self._give_back(fresh)

    def _closed(self, closing: "asyncio.Future[None]") -> None:
        self._closing.discard(closing)
        if not closing.cancelled():
            closing.exception()  # looked at: a connection that cannot be closed is gone all the same

    def _give_back(self, transport: httpx.AsyncBaseTransport) -> None:
        self._free.append(transport)
        self._turn.release()


class _Body(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, closed: Callable[[], None], cut_off: Callable[[], None]) -> None:
        self._inner = inner
        self._closed: Callable[[], None] | None = closed
        self._cut_off = cut_off

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        closed, self._closed = self._closed, None
        try:
            await self._inner.aclose()
        except BaseException:
            closed = self._cut_off if closed is not None else None
            raise
        finally:
            if closed is not None:
                closed()
