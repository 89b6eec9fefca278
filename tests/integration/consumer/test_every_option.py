"""With every option on, and without lists of instances: servers keep what the mapping made; a replay writes nothing."""

import asyncio
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from dicomcast_consumer.mapping import MappingOptions, SourceProfile
from dicomcast_schemas import DicomChangeEvent

from tests.fakes.events import FEED, record
from tests.fakes.fhir_server import fhir_server
from tests.fakes.member import DICOMWEB, Member, running_member
from tests.unit.mapping.scene import Scene, code, event
from tests.unit.mapping.test_properties import EVERYTHING, UNLISTED

Json = dict[str, Any]
ISSUER = {"UniversalEntityID": "1.2.276.9", "UniversalEntityIDType": "ISO"}
SAID: Json = {
    "StudyDate": "20240131",
    "StudyTime": "101500",
    "StudyID": "17",
    "AccessionNumber": "A1",
    "IssuerOfAccessionNumberSequence": ISSUER,
    "StudyDescription": "CT chest",
    "ReferringPhysicianName": "Ref^Doc",
    "NameOfPhysiciansReadingStudy": ["Read^Anna", "Mueller^Max"],
    "InstitutionName": "General Hospital",
    "ProcedureCodeSequence": code("P1", "99X", "Chest"),
    "ReasonForTheRequestedProcedure": "Cough",
    "PatientName": "Doe^Jane=山田^花子=やまだ^はなこ",
    "PatientBirthDate": "1970",
    "OtherPatientIDs": ["O1", "O2"],
    "BodyPartExamined": "CHEST",
    "Laterality": "R",
    "OperatorsName": "Tech^Tina",
    "Manufacturer": "ACME",
    "DeviceSerialNumber": "4711",
    "NumberOfFrames": 12,
    "SpecimenDescriptionSequence": {"SpecimenIdentifier": "S-1", "IssuerOfTheSpecimenIdentifierSequence": ISSUER},
    "AcquisitionDate": "20240131",
}


@pytest.fixture(scope="module", params=["sandbox", "hapi"])
def base_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The FHIR server's; others use it too."""
    if request.param == "hapi":
        yield request.getfixturevalue("hapi")
        return
    with fhir_server() as server:
        yield server.base_url


def _events() -> list[DicomChangeEvent]:
    study, patient = f"2.25.{uuid.uuid4().int}", uuid.uuid4().hex
    return [
        event(
            n,
            feed=FEED,
            study=study,
            series=f"{study}.{n % 2}",
            instance=f"{study}.{n % 2}.{n}",
            **{**SAID, "PatientID": patient, "InstanceNumber": n},
        )
        for n in range(1, 7)
    ]


def _bare(resource: Json) -> Json:
    """Without what the server gives: ids, meta, references."""
    found = {name: value for name, value in resource.items() if name not in ("id", "meta", "subject", "endpoint")}
    if "series" in found:
        found["series"] = [{k: v for k, v in series.items() if k != "endpoint"} for series in found["series"]]
    return found


async def _search(member: Member, resource_type: str, token: str) -> Json:
    page = (await member.fhir.get(resource_type, params={"identifier": token})).json()
    (entry,) = page["entry"]
    found: Json = entry["resource"]
    return found


@pytest.mark.parametrize("options", [EVERYTHING, UNLISTED], ids=["every option", "instances=none"])
def test_it_is_kept_and_a_replay_writes_nothing(base_url: str, options: MappingOptions) -> None:
    events = _events()
    scene = Scene(options=options, profile=SourceProfile(feed=FEED, dicomweb_url=DICOMWEB))
    scene.send(*events)

    async def scenario() -> tuple[list[Json], list[Json]]:
        async with running_member(base_url, options=options) as member:

            async def written(batches: list[list[DicomChangeEvent]]) -> list[Json]:
                for batch in batches:
                    log = member.source.log[0]
                    member.source.produce([record(one, offset=len(log) + n) for n, one in enumerate(batch)])
                    await member.committed(len(log))
                patient = scene.patient["identifier"][0]["value"]
                study = await _search(member, "ImagingStudy", f"urn:dicom:uid|urn:oid:{events[0].study_instance_uid}")
                return [study, await _search(member, "Patient", f"|{patient}")]

            found = await written([events])
            again = await written([events, *([one] for one in events)])
            assert member.source.letters == []
            return found, again

    found, again = asyncio.run(scenario())
    assert [_bare(resource) for resource in found] == [_bare(scene.study or {}), _bare(scene.patient)]
    assert [resource["meta"]["versionId"] for resource in again] == ["1", "1"]
    if options.profile == "mado":
        assert all(series["endpoint"] == found[0]["endpoint"] for series in found[0]["series"])
