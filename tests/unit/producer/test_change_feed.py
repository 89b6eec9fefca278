"""The client of the change feed against the sandbox's DICOM server: empty feeds, refusals, authentication."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from dicomcast_producer.change_feed import ChangeFeed, Latest, Window
from dicomcast_producer.errors import PoisonedPageError, RetryableError
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_sandbox.dicom.access import Access, Basic, Bearer, ClientCredentials

from tests.fakes.dicom_server import DicomServer, dicom_server
from tests.unit.producer.feeds import feed_settings, fill

T = TypeVar("T")


def ask(server: DicomServer, do: Callable[[ChangeFeed], Awaitable[T]], **settings: object) -> T:
    async def asked() -> T:
        feed = ChangeFeed(feed_settings(**{"url": server.base_url, **settings}), ProducerMetrics())
        try:
            return await do(feed)
        finally:
            await feed.close()

    return asyncio.run(asked())


def latest(server: DicomServer, **settings: object) -> Latest:
    return ask(server, lambda feed: feed.latest(), **settings)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_an_empty_feed_is_sequence_zero(dicom: DicomServer, version: str) -> None:
    assert latest(dicom, api_version=version).sequence == 0


@pytest.mark.parametrize(("status", "body"), [(204, ""), (200, ""), (200, "null")])
def test_every_way_to_say_that_the_feed_is_empty(dicom: DicomServer, status: int, body: str) -> None:
    dicom.faults.answer(status, body=body, content_type="application/json")
    assert latest(dicom).sequence == 0


def test_latest_is_asked_without_metadata(dicom: DicomServer) -> None:
    fill(dicom.store, [1, 2])
    dicom.store.lose_metadata("1.2.826.0.1.1.1.2")
    assert latest(dicom).sequence == 2


def test_a_page_and_its_metadata(dicom: DicomServer) -> None:
    fill(dicom.store, range(1, 6))
    window = Window(offset=2, limit=2)
    entries = ask(dicom, lambda feed: feed.page(window, metadata=True))
    assert [e.event.sequence for e in entries] == [3, 4]
    assert all(e.event.metadata for e in entries)
    bare = ask(dicom, lambda feed: feed.page(window, metadata=False))
    assert [e.event.metadata for e in bare] == [None, None]


@pytest.mark.parametrize(("status", "names"), [(401, "AUTH"), (403, "AUTH"), (404, "FEED__URL"), (302, "redirects")])
def test_a_refusal_at_first_contact_names_the_setting(dicom: DicomServer, status: int, names: str) -> None:
    dicom.faults.answer(status)
    with pytest.raises(ConfigurationError, match=names) as refused:
        latest(dicom)
    assert str(status) in str(refused.value)


def test_a_refusal_after_it_has_worked_is_waited_for(dicom: DicomServer) -> None:
    async def twice(feed: ChangeFeed) -> None:
        await feed.latest()
        dicom.faults.answer(401)
        await feed.latest()

    with pytest.raises(RetryableError, match="401"):
        ask(dicom, twice)


def test_an_overloaded_server_says_how_long_to_wait(dicom: DicomServer) -> None:
    dicom.faults.answer(503, headers={"Retry-After": "7"})
    with pytest.raises(RetryableError) as waiting:
        latest(dicom)
    assert waiting.value.retry_after_s == 7


@pytest.mark.parametrize("status", [408, 424, 429, 502, 503, 504])
def test_an_outage_is_not_poison(dicom: DicomServer, status: int) -> None:
    dicom.faults.answer(status)
    with pytest.raises(RetryableError):
        ask(dicom, lambda feed: feed.page(Window(offset=0, limit=10), metadata=True))


@pytest.mark.parametrize(("status", "body"), [(400, ""), (500, ""), (200, "[{"), (200, "")])
def test_what_one_instance_does_to_its_page_is_poison(dicom: DicomServer, status: int, body: str) -> None:
    dicom.faults.answer(status, body=body)
    with pytest.raises(PoisonedPageError):
        ask(dicom, lambda feed: feed.page(Window(offset=0, limit=10), metadata=True))


def test_a_server_that_is_away(dicom: DicomServer) -> None:
    with pytest.raises(RetryableError, match="cannot be read"):
        latest(dicom, url="http://127.0.0.1:9")


def test_a_server_that_hangs(dicom: DicomServer) -> None:
    dicom.faults.hang()
    with pytest.raises(RetryableError, match="ReadTimeout"):
        latest(dicom, timeout_s=0.2)


KINDS: dict[str, tuple[Access, dict[str, str], dict[str, str]]] = {
    "basic": (Basic("u", "p"), {"username": "u", "password": "p"}, {"password": "wrong"}),
    "bearer": (Bearer("t"), {"token": "t"}, {"token": "wrong"}),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_basic_and_bearer(kind: str) -> None:
    access, right, wrong = KINDS[kind]
    with dicom_server(access=access) as server:
        fill(server.store, [1])
        assert latest(server, auth={"kind": kind, **right}).sequence == 1
        with pytest.raises(ConfigurationError, match="401") as refused:
            latest(server, auth={"kind": kind, **right, **wrong})
        assert "wrong" not in str(refused.value)


def oauth2(server: DicomServer, secret: str = "s") -> dict[str, str]:
    url = f"{server.base_url}/token"
    return {"kind": "oauth2", "token_url": url, "client_id": "c", "client_secret": secret}


def with_oauth2(access: ClientCredentials, do: Callable[[DicomServer], T]) -> T:
    with dicom_server(access=access) as server:
        fill(server.store, [1])
        return do(server)


def test_oauth2_keeps_its_token() -> None:
    access = ClientCredentials("c", "s")

    async def thrice(feed: ChangeFeed) -> list[int]:
        return [(await feed.latest()).sequence for _ in range(3)]

    assert with_oauth2(access, lambda server: ask(server, thrice, auth=oauth2(server))) == [1, 1, 1]
    assert access.issued == 1


def test_oauth2_renews_before_expiry() -> None:
    access = ClientCredentials("c", "s", lifetime_s=0.2)

    async def spaced(feed: ChangeFeed) -> list[int]:
        found = []
        for _ in range(3):
            found.append((await feed.latest()).sequence)
            await asyncio.sleep(0.3)
        return found

    assert with_oauth2(access, lambda server: ask(server, spaced, auth=oauth2(server))) == [1, 1, 1]
    assert access.issued == 3


def test_oauth2_takes_a_fresh_token_after_401() -> None:
    access = ClientCredentials("c", "s")

    async def revoked(feed: ChangeFeed) -> int:
        await feed.latest()
        access.revoke_all()
        return (await feed.latest()).sequence

    assert with_oauth2(access, lambda server: ask(server, revoked, auth=oauth2(server))) == 1
    assert access.issued == 2


def test_a_refused_client_secret_ends_at_first_contact_and_is_not_shown() -> None:
    def refused(server: DicomServer) -> str:
        with pytest.raises(ConfigurationError, match=r"/token answered 401.*DICOMCAST_FEED__AUTH") as waiting:
            latest(server, auth=oauth2(server, secret="hush"))
        return str(waiting.value)

    assert "hush" not in with_oauth2(ClientCredentials("c", "s"), refused)
