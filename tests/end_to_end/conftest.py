"""The whole line between the real servers: storescu, Orthanc with the plugin, producer, Kafka, consumer, HAPI FHIR."""

import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid as _generate_uid

from tests.fakes.processes import Line, Running, eventually
from tests.services.peers import OrthancServer

FILES = ("CT_small.dcm", "MR_small.dcm", "test-SR.dcm", "rtplan.dcm")


def generate_uid() -> str:
    """A UID short enough for a suffix."""
    return _generate_uid("1.2.826.0.1.3680043.8.498.")[:56].rstrip(".")


@dataclass(slots=True, kw_only=True)
class RealLine:
    """The servers, and a test's own topic, patient and studies on them."""

    line: Line
    orthanc: OrthancServer
    hapi: str
    folder: Path
    patient_id: str = field(default_factory=lambda: f"E2E-{uuid.uuid4().hex[:10]}")

    def dicom_file(self, name: str, *, study: str, series: str | None = None, **attributes: Any) -> Path:
        """A real file as an instance of the given study, of this test's patient."""
        source = get_testdata_file(name, download=False)
        data_set = pydicom.dcmread(str(source))
        data_set.PatientID, data_set.PatientName = self.patient_id, "Line^Test"
        data_set.PatientSex, data_set.PatientBirthDate = "F", "19700101"
        data_set.StudyInstanceUID = study
        data_set.SeriesInstanceUID = series or f"{study}.1"
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        for keyword, value in attributes.items():
            setattr(data_set, keyword, value)
        path = self.folder / f"{data_set.SOPInstanceUID}.dcm"
        data_set.save_as(path)
        return path

    def store(self, files: Sequence[Path]) -> None:
        """storescu, as a modality does."""
        subprocess.run(
            ["storescu", "-R", "127.0.0.1", str(self.orthanc.dicom_port), *map(str, files)],
            check=True,
            capture_output=True,
            timeout=60,
        )

    def delete(self, level: str, uid: str) -> None:
        """Deletes a patient's resource on Orthanc: level studies, series or instances."""
        with self._orthanc() as client:
            (found,) = client.post("/tools/lookup", content=uid).json()
            assert found["Path"].startswith(f"/{level}/")
            client.delete(found["Path"]).raise_for_status()

    def sequence(self) -> int:
        """The feed's latest sequence."""
        with self._orthanc() as client:
            latest = client.get("/v1/changefeed/latest", params={"includeMetadata": "false"})
            return int(latest.json()["sequence"]) if latest.status_code == 200 else 0

    def metadata(self, study: str) -> list[dict[str, Any]]:
        """The data sets of a study by WADO-RS."""
        with self._orthanc() as client:
            found: list[dict[str, Any]] = client.get(f"/dicom-web/studies/{study}/metadata").json()
            return found

    def studies(self) -> dict[str, dict[str, Any]]:
        """This test's ImagingStudy resources by Study Instance UID."""
        patients = self.patients()
        if not patients:
            return {}
        parameters = {"subject": ",".join(f"Patient/{p['id']}" for p in patients), "_count": "500"}
        page = httpx.get(f"{self.hapi}/ImagingStudy", params=parameters, timeout=60).json()
        resources = [entry["resource"] for entry in page.get("entry", [])]
        return {r["identifier"][0]["value"].removeprefix("urn:oid:"): r for r in resources}

    def patients(self) -> list[dict[str, Any]]:
        """This test's Patient resources."""
        parameters = {"identifier": f"|{self.patient_id}"}
        page = httpx.get(f"{self.hapi}/Patient", params=parameters, timeout=60).json()
        return [entry["resource"] for entry in page.get("entry", [])]

    def applied(self, *running: Running) -> None:
        """Waits until every change that Orthanc has logged by now is on the topic and finished by the group."""
        sequence = self.sequence()

        def there() -> bool:
            return self.line.cursor() >= sequence and self.line.caught_up()

        eventually(there, lambda: "\n".join(r.text[-3000:] for r in running), running[0], within_s=120)

    def _orthanc(self) -> httpx.Client:
        return httpx.Client(base_url=self.orthanc.url, auth=(self.orthanc.user, self.orthanc.password), timeout=60)


@pytest.fixture
def real(kafka: str, hapi: str, orthanc: OrthancServer, tmp_path: Path) -> RealLine:
    sign_in = {
        f"{prefix}__AUTH__{name}": value
        for prefix in ("DICOMCAST_FEED", "DICOMCAST_SOURCES__ORTHANC")
        for name, value in (("KIND", "basic"), ("USERNAME", orthanc.user), ("PASSWORD", orthanc.password))
    }
    env = {
        "DICOMCAST_FEED__NAME": "orthanc",
        "DICOMCAST_FEED__URL": orthanc.change_feed_url,
        "DICOMCAST_FEED__DICOMWEB_URL": orthanc.dicomweb_url,
        "DICOMCAST_FEED__START": "now",
        "DICOMCAST_FEED__POLL_INTERVAL_S": "0.5",
        "DICOMCAST_FEED__GAP_SETTLE_S": "1",
        "DICOMCAST_FHIR__URL": hapi,
        "DICOMCAST_SOURCES__ORTHANC__DICOMWEB_URL": orthanc.dicomweb_url,
        **sign_in,
    }
    line = Line(bootstrap=kafka, env=env)
    with line.started("dicomcast_producer", "topics", "apply", "--group", line.group) as apply:
        assert apply.process.wait(90) == 0, apply.text
    with line.started("dicomcast_producer", "cursor", "set", "--to", "now", "--yes") as begin:
        assert begin.process.wait(90) == 0, begin.text
    return RealLine(line=line, orthanc=orthanc, hapi=hapi, folder=tmp_path)
