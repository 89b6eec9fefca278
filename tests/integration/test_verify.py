"""`dicomcast-consumer verify` between a DICOM server and a FHIR server: the sandbox's, and Orthanc with HAPI."""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from click.testing import Result
from dicomcast_consumer.__main__ import app
from dicomcast_consumer.verify_command import _Command
from dicomcast_runtime.errors import ConfigurationError, DependencyError
from pydicom.uid import generate_uid as any_uid
from typer.testing import CliRunner

from tests.contract.change_feed.files import DicomFile, dicom_file
from tests.fakes.dicom_server import DicomServer
from tests.fakes.events import create, record
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.member import running_member


def generate_uid() -> str:
    """With room for a suffix: 64 characters are the most."""
    return str(any_uid())[:60].rstrip(".")


@dataclass(slots=True)
class Peers:
    """One DICOM server and one FHIR server, and the command between them."""

    dicom: httpx.Client
    """Its base URL is the DICOMweb root."""
    fhir: httpx.Client
    patient: str

    def store(self, *files: DicomFile) -> None:
        parts = [b"--part\r\nContent-Type: application/dicom\r\n\r\n" + file.content + b"\r\n" for file in files]
        content_type = 'multipart/related; type="application/dicom"; boundary=part'
        body = b"".join(parts) + b"--part--\r\n"
        answer = self.dicom.post("studies", content=body, headers={"Content-Type": content_type})
        assert answer.status_code == 200, answer.text

    def file(self, study: str, **attributes: object) -> DicomFile:
        return dicom_file(study=study, series=f"{study}.1", **{"PatientID": self.patient, **attributes})

    def delete(self, file: DicomFile) -> None:
        """By DICOMweb, or where there is no such thing by Orthanc's own interface."""
        answer = self.dicom.delete(f"studies/{file.study}/series/{file.series}/instances/{file.sop}")
        if answer.status_code != 204:
            root = self.dicom.base_url.copy_with(path="/")
            (found,) = self.dicom.post(root.join("tools/lookup"), content=file.sop).json()
            answer = self.dicom.delete(root.join(f"instances/{found['ID']}"))
            assert answer.status_code == 200

    def verify(self, *args: str, again: float = 0) -> Result:
        """The command's outcome; a StopError is its exception."""
        return CliRunner().invoke(app, ["verify", "--again-after-s", str(again), *args])

    def imaging_study(self, study: str) -> dict[str, object]:
        query = {"identifier": f"urn:dicom:uid|urn:oid:{study}"}
        (entry,) = self.fhir.get("ImagingStudy", params=query).json()["entry"]
        return dict(entry["resource"])

    def write(self, resource: dict[str, object]) -> None:
        assert self.fhir.put(f"ImagingStudy/{resource['id']}", json=resource).is_success


@pytest.fixture(params=["sandbox", "real"])
def peers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Peers]:
    auth: tuple[str, str] | None = None
    if request.param == "sandbox":
        url = request.getfixturevalue("dicom").dicomweb_url
        fhir = request.getfixturevalue("fhir").base_url
    else:
        orthanc = request.getfixturevalue("orthanc")
        url, auth, fhir = orthanc.dicomweb_url, (orthanc.user, orthanc.password), request.getfixturevalue("hapi")
        monkeypatch.setenv("DICOMCAST_SOURCES__MAIN__AUTH__KIND", "basic")
        monkeypatch.setenv("DICOMCAST_SOURCES__MAIN__AUTH__USERNAME", auth[0])
        monkeypatch.setenv("DICOMCAST_SOURCES__MAIN__AUTH__PASSWORD", auth[1])
    monkeypatch.setenv("DICOMCAST_SOURCES__MAIN__DICOMWEB_URL", url)
    monkeypatch.setenv("DICOMCAST_FHIR__URL", fhir)
    with (
        httpx.Client(base_url=url, auth=auth, timeout=60, trust_env=False) as dicom,
        httpx.Client(base_url=fhir, timeout=60, trust_env=False) as client,
    ):
        yield Peers(dicom, client, f"verify-{generate_uid()[-12:]}")


