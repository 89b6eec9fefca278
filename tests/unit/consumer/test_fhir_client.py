"""What FhirClient asks for."""

import asyncio

import httpx
from dicomcast_consumer.fhir_client import FhirClient


class CachingServer:
    """Answers a search from its cache unless it is told not to, as HAPI does (a search is reused for a minute)."""

    def __init__(self) -> None:
        self.studies = 0
        self._cached: dict[bytes, int] = {}

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("Cache-Control") != "no-cache":
            found = self._cached.setdefault(request.content, self.studies)
        else:
            found = self.studies
        entries = [{"resource": {"resourceType": "ImagingStudy", "id": str(n)}} for n in range(found)]
        return httpx.Response(200, json={"resourceType": "Bundle", "entry": entries})


def test_a_search_is_never_answered_from_the_servers_cache() -> None:
    async def scenario() -> None:
        server = CachingServer()
        async with httpx.AsyncClient(base_url="http://x/", transport=httpx.MockTransport(server.answer)) as http:
            fhir = FhirClient(http)
            assert await fhir.search("ImagingStudy", [("identifier", "a|b")]) == []
            server.studies = 1
            assert len(await fhir.search("ImagingStudy", [("identifier", "a|b")])) == 1

    asyncio.run(scenario())
