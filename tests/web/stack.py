"""The whole line with stand-ins for the DICOM and the FHIR server, and the page on top, as processes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.contract.change_feed.files import DicomFile, dicom_file
from tests.fakes.dicom_server import DicomServer, dicom_server
from tests.fakes.fhir_server import RunningFhirServer, fhir_server
from tests.fakes.processes import Line, Running, eventually

__all__ = ["PATIENT", "Stack", "printed", "stack"]

PATIENT = "Nobody^Knows"
"""In every file, and never on the page."""
_HEADERS = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=part'}


@dataclass(slots=True, kw_only=True)
class Stack:
    """A running line and its page."""

    line: Line
    dicom: DicomServer
    fhir: RunningFhirServer
    consumer: Running
    member: str
    """URL of the consumer's HTTP port."""
    url: str
    """Of the page, without a slash at its end."""

    def store(self, *files: DicomFile) -> None:
        """As a modality does, by STOW-RS."""
        parts = [b"--part\r\nContent-Type: application/dicom\r\n\r\n" + file.content + b"\r\n" for file in files]
        body = b"".join(parts) + b"--part--\r\n"
        answer = httpx.post(f"{self.dicom.dicomweb_url}/studies", content=body, headers=_HEADERS, timeout=60)
        assert answer.status_code == 200, answer.status_code

    def file(self, study: str, **attributes: object) -> DicomFile:
        """A real file of that study."""
        return dicom_file(study=study, series=f"{study}.1", PatientName=PATIENT, **attributes)

    def applied(self, records: int) -> None:
        """Waits until so many events are on the topic and the group is through with them."""

        def there() -> bool:
            return len(self.line.records()) >= records and self.line.caught_up()

        eventually(there, lambda: self.consumer.text[-3000:], self.consumer)

    def take_out(self, study: str) -> None:
        """One instance of the study out of FHIR, as somebody's edit would."""
        with httpx.Client(base_url=self.fhir.base_url, timeout=60) as fhir:
            query = {"identifier": f"urn:dicom:uid|urn:oid:{study}"}
            (entry,) = fhir.get("ImagingStudy", params=query).json()["entry"]
            found = entry["resource"]
            found["series"][0]["instance"].pop()
            left = len(found["series"][0]["instance"])
            found["series"][0]["numberOfInstances"] = found["numberOfInstances"] = left
            fhir.put(f"ImagingStudy/{found['id']}", json=found).raise_for_status()


@contextmanager
def stack(bootstrap: str, *, topic: str | None = None, group: str | None = None) -> Iterator[Stack]:
    """Runs the line for the block, on a broker that runs."""
    names = {name: value for name, value in (("topic", topic), ("group", group)) if value is not None}
    with dicom_server() as dicom, fhir_server() as fhir:
        line = Line(bootstrap=bootstrap, env=_settings(dicom, fhir), **names)  # type: ignore[arg-type]
        line.create_topics()
        with line.producer(), line.consumer() as consumer:
            member = _address(consumer)
            with line.started("dicomcast_consumer", "web", env={"DICOMCAST_WEB__MEMBERS": f'["{member}"]'}) as page:
                url = printed(page)
                yield Stack(line=line, dicom=dicom, fhir=fhir, consumer=consumer, member=member, url=url)


def _settings(dicom: DicomServer, fhir: RunningFhirServer) -> dict[str, str]:
    return {
        "DICOMCAST_FEED__NAME": "main",
        "DICOMCAST_FEED__URL": dicom.base_url,
        "DICOMCAST_FEED__DICOMWEB_URL": dicom.dicomweb_url,
        "DICOMCAST_FEED__POLL_INTERVAL_S": "0.5",
        "DICOMCAST_FEED__GAP_SETTLE_S": "0.5",
        "DICOMCAST_FHIR__URL": fhir.base_url,
        "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": dicom.dicomweb_url,
        "DICOMCAST_KAFKA__CLIENT_ID": "consumer-1",
        "DICOMCAST_WEB__LISTEN": "127.0.0.1:0",
        "DICOMCAST_WEB__SAMPLE_EVERY_S": "0.5",
    }


def _address(consumer: Running) -> str:
    consumer.wait_for("http.listening")
    found = re.search(r"address=\"?(127\.0\.0\.1:\d+)", consumer.text)
    assert found, consumer.text
    return f"http://{found[1]}"


def printed(page: Running) -> str:
    """The address that the process says it serves."""
    page.wait_for("http://127.0.0.1:")
    found = re.search(r"http://127\.0\.0\.1:\d+", page.text)
    assert found, page.text
    return found[0]