def test_a_study_that_is_missing_is_found_repaired_and_found_no_more(peers: Peers) -> None:
    study = generate_uid()
    peers.store(*(peers.file(study) for _ in range(3)))
    found = peers.verify("--study", study)
    assert found.exit_code == 1
    assert "missing (whole study)" in found.output
    assert peers.verify("--study", study, "--repair").exit_code == 0
    made = peers.imaging_study(study)
    assert (made["numberOfInstances"], made["status"]) == (3, "available")
    assert peers.verify("--study", study).exit_code == 0


def test_single_instances_missing_and_extra(peers: Peers, tmp_path: Path) -> None:
    study = generate_uid()
    kept, deleted = peers.file(study), peers.file(study)
    peers.store(kept, deleted)
    assert peers.verify("--study", study, "--repair").exit_code == 0
    added = peers.file(study)
    peers.store(added)
    peers.delete(deleted)

    found = peers.verify("--study", study, "--report", str(tmp_path / "report.json"))
    assert found.exit_code == 1
    (verdict,) = json.loads((tmp_path / "report.json").read_text())["studiesDiffering"]
    kinds = {finding["kind"]: finding["sopInstanceUid"] for finding in verdict["findings"]}
    assert kinds == {"missing": added.sop, "extra": deleted.sop}

    repaired = peers.verify("--study", study, "--repair")
    assert repaired.exit_code == 1, "what is extra stays, and is still told"
    assert "extra 1" in repaired.output
    assert "missing" not in repaired.output


