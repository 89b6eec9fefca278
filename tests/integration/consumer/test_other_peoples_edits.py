"""What people and other systems did on the FHIR server, through the real loop, applier and mapping, on both servers."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from dicomcast_schemas import Action, DicomChangeEvent

from tests.fakes.events import FEED, record
from tests.fakes.fhir_server import fhir_server
from tests.fakes.member import Member, running_member
from tests.unit.mapping.scene import event

Json = dict[str, Any]
NOTE = {"authorString": "Dr. Poe", "time": "2026-02-03T10:00:00+01:00", "text": "Seen at the conference."}


@pytest.fixture(scope="module", params=["sandbox", "hapi"])
def base_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The FHIR server's; others use it too."""
    if request.param == "hapi":
        yield request.getfixturevalue("hapi")
        return
    with fhir_server() as server:
        yield server.base_url


@dataclass(slots=True)
class Scene:
    """One study of one patient, and a member that applies what happens to it."""

    member: Member
    dicomweb: str
    study_uid: str = field(default_factory=lambda: f"2.25.{uuid.uuid4().int}")
    patient_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def event(
        self, sequence: int, instance: int, *, action: Action = Action.CREATE, **attributes: Any
    ) -> DicomChangeEvent:
        """An event of an instance of the study."""
        said = {"PatientID": self.patient_id, "InstanceNumber": instance, **attributes}
        uids = {"study": self.study_uid, "series": f"{self.study_uid}.1", "instance": f"{self.study_uid}.1.{instance}"}
        return event(sequence, action=action, feed=FEED, **uids, **said)

    async def apply(self, *events: DicomChangeEvent) -> None:
        """Returns once the group has finished them."""
        log = self.member.source.log[0]
        self.member.source.produce([record(one, offset=len(log) + n) for n, one in enumerate(events)])
        await self.member.committed(len(log))

    @property
    def rejected(self) -> list[str]:
        return [str(letter.error.code) for letter in self.member.source.letters]

    async def study(self) -> Json:
        """The ImagingStudy; there is one."""
        (found,) = await self._search("ImagingStudy", f"urn:dicom:uid|urn:oid:{self.study_uid}")
        return found

    async def patients(self) -> list[Json]:
        """The Patients that have the PatientID."""
        return await self._search("Patient", f"|{self.patient_id}")

    async def _search(self, resource_type: str, token: str) -> list[Json]:
        page = (await self.member.fhir.get(resource_type, params={"identifier": token})).json()
        return [entry["resource"] for entry in page.get("entry", [])]

    async def post(self, resource: Json) -> Json:
        """The resource as the server stored it."""
        answer = await self.member.fhir.post(resource["resourceType"], json=resource)
        assert answer.status_code == 201, answer.text
        stored: Json = answer.json()
        return stored

    async def put(self, resource: Json) -> None:
        """Somebody's edit."""
        answer = await self.member.fhir.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code == 200, answer.text

    async def read(self, resource: Json) -> Json:
        """The resource as it is now."""
        found: Json = (await self.member.fhir.get(f"{resource['resourceType']}/{resource['id']}")).json()
        return found


def played(base_url: str, story: Callable[[Scene], Awaitable[None]]) -> None:
    """Runs the story with a member and a DICOM server of its own."""

    async def run() -> None:
        async with _scene(base_url) as scene:
            await story(scene)

    asyncio.run(run())


@asynccontextmanager
async def _scene(base_url: str) -> AsyncIterator[Scene]:
    dicomweb = f"http://127.0.0.1:9/{uuid.uuid4().hex}"
    async with running_member(base_url, dicomweb=dicomweb) as member:
        yield Scene(member, dicomweb)


def _patient(scene: Scene, **elements: Any) -> Json:
    return {"resourceType": "Patient", "identifier": [{"value": scene.patient_id}], **elements}


def test_decision_12_edits_by_hand_survive_ten_more_instances_and_a_re_store(base_url: str) -> None:
    first = {
        "StudyDescription": "Thorax",
        "AccessionNumber": "A1",
        "ReferringPhysicianName": "Roe^R",
        "PatientName": "Doe^J",
    }
    later = {
        "StudyDescription": "Chest",
        "AccessionNumber": "A2",
        "ReferringPhysicianName": "Coe^C",
        "PatientName": "Doe^Jane",
    }

    async def story(scene: Scene) -> None:
        await scene.apply(scene.event(1, 1, **first))
        study, (patient,) = await scene.study(), await scene.patients()
        other = await scene.post({**_endpoint(), "address": f"{scene.dicomweb}/other"})
        study["status"] = "entered-in-error"
        study["note"].append(NOTE)
        study["identifier"].append({"system": "urn:x:ris", "value": "R-1"})
        study["endpoint"].append({"reference": f"Endpoint/{other['id']}"})
        study["referrer"] = {"display": "Dr. Poe"}
        study["series"][0]["performer"] = [{"actor": {"display": "T. Tech"}}]
        study["series"][0]["instance"][0]["title"] = "the one"
        await scene.put(study)
        patient["name"].append({"use": "maiden", "family": "Born"})
        patient["telecom"] = [{"system": "phone", "value": "1"}]
        await scene.put(patient)

        await scene.apply(*(scene.event(n, n, **later) for n in range(2, 12)))
        await scene.apply(scene.event(12, 1, action=Action.UPDATE, **{**later, "AccessionNumber": "A3"}))

        found, (person,) = await scene.study(), await scene.patients()
        assert found["status"] == "entered-in-error"
        assert NOTE in found["note"]
        assert {"system": "urn:x:ris", "value": "R-1"} in found["identifier"]
        assert study["endpoint"] == found["endpoint"]
        assert found["referrer"] == {"display": "Dr. Poe"}
        assert found["series"][0]["performer"] == [{"actor": {"display": "T. Tech"}}]
        assert next(i for i in found["series"][0]["instance"] if i["number"] == 1)["title"] == "the one"
        assert {"use": "maiden", "family": "Born"} in person["name"]
        assert person["telecom"] == [{"system": "phone", "value": "1"}]

        assert found["numberOfInstances"] == 11
        assert [note["text"] for note in found["note"] if note != NOTE] == ["Chest"]
        assert found["description"] == "Chest"
        assert [i["value"] for i in found["identifier"] if "type" in i] == ["A3"]
        assert [name["given"] for name in person["name"] if name.get("use") == "usual"] == [["Jane"]]
        assert scene.rejected == []

    played(base_url, story)


