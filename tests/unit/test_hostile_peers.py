"""Servers, events and data sets that mean harm: bounded, refused by name, and no request where they point to."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from dicomcast_consumer.errors import RejectedError, RetryableError, SystemicError
from dicomcast_consumer.fhir_client import FhirClient
from dicomcast_consumer.mapping_options import MappingOptions, SourceProfile
from dicomcast_consumer.reader import EventReader, FeedSource
from dicomcast_producer.change_feed import ChangeFeed, Window
from dicomcast_producer.config import FeedSettings
from dicomcast_producer.errors import PoisonedPageError
from dicomcast_producer.metrics import ProducerMetrics
from dicomcast_runtime.dicomweb_client import DicomWebError, InstanceGoneError, MetadataTooLargeError, read_metadata
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.peer_settings import AuthSettings, PeerSettings
from dicomcast_schemas import DicomChangeEvent
from dicomcast_schemas.topic import METADATA
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.fakes.events import create, record
from tests.fakes.serving import served

LIMIT = 1_000_000
BASIC = AuthSettings(kind="basic", username="u", password=SecretStr("hush"))
DEEP = b"[" * 100_000


@dataclass(slots=True)
class Anything:
    """A server that answers every request alike, and keeps them."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        await request.body()
        self.requests.append(request)
        await Response(self.body, self.status, self.headers)(scope, receive, send)

    @contextmanager
    def at(self) -> Iterator[str]:
        with served(self) as url:
            yield url


def bomb(megabytes: int) -> Anything:
    """A few kilobytes that become many megabytes."""
    return Anything(
        body=gzip.compress(b"[" + b" " * megabytes * 1_000_000 + b"]"), headers={"Content-Encoding": "gzip"}
    )


def fhir(url: str, ask: Callable[[FhirClient], Awaitable[Any]]) -> Any:
    async def scenario() -> Any:
        async with peer_client(PeerSettings(url=url, auth=BASIC, max_answer_bytes=LIMIT, timeout_s=30)) as client:
            return await ask(FhirClient(client))

    return asyncio.run(scenario())


def feed(url: str, ask: Callable[[ChangeFeed], Awaitable[Any]]) -> Any:
    async def scenario() -> Any:
        settings = FeedSettings(name="main", url=url, auth=BASIC, max_answer_bytes=LIMIT)
        client = ChangeFeed(settings, ProducerMetrics())
        try:
            return await ask(client)
        finally:
            await client.close()

    return asyncio.run(scenario())


def wado(url: str, study: str = "1.2", series: str = "1.3", instance: str = "1.4") -> str:
    async def scenario() -> str:
        async with peer_client(PeerSettings(url=url, auth=BASIC, max_answer_bytes=LIMIT)) as client:
            return await read_metadata(
                client, study_instance_uid=study, series_instance_uid=series, sop_instance_uid=instance
            )

    return asyncio.run(scenario())


TOO_LARGE = {"plain": Anything(body=b" " * 20_000_000), "gzip": bomb(100)}


@pytest.mark.parametrize("server", TOO_LARGE.values(), ids=TOO_LARGE)
def test_an_answer_without_end_is_a_failed_request_that_names_its_setting(server: Anything) -> None:
    with server.at() as url:
        with pytest.raises(RetryableError, match="DICOMCAST_FHIR__MAX_ANSWER_BYTES"):
            fhir(url, lambda client: client.search("Patient", [("identifier", "x")], most=10))
        # A page that is too large is read again in halves, down to the entry that makes it so.
        with pytest.raises(PoisonedPageError, match="DICOMCAST_FEED__MAX_ANSWER_BYTES"):
            feed(url, lambda client: client.page(Window(offset=0, limit=100), metadata=True))
        with pytest.raises(MetadataTooLargeError, match="max_answer_bytes=1000000"):
            wado(url)


@pytest.mark.parametrize("body", [DEEP, b'{"a":' * 100_000, b"\xff\xfe", b"1e999999999", b'{"entry":' + DEEP + b"}"])
def test_an_answer_that_is_no_document_is_a_failed_request(body: bytes) -> None:
    with Anything(body=body).at() as url:
        with pytest.raises(RetryableError):
            fhir(url, lambda client: client.capability())
        with pytest.raises(PoisonedPageError):
            feed(url, lambda client: client.page(Window(offset=0, limit=100), metadata=True))
        with pytest.raises(DicomWebError):
            wado(url)


SHAPES: tuple[Any, ...] = (
    {"entry": "x"},
    {"entry": ["x"]},
    {"entry": [{"resource": "x"}]},
    {"entry": [{"resource": {}}]},
    {"entry": {"a": 1}},
    {"entry": [{"resource": {"resourceType": "Patient"}}]},
    {"entry": [{"search": 1, "resource": {"resourceType": "Patient", "id": "1"}}]},
)


