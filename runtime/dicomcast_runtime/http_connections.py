"""The connections to a peer, each with a transport of its own.

httpcore's pool goes through all its connections, for each of them again, at the begin and the end of every request: 32
of them cost more CPU than the request itself. Of pools of one connection, it goes through one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import httpx

__all__ = ["Connections"]


class Connections(httpx.AsyncBaseTransport):
    """Requests wait here, first come first served, until a connection is free; the last one used is used first."""

    def __init__(self, transports: Sequence[httpx.AsyncBaseTransport]) -> None:
        """`transports`: of one connection each."""
        self._all = tuple(transports)
        self._free = list(transports)
        self._turn = asyncio.Semaphore(len(transports))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx. The connection is free again when the response is closed."""
        await self._turn.acquire()
        transport = self._free.pop()
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            self._give_back(transport)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, lambda: self._give_back(transport))
        return response

    async def aclose(self) -> None:
        """Closes all of them."""
        for transport in self._all:
            await transport.aclose()

    def _give_back(self, transport: httpx.AsyncBaseTransport) -> None:
        self._free.append(transport)
        self._turn.release()


class _Body(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, closed: Callable[[], None]) -> None:
        self._inner = inner
        self._closed: Callable[[], None] | None = closed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            closed, self._closed = self._closed, None
            if closed is not None:
                closed()
