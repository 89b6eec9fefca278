"""Connections: one transport each, a request waits for its turn, and what ends badly gives its place back."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.http_connections import Connections
from dicomcast_runtime.peer_settings import PeerSettings


class Parts(httpx.AsyncByteStream):
    """A body, or a connection that breaks in it."""

    def __init__(self, *parts: bytes | Exception) -> None:
        self._parts = parts
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            if isinstance(part, Exception):
                raise part
            yield part

    async def aclose(self) -> None:
        self.closed = True


class NeverClosed(Parts):
    async def aclose(self) -> None:
        await asyncio.sleep(60)


class OneConnection(httpx.AsyncBaseTransport):
    """Fails when it is used twice at a time."""

    def __init__(self, log: list[str], name: str) -> None:
        self.log, self.name = log, name
        self.busy = self.closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert not self.busy
        self.busy = True
        self.log.append(self.name)
        await asyncio.sleep(0)
        self.busy = False
        if request.url.path == "/refused":
            raise httpx.ConnectError("refused")
        if request.url.path == "/never":
            self.busy = True  # and stays so when it is cut off, as httpcore's pool was seen to
            await asyncio.sleep(60)
        if request.url.path == "/never-closed":
            return httpx.Response(200, stream=NeverClosed(b"a"))
        if request.url.path == "/broken":
            return httpx.Response(200, stream=Parts(b"a", httpx.ReadError("broken")))
        return httpx.Response(200, stream=Parts(b"a", b"b"))

    async def aclose(self) -> None:
        self.closed = True


def client_of(count: int) -> tuple[httpx.AsyncClient, list[OneConnection], list[str]]:
    log: list[str] = []
    transports: list[OneConnection] = []

    def make() -> OneConnection:
        transports.append(OneConnection(log, str(len(transports))))
        return transports[-1]

    return httpx.AsyncClient(base_url="http://x", transport=Connections(make, count)), transports, log


def test_no_more_requests_than_connections_are_under_way_and_all_are_answered() -> None:
    async def scenario() -> None:
        client, transports, log = client_of(3)
        async with client:
            answers = await asyncio.gather(*(client.get("/") for _ in range(20)))
        assert [answer.content for answer in answers] == [b"ab"] * 20
        assert set(log) == {"0", "1", "2"}
        assert all(transport.closed for transport in transports)

    asyncio.run(scenario())


def test_one_request_after_another_uses_one_connection() -> None:
    async def scenario() -> None:
        client, _, log = client_of(3)
        async with client:
            for _ in range(5):
                await client.get("/")
        assert len(set(log)) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/refused", "/broken"])
def test_a_request_that_fails_gives_its_connection_back(path: str) -> None:
    async def scenario() -> None:
        client, _, _ = client_of(1)
        async with client:
            for _ in range(3):
                with pytest.raises(httpx.TransportError):
                    await client.get(path)
            assert (await client.get("/")).content == b"ab"

    asyncio.run(scenario())


def test_a_request_that_is_cancelled_gives_its_connection_back_also_while_it_waits_for_one() -> None:
    async def scenario() -> None:
        client, _, _ = client_of(1)
        async with client:
            asking = [asyncio.create_task(client.get("/never")) for _ in range(3)]
            await asyncio.sleep(0.01)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            assert (await asyncio.wait_for(client.get("/"), 10)).content == b"ab"

    asyncio.run(scenario())


def test_a_connection_whose_answer_was_cut_off_while_it_was_closed_is_not_used_again() -> None:
    """httpcore's pool goes on believing that it is in use: the producer waited for it without end."""

    async def scenario() -> None:
        client, transports, log = client_of(1)
        async with client:
            asking = asyncio.create_task(client.get("/never-closed"))
            await asyncio.sleep(0.01)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            assert (await asyncio.wait_for(client.get("/"), 10)).content == b"ab"
        assert log == ["0", "1"]
        assert all(transport.closed for transport in transports)

    asyncio.run(scenario())


def test_a_connection_stays_taken_until_the_response_is_closed() -> None:
    async def scenario() -> None:
        client, _, _ = client_of(1)
        async with client:
            async with client.stream("GET", "/"):
                second = asyncio.create_task(client.get("/"))
                await asyncio.sleep(0.01)
                assert not second.done()
            assert (await second).content == b"ab"

    asyncio.run(scenario())


def test_the_environments_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    client = peer_client(PeerSettings(url="https://fhir.example.org/fhir"))
    through = client._transport_for_url(httpx.URL("https://fhir.example.org/fhir/metadata"))
    assert through is not client._transport
    asyncio.run(client.aclose())
