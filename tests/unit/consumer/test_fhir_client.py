"""What FhirClient asks for."""

import asyncio
import urllib.parse

import httpx
import pytest
from dicomcast_consumer.errors import RejectedError, RetryableError
from dicomcast_consumer.fhir_client import FhirClient, Resource


class HapiLikeServer:
    """Answers a search as HAPI does: from its cache of a minute unless it is told not to; with `max-results`, of what
    it finds no more than so many, on one page and without saying that there is more but for its `total`; else page by
    page. No page has more than its own `max_page_size`.
    """

    def __init__(self, *, studies: int = 0, page: int = 1_000, knows_max_results: bool = True) -> None:
        self.studies = studies
        self.asked: list[str] = []
        self._page = page
        self._knows_max_results = knows_max_results
        self._cached: dict[bytes, int] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        directives = request.headers.get("Cache-Control", "").split(", ")
        self.asked.append(" ".join(directives))
        most = next((int(d.removeprefix("max-results=")) for d in directives if d.startswith("max-results=")), None)
        if most is not None and not self._knows_max_results:
            return httpx.Response(400, json={"resourceType": "OperationOutcome"})
        found = self.studies if "no-cache" in directives else self._cached.setdefault(request.content, self.studies)
        if most is not None:
            return self._bundle(range(min(found, most, self._page)), following=None, total=min(found, most))
        begin = int(urllib.parse.parse_qs(request.url.query.decode()).get("from", ["0"])[0])
        end = min(begin + self._page, found)
        return self._bundle(range(begin, end), following=end if end < found else None, total=found)

    def _bundle(self, numbers: range, *, following: int | None, total: int) -> httpx.Response:
        entries = [{"resource": {"resourceType": "ImagingStudy", "id": str(n)}} for n in numbers]
        links = [] if following is None else [{"relation": "next", "url": f"http://x/?from={following}"}]
        return httpx.Response(200, json={"resourceType": "Bundle", "total": total, "link": links, "entry": entries})


def search(server: HapiLikeServer, *, most: int = 10) -> list[Resource]:
    async def scenario() -> list[Resource]:
        async with httpx.AsyncClient(base_url="http://x/", transport=httpx.MockTransport(server.answer)) as http:
            return await FhirClient(http).search("ImagingStudy", [("identifier", "a|b")], most=most)

    return asyncio.run(scenario())


def test_a_search_is_never_answered_from_the_servers_cache() -> None:
    server = HapiLikeServer(studies=0)
    assert search(server) == []
    server.studies = 1
    assert len(search(server)) == 1


def test_a_search_of_a_few_resources_is_one_request_that_keeps_nothing_at_the_server() -> None:
    server = HapiLikeServer(studies=3)
    assert len(search(server)) == 3
    assert server.asked == ["no-cache no-store max-results=10"]


@pytest.mark.parametrize("studies", [10, 11, 25])
def test_where_more_is_found_than_was_expected_nothing_of_it_is_missed(studies: int) -> None:
    server = HapiLikeServer(studies=studies, page=10)
    assert [resource["id"] for resource in search(server)] == [str(n) for n in range(studies)]


def test_where_a_page_holds_less_than_was_found_nothing_of_it_is_missed() -> None:
    server = HapiLikeServer(studies=25, page=20)
    assert len(search(server, most=60)) == 25


@pytest.mark.parametrize(
    ("link", "path"),
    [
        ("http://elsewhere/fhir?_getpages=1", "/fhir?_getpages=1"),
        ("/fhir/ImagingStudy?page=2", "/fhir/ImagingStudy?page=2"),
        ("ImagingStudy?page=2", "/fhir/ImagingStudy?page=2"),
        ("?page=2", "/fhir/?page=2"),
    ],
)
def test_a_next_page_is_looked_for_at_the_server_that_was_named(link: str, path: str) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        links = [{"relation": "next", "url": link}] if len(asked) == 1 else []
        return httpx.Response(200, json={"resourceType": "Bundle", "link": links})

    async def scenario() -> None:
        async with httpx.AsyncClient(base_url="http://x/fhir", transport=httpx.MockTransport(answer)) as http:
            assert await FhirClient(http).search("ImagingStudy", [], most=10) == []

    asyncio.run(scenario())
    assert asked == ["http://x/fhir/ImagingStudy/_search", f"http://x{path}"]


def test_a_next_page_that_is_nowhere_is_a_failed_request() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200, json={"resourceType": "Bundle", "link": [{"relation": "next", "url": "http://x:no/"}]}
        )

    async def scenario() -> None:
        async with httpx.AsyncClient(base_url="http://x/", transport=httpx.MockTransport(answer)) as http:
            await FhirClient(http).search("ImagingStudy", [], most=10)

    with pytest.raises(RetryableError):
        asyncio.run(scenario())


def test_a_server_that_refuses_the_bound_is_asked_without_it() -> None:
    assert len(search(HapiLikeServer(studies=3, knows_max_results=False))) == 3


def test_a_search_that_is_refused_for_another_reason_is_refused() -> None:
    async def scenario() -> None:
        transport = httpx.MockTransport(lambda _: httpx.Response(400, json={}))
        async with httpx.AsyncClient(base_url="http://x/", transport=transport) as http:
            await FhirClient(http).search("ImagingStudy", [], most=10)

    with pytest.raises(RejectedError):
        asyncio.run(scenario())