def _endpoint() -> Json:
    system = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
    return {
        "resourceType": "Endpoint",
        "status": "active",
        "connectionType": {"system": system, "code": "dicom-wado-rs"},
        "payloadType": [{"text": "DICOM WADO-RS"}],
    }


def test_decision_11_other_peoples_patients_are_only_filled(base_url: str) -> None:
    async def story(scene: Scene) -> None:
        theirs = await scene.post(_patient(scene, gender="male", name=[{"use": "official", "family": "Doe"}]))
        await scene.apply(scene.event(1, 1, PatientName="Doe^Jane", PatientSex="F", PatientBirthDate="19700101"))
        found = await scene.read(theirs)
        assert (found["gender"], found["birthDate"]) == ("male", "1970-01-01")
        assert found["name"] == [{"use": "official", "family": "Doe"}]
        assert "tag" not in found["meta"]
        assert (await scene.study())["subject"] == {"reference": f"Patient/{theirs['id']}"}

    played(base_url, story)


def test_decision_11_a_patient_that_is_somebody_else_is_left_alone(base_url: str) -> None:
    """Birth date and family name both differ: two people with one number."""

    async def story(scene: Scene) -> None:
        theirs = await scene.post(_patient(scene, birthDate="1950-05-05", name=[{"family": "Roe"}]))
        await scene.apply(scene.event(1, 1, PatientName="Doe^Jane", PatientSex="F", PatientBirthDate="19700101"))
        assert await scene.read(theirs) == theirs
        assert (await scene.study())["subject"] == {"reference": f"Patient/{theirs['id']}"}

    played(base_url, story)


def test_decision_21_what_dicom_cast_wrote_is_adopted_and_repaired(base_url: str) -> None:
    async def story(scene: Scene) -> None:
        patient = await scene.post(_patient(scene, name=[{"use": "usual", "family": "Doe"}]))
        address = f"{scene.dicomweb}/"
        endpoint = await scene.post({**_endpoint(), "address": address, "name": f"DICOM WADO-RS endpoint {address}"})
        theirs = await scene.post(_of_dicom_cast(scene, patient, endpoint))
        await scene.apply(scene.event(1, 2, StudyDescription="Thorax", PatientName="Doe"))
        study = await scene.study()
        assert study["id"] == theirs["id"]
        assert [tag["code"] for tag in study["meta"]["tag"]] == ["dicom-derived"]
        assert study["endpoint"] == [{"reference": f"Endpoint/{endpoint['id']}"}]
        assert study["subject"] == {"reference": f"Patient/{patient['id']}"}
        assert [note["text"] for note in study["note"]] == ["Thorax"]
        (series,) = study["series"]
        assert series["modality"] == {"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"}
        sop_class = {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"}
        assert [instance["sopClass"] for instance in series["instance"]] == [sop_class, sop_class]
        assert study["modality"] == [series["modality"]]

    played(base_url, story)


def _of_dicom_cast(scene: Scene, patient: Json, endpoint: Json) -> Json:
    instance = {"uid": f"{scene.study_uid}.1.1", "sopClass": {"code": "1.2.840.10008.5.1.4.1.1.2"}, "number": 1}
    modality = {"system": "DCM", "code": "CT"}
    return {
        "resourceType": "ImagingStudy",
        "meta": {"source": f"{scene.dicomweb}/"},
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{scene.study_uid}"}],
        "status": "available",
        "subject": {"reference": f"Patient/{patient['id']}"},
        "endpoint": [{"reference": f"Endpoint/{endpoint['id']}"}],
        "note": [{"text": "Thorax"}, {"text": "Thorax"}],
        "series": [{"uid": f"{scene.study_uid}.1", "number": 1, "modality": modality, "instance": [instance]}],
    }


def test_decision_21_a_patient_merged_away_is_followed(base_url: str) -> None:
    """A new study, and one that was the merged Patient's, are both the surviving one's; that alone is written to."""

    async def story(scene: Scene) -> None:
        await scene.apply(scene.event(1, 1, PatientName="Doe"))
        (merged,) = await scene.patients()
        survivor = await scene.post({"resourceType": "Patient", "identifier": [{"value": uuid.uuid4().hex}]})
        link = {"other": {"reference": f"Patient/{survivor['id']}"}, "type": "replaced-by"}
        await scene.put({**merged, "active": False, "link": [link]})
        merged = await scene.read(merged)

        await scene.apply(scene.event(2, 2, PatientName="Doe", PatientSex="F"))
        assert await scene.read(merged) == merged
        assert (await scene.read(survivor))["gender"] == "female"
        assert (await scene.study())["subject"] == {"reference": f"Patient/{survivor['id']}"}

        scene.study_uid = f"2.25.{uuid.uuid4().int}"
        await scene.apply(scene.event(3, 1, PatientName="Doe"))
        assert (await scene.study())["subject"] == {"reference": f"Patient/{survivor['id']}"}
        assert await scene.read(merged) == merged
        assert scene.rejected == []

    played(base_url, story)
