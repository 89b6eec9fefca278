"""What `verify` makes of answers that are none."""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from dicomcast_consumer.fhir_client import FhirClient
from dicomcast_consumer.verify_check import Verifier
from dicomcast_runtime.errors import ConfigurationError, DependencyError

Answer = Callable[[httpx.Request], httpx.Response]


def extra(answer: Answer) -> list[str]:
    """Studies that FHIR has and a DICOM server without any does not."""

    async def scenario() -> list[str]:
        dicom = httpx.AsyncClient(base_url="http://d/", transport=httpx.MockTransport(lambda _: httpx.Response(204)))
        async with dicom, httpx.AsyncClient(base_url="http://x/fhir/", transport=httpx.MockTransport(answer)) as http:
            verifier = Verifier(dicom=dicom, fhir=FhirClient(http), dicomweb_url="http://d", wait_s=10)
            return [verdict.study_instance_uid async for verdict in verifier.unknown_to_dicom(frozenset())]

    return asyncio.run(scenario())


def page(uid: str, following: str | None) -> httpx.Response:
    study = {
        "resourceType": "ImagingStudy",
        "id": uid,
        "meta": {"source": "http://d"},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}],
    }
    links = [] if following is None else [{"relation": "next", "url": following}]
    return httpx.Response(200, json={"resourceType": "Bundle", "link": links, "entry": [{"resource": study}]})


def test_a_page_that_fails_once_is_asked_for_again() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.query.decode())
        if len(asked) == 2:
            return httpx.Response(503)
        return page("1.1", "http://x/fhir?p=2") if len(asked) == 1 else page("1.2", None)

    assert extra(answer) == ["1.1", "1.2"]
    assert asked == ["", "p=2", "p=2"]


def test_pages_in_a_circle_come_to_an_end() -> None:
    with pytest.raises(DependencyError, match="circle"):
        extra(lambda _: page("1.1", "http://x/fhir?p=1"))


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_names_the_setting(status: int) -> None:
    with pytest.raises(ConfigurationError, match="DICOMCAST_FHIR__"):
        extra(lambda _: httpx.Response(status, json={}))


def test_a_wrong_base_url_of_the_fhir_server_names_the_setting() -> None:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "processing"}]}
    with pytest.raises(ConfigurationError, match="DICOMCAST_FHIR__URL"):
        extra(lambda _: httpx.Response(404, json=outcome))