@pytest.mark.parametrize("instances", ["all", "none"])
def test_what_is_the_same_is_only_read(peers: Peers, instances: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOMCAST_MAPPING__INSTANCES", instances)
    study = generate_uid()
    peers.store(peers.file(study))
    assert peers.verify("--study", study, "--repair").exit_code == 0
    before = peers.imaging_study(study)["meta"]
    assert peers.verify("--study", study, "--repair").exit_code == 0
    assert peers.imaging_study(study)["meta"] == before


def test_an_instance_that_the_mapping_refuses_is_told_with_its_code(peers: Peers) -> None:
    study = generate_uid()
    peers.store(peers.file(study, PatientID=""))
    found = peers.verify("--study", study, "--repair")
    assert found.exit_code == 1
    assert "map.patient_id_missing 1" in found.output


def test_values_of_the_study_that_no_instance_says_are_found_and_not_overwritten(peers: Peers, tmp_path: Path) -> None:
    study = generate_uid()
    file = peers.file(study, StudyDescription="Skull", AccessionNumber="A-1", StudyDate="20260102", StudyTime="101112")
    peers.store(file)
    assert peers.verify("--study", study, "--repair").exit_code == 0
    resource = peers.imaging_study(study)
    identifiers = resource["identifier"]
    assert isinstance(identifiers, list)
    resource |= {"description": "Knee", "note": [{"text": "Knee"}], "started": "2026-01-03", "numberOfSeries": 4}
    resource["identifier"] = [each for each in identifiers if each.get("value") != "A-1"]
    peers.write(resource)

    found = peers.verify("--study", study, "--repair", "--report", str(tmp_path / "report.json"))
    assert found.exit_code == 1
    assert "different (numberOfSeries, description, identifier, started)" in found.output
    (verdict,) = json.loads((tmp_path / "report.json").read_text())["studiesDiffering"]
    assert verdict["findings"][1:] == [
        {"kind": "different", "element": element} for element in ("description", "identifier", "started")
    ]
    assert not any(value in (tmp_path / "report.json").read_text() + found.output for value in ("Knee", "Skull", "A-1"))
    assert peers.imaging_study(study)["description"] == "Knee"


def test_a_study_that_is_at_another_patient_is_found(peers: Peers, tmp_path: Path) -> None:
    """Of the worst that can be; and a Patient that was merged into another one is no such case."""
    study = generate_uid()
    peers.store(peers.file(study))
    assert peers.verify("--study", study, "--repair").exit_code == 0
    right = peers.imaging_study(study)
    other = peers.fhir.post("Patient", json={"resourceType": "Patient", "active": True}).json()
    peers.write({**right, "subject": {"reference": f"Patient/{other['id']}"}})
    report = tmp_path / "report.json"
    assert peers.verify("--study", study, "--report", str(report)).exit_code == 1
    (found,) = json.loads(report.read_text())["studiesDiffering"]
    assert found["findings"] == [{"kind": "different", "element": "subject"}]
    assert peers.patient not in report.read_text()

    merged = peers.fhir.get(str(right["subject"]["reference"])).json()  # type: ignore[index]
    link = {"other": {"reference": f"Patient/{other['id']}"}, "type": "replaced-by"}
    assert peers.fhir.put(f"Patient/{merged['id']}", json={**merged, "active": False, "link": [link]}).is_success
    assert peers.verify("--study", study).exit_code == 0


def test_of_instances_that_say_different_things_any_is_right(peers: Peers) -> None:
    """A search names the value of one of them, FHIR has that of the last event."""
    study = generate_uid()
    files = [
        peers.file(study, StudyDescription=text, AccessionNumber=text, StudyDate=date)
        for text, date in (("one", "20260101"), ("two", "20260102"), ("three", "20260103"))
    ]
    peers.store(*files)
    assert peers.verify("--study", study, "--repair").exit_code == 0
    for text, date in (("one", "2026-01-01"), ("two", "2026-01-02"), ("three", "2026-01-03")):
        resource = {**peers.imaging_study(study), "description": text, "note": [{"text": text}], "started": date}
        peers.write(resource)
        assert peers.verify("--study", study).exit_code == 0, text


@pytest.fixture
def sandbox(dicom: DicomServer, fhir: RunningFhirServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Peers]:
    monkeypatch.setenv("DICOMCAST_SOURCES__MAIN__DICOMWEB_URL", dicom.dicomweb_url)
    monkeypatch.setenv("DICOMCAST_FHIR__URL", fhir.base_url)
    with (
        httpx.Client(base_url=dicom.dicomweb_url, timeout=60, trust_env=False) as web,
        httpx.Client(base_url=fhir.base_url, timeout=60, trust_env=False) as client,
    ):
        yield Peers(web, client, "verify")


def test_a_repair_overwrites_no_value_of_an_event(sandbox: Peers, fhir: RunningFhirServer) -> None:
    study = generate_uid()
    first, second = sandbox.file(study), sandbox.file(study, StudyDescription="of no known age")
    sandbox.store(first, second)

    async def applied() -> None:
        async with running_member(fhir.base_url) as member:
            event = create(1, study, first.sop, series=first.series, patient_id="verify", description="of an event")
            member.source.produce([record(event, offset=0)])
            await member.committed(1)

    asyncio.run(applied())
    left = sandbox.verify("--study", study, "--repair")
    assert "different (description" in left.output, "no instance says it any more"
    assert "missing" not in left.output
    made = sandbox.imaging_study(study)
    assert (made["description"], made["numberOfInstances"]) == ("of an event", 2)


def test_a_repair_waits_for_a_server_that_is_away_for_a_moment(sandbox: Peers, dicom: DicomServer) -> None:
    study = generate_uid()
    sandbox.store(sandbox.file(study))
    dicom.faults.answer(503, path_part="/metadata", times=2)
    assert sandbox.verify("--study", study, "--repair").exit_code == 0


def test_all_finds_studies_that_only_fhir_has(sandbox: Peers) -> None:
    studies = [generate_uid() for _ in range(60)]
    sandbox.store(*(sandbox.file(study) for study in studies))
    assert sandbox.verify("--all", "--repair").output.splitlines()[-1] == "60 studies compared, 60 repaired, 0 differ"
    sandbox.dicom.delete(f"studies/{studies[7]}")
    found = sandbox.verify("--all")
    assert found.exit_code == 1
    assert found.output.splitlines()[-1] == "59 studies compared, 1 differ"
    assert studies[7] in found.output
    assert "extra (whole study)" in found.output


def test_since_compares_the_studies_of_these_dates_alone(sandbox: Peers) -> None:
    old, new = generate_uid(), generate_uid()
    sandbox.store(sandbox.file(old, StudyDate="20200101"), sandbox.file(new, StudyDate="20260101"))
    found = sandbox.verify("--since", "2025-01-01")
    assert new in found.output
    assert old not in found.output


def test_more_instances_than_a_page_holds(sandbox: Peers) -> None:
    study = generate_uid()
    attributes = {"study": study, "series": f"{study}.1", "PatientID": "verify"}
    sandbox.store(*(dicom_file("rtplan.dcm", **attributes) for _ in range(210)))  # type: ignore[arg-type]
    assert sandbox.verify("--study", study, "--repair").exit_code == 0
    assert sandbox.imaging_study(study)["numberOfInstances"] == 210


def test_a_study_that_appears_in_fhir_meanwhile_does_not_count(
    sandbox: Peers, fhir: RunningFhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A live member has written it between the two comparisons."""
    study = generate_uid()
    sandbox.store(sandbox.file(study, StudyDescription="Skull", AccessionNumber=""))
    compare_again = _Command._still

    patient = sandbox.fhir.post("Patient", json={"resourceType": "Patient", "identifier": [{"value": sandbox.patient}]})

    async def written_meanwhile(self: _Command, *args: object) -> object:
        resource = {
            "resourceType": "ImagingStudy",
            "status": "available",
            "subject": {"reference": f"Patient/{patient.json()['id']}"},
            "description": "Skull",
            "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{study}"}],
            "series": [{"uid": f"{study}.1", "modality": {"code": "CT"}, "instance": [_listed(sandbox, study)]}],
        }
        assert httpx.post(f"{fhir.base_url}/ImagingStudy", json=resource, timeout=60, trust_env=False).is_success
        return await compare_again(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(_Command, "_still", written_meanwhile)
    assert sandbox.verify("--study", study, again=0.1).exit_code == 0


def _listed(peers: Peers, study: str) -> dict[str, object]:
    (found,) = peers.dicom.get(f"studies/{study}/instances").json()
    sop_class = {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{found['00080016']['Value'][0]}"}
    return {"uid": found["00080018"]["Value"][0], "sopClass": sop_class}


def test_an_instance_that_is_deleted_while_it_is_repaired_is_not_left_in_fhir(
    sandbox: Peers, dicom: DicomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleted after the server was asked and before the write: the delete event found nothing to remove in FHIR."""
    study = generate_uid()
    kept, deleted = sandbox.file(study), sandbox.file(study)
    sandbox.store(kept, deleted)
    import dicomcast_consumer.verify_repair as repair

    prove: Callable[..., object] = repair.Repair.prove

    async def deleted_right_after(self: repair.Repair, partition: int) -> None:
        await prove(self, partition)  # type: ignore[misc]
        dicom.store.delete(study, f"{study}.1", deleted.sop)

    monkeypatch.setattr(repair.Repair, "prove", deleted_right_after)
    assert sandbox.verify("--study", study, "--repair").exit_code == 0
    assert sandbox.imaging_study(study)["numberOfInstances"] == 1


@pytest.mark.parametrize("args", [[], ["--all", "--since", "2026-01-01"], ["--since", "yesterday"]])
def test_which_studies_must_be_said(sandbox: Peers, args: list[str]) -> None:
    assert isinstance(sandbox.verify(*args).exception, ConfigurationError)


def test_a_server_that_stays_away_is_an_error_of_its_own(sandbox: Peers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOMCAST_FHIR__URL", "http://127.0.0.1:9/fhir")
    study = generate_uid()
    sandbox.store(sandbox.file(study))
    assert isinstance(sandbox.verify("--study", study, "--wait-s", "0").exception, DependencyError)
