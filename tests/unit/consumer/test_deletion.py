"""The DELETE of a study that someone just wrote to (HAPI's DELETE is not conditional)."""

import asyncio
from typing import Any

import httpx
import pytest
from dicomcast_consumer.deletion import delete_study
from dicomcast_consumer.errors import ConflictError
from dicomcast_consumer.fhir_client import FhirClient

from tests.fakes.fhir_server import RunningFhirServer

SERIES = [{"uid": "1.2.1", "modality": {"code": "CT"}, "instance": [{"uid": "1.2.1.1", "sopClass": {"code": "x"}}]}]


class Racing(FhirClient):
    """Someone else writes to the study right after it was read."""

    async def read(self, resource_type: str, resource_id: str) -> dict[str, Any] | None:
        found = await super().read(resource_type, resource_id)
        assert found is not None
        await self.put({**found, "series": SERIES})
        return found


def emptied_study(base_url: str) -> str:
    patient = httpx.post(f"{base_url}/Patient", json={"resourceType": "Patient"})
    body = {"resourceType": "ImagingStudy", "status": "registered", "subject": {"reference": _reference(patient)}}
    return _reference(httpx.post(f"{base_url}/ImagingStudy", json=body)).removeprefix("ImagingStudy/")


def _reference(response: httpx.Response) -> str:
    return "/".join(response.headers["Location"].split("/fhir/")[1].split("/")[:2])


def test_an_emptied_study_is_deleted(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        study = emptied_study(fhir.base_url)
        async with httpx.AsyncClient(base_url=fhir.base_url + "/") as http:
            await delete_study(FhirClient(http), study)
            assert (await http.get(f"ImagingStudy/{study}")).status_code == 410
            await delete_study(FhirClient(http), study)  # again, after a crash: nothing to do

    asyncio.run(scenario())


def test_a_study_someone_wrote_to_meanwhile_is_put_back_and_read_again(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        study = emptied_study(fhir.base_url)
        async with httpx.AsyncClient(base_url=fhir.base_url + "/") as http:
            with pytest.raises(ConflictError):
                await delete_study(Racing(http), study)
            there = (await http.get(f"ImagingStudy/{study}")).json()
            assert there["series"][0]["instance"][0]["uid"] == "1.2.1.1"

    asyncio.run(scenario())


def test_a_study_that_is_referenced_stays(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        study = emptied_study(fhir.base_url)
        async with httpx.AsyncClient(base_url=fhir.base_url + "/") as http:
            await http.post(
                "ImagingStudy",
                json={
                    "resourceType": "ImagingStudy",
                    "status": "available",
                    "subject": {"display": "-"},
                    "basedOn": [{"reference": f"ImagingStudy/{study}"}],
                },
            )
            await delete_study(FhirClient(http), study)
            assert (await http.get(f"ImagingStudy/{study}")).status_code == 200

    asyncio.run(scenario())
