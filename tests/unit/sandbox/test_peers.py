"""The demo as a user of the DICOM server and a reader of FHIR, over the stand-ins."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from dicomcast_runtime.errors import DependencyError
from dicomcast_sandbox.demo.dicom_peer import DicomPeer
from dicomcast_sandbox.demo.fhir_peer import FhirPeer
from dicomcast_sandbox.demo.files import DicomFile, demo_files
from dicomcast_sandbox.dicom import Store, dicom_app
from dicomcast_sandbox.fhir import fhir_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

FILES = demo_files("run1")
DELETED = FILES.deleted


@asynccontextmanager
async def _client(app: Starlette, path: str = "/") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://127.0.0.1{path}") as client:
        yield client


def _count(store: Store, file: DicomFile) -> int:
    return len(store.instances(file.study, None, None))


def test_all_files_go_in_one_request_and_one_instance_is_deleted() -> None:
    store = Store()

    async def scene() -> str:
        app = dicom_app(store)
        async with _client(app, "/v2/") as dicomweb, _client(app) as server:
            peer = DicomPeer(dicomweb, server)
            await peer.store(FILES.first)
            return await peer.delete(DELETED)

    request = asyncio.run(scene())
    assert "DELETE" in request
    assert _count(store, DELETED) == sum(one.study == DELETED.study for one in FILES.first) - 1


def test_a_file_that_is_not_stored_is_an_error() -> None:
    async def scene() -> None:
        app = dicom_app(Store())
        async with _client(app, "/v2/") as dicomweb:
            peer = DicomPeer(dicomweb, dicomweb)
            await peer.store(FILES.first[:2])
            await peer.store(FILES.first[1:3])

    with pytest.raises(DependencyError, match="STOW-RS: the DICOM server answered 202"):
        asyncio.run(scene())


def test_orthanc_deletes_by_its_own_api() -> None:
    deleted: list[str] = []

    async def lookup(request: Request) -> Response:
        found = (await request.body()).decode() == DELETED.instance
        return JSONResponse([{"Type": "Instance", "ID": "0a-1b", "Path": "/instances/0a-1b"}] if found else [])

    async def delete(request: Request) -> Response:
        deleted.append(request.path_params["id"])
        return JSONResponse({})

    routes = [Route("/tools/lookup", lookup, methods=["POST"]), Route("/instances/{id}", delete, methods=["DELETE"])]

    async def scene(peer_file: DicomFile) -> str:
        app = Starlette(routes=routes)
        async with _client(app, "/dicom-web/") as dicomweb, _client(app) as server:
            return await DicomPeer(dicomweb, server).delete(peer_file)

    assert "Orthanc" in asyncio.run(scene(DELETED))
    assert deleted == ["0a-1b"]
    with pytest.raises(DependencyError, match="neither"):
        asyncio.run(scene(FILES.first[0]))


STUDY = {
    "resourceType": "ImagingStudy",
    "status": "available",
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
    "modality": [{"code": "CT"}],
    "started": "2020-01-01",
    "series": [
        {"uid": "1.2.3.1", "modality": {"code": "CT"}, "instance": [{"uid": "1"}, {"uid": "2"}]},
        {"uid": "1.2.3.2", "modality": {"code": "CT"}, "instance": [{"uid": "3"}]},
    ],
}


def test_a_study_is_seen_with_the_versions_of_what_it_refers_to() -> None:
    async def scene() -> None:
        async with _client(fhir_app(), "/fhir/") as client:
            patient = (await client.post("Patient", json={"resourceType": "Patient", "name": [{"family": "Q"}]})).json()
            reference = f"Patient/{patient['id']}"
            await client.post("ImagingStudy", json={**STUDY, "subject": {"reference": reference}})
            snapshot = await FhirPeer(client).read(["1.2.3", "4.5.6"])
            assert list(snapshot.studies) == ["1.2.3"]
            study = snapshot.studies["1.2.3"]
            assert (study.modality, study.started, study.series, study.instances) == ("CT", "2020-01-01", 2, 3)
            assert (study.version, study.patient) == (1, reference)
            assert snapshot.others == {reference: 1}
            assert "Q" not in repr(snapshot)
            assert "Q" in snapshot.patients[reference]

    asyncio.run(scene())


def test_a_server_that_is_away_shows_nothing_and_one_that_refuses_is_an_error() -> None:
    async def scene() -> None:
        async with httpx.AsyncClient(base_url="http://127.0.0.1:1/") as nobody:
            assert (await FhirPeer(nobody).read(["1.2.3"])).studies == {}
        async with _client(fhir_app(), "/wrong/") as client:
            await FhirPeer(client).read(["1.2.3"])

    with pytest.raises(DependencyError, match="404"):
        asyncio.run(scene())