@pytest.mark.parametrize("shape", SHAPES, ids=json.dumps)
def test_a_search_answer_of_another_shape_is_a_failed_request(shape: Any) -> None:
    with Anything(body=json.dumps(shape).encode()).at() as url, pytest.raises(RetryableError):
        fhir(url, lambda client: client.search("Patient", [("identifier", "x")], most=10))


def test_a_redirect_is_not_followed_and_nobody_else_is_asked() -> None:
    other = Anything()
    with other.at() as elsewhere:
        for status in (301, 302, 307, 308):
            with Anything(status=status, headers={"Location": f"{elsewhere}/x"}).at() as url:
                with pytest.raises(SystemicError, match=str(status)):
                    fhir(url, lambda client: client.capability())
                with pytest.raises(ConfigurationError, match="redirects are not followed"):
                    feed(url, lambda client: client.latest())
                with pytest.raises(DicomWebError, match=str(status)):
                    wado(url)
                oauth2 = AuthSettings(
                    kind="oauth2", token_url=f"{url}/token", client_id="c", client_secret=SecretStr("hush")
                )
                with pytest.raises(httpx.TransportError, match="/token answered"):
                    asyncio.run(_get(PeerSettings(url=elsewhere, auth=oauth2)))
    assert other.requests == []


async def _get(peer: PeerSettings) -> None:
    async with peer_client(peer) as client:
        await client.get("metadata")


def test_a_next_page_elsewhere_is_read_at_the_same_server() -> None:
    other, first = Anything(), Anything()
    with other.at() as elsewhere, first.at() as url:
        first.body = json.dumps({"link": [{"relation": "next", "url": f"{elsewhere}/fhir?page=2"}]}).encode()
        with pytest.raises(RejectedError, match="pages"):
            fhir(url, lambda client: client.search("Patient", [("identifier", "x")], most=10))
    assert other.requests == []
    assert first.requests[-1].url.path == "/fhir"


HOSTILE_UIDS = ("../../admin", "..", "1/2", "1.2@evil.example.org", "//evil.example.org/", "http://evil.example.org",
                "1.2?x", "1.2#x", "1.2%2f..", "1.2\n3", "1" * 65, "", "１.２", ".")  # fmt: skip


@pytest.mark.parametrize("uid", HOSTILE_UIDS)
@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_no_request_is_made_with_a_uid_that_is_none(uid: str, level: str) -> None:
    with pytest.raises(InstanceGoneError, match="UID"):
        wado("http://127.0.0.1:9", **{level: uid})


def read(event: DicomChangeEvent, dicomweb: str) -> object:
    async def scenario() -> object:
        profile = SourceProfile(feed="main", dicomweb_url="https://dicom.example.org/v2")
        async with peer_client(PeerSettings(url=dicomweb, auth=BASIC, max_answer_bytes=LIMIT)) as client:
            source = FeedSource(profile=profile, dicomweb=client, ignored_partitions=frozenset())
            reader = EventReader(feeds={"main": source}, options=MappingOptions(), schema_by_id=None)
            sent = record(event, offset=1)
            return await reader.read(replace(sent, headers=(*sent.headers, (METADATA, b"too-large"))))

    return asyncio.run(scenario())


@pytest.mark.parametrize("uid", ["../../admin", "1.2@evil.example.org", "1/2"])
def test_an_event_with_such_a_uid_is_rejected(uid: str) -> None:
    server = Anything()
    with server.at() as url, pytest.raises(RejectedError) as rejected:
        read(replace(create(1, "1.2", uid), metadata=None), url)
    assert rejected.value.code == "map.uid_invalid"
    assert server.requests == []


def test_metadata_by_wado_that_is_too_large_is_rejected() -> None:
    with bomb(100).at() as url, pytest.raises(RejectedError) as rejected:
        read(replace(create(1, "1.2", "1.2.3"), metadata=None), url)
    assert rejected.value.code == "source.too_large"


def test_where_an_event_points_nobody_is_asked() -> None:
    other = Anything()
    with other.at() as elsewhere:
        bulk = {
            "7FE00010": {"vr": "OW", "BulkDataURI": f"{elsewhere}/bulk"},
            "00081190": {"vr": "UR", "Value": [elsewhere]},
        }
        event = create(1, "1.2", "1.2.3")
        document = json.dumps({**json.loads(event.metadata or ""), **bulk})
        assert read(replace(event, metadata=document, file_path=f"{elsewhere}/file"), "http://127.0.0.1:9") is not None
    assert other.requests == []
