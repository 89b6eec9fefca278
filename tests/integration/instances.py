"""Real CT instances for a DICOM server with STOW-RS."""

import io

import httpx
import pydicom
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

__all__ = ["store_instances"]


def store_instances(base_url: str, *, study: str, count: int, patient_id: str = "P1") -> set[str]:
    """Stores new instances of a study; returns their SOP Instance UIDs."""
    data_set = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    data_set.StudyInstanceUID, data_set.PatientID = study, patient_id
    data_set.SeriesInstanceUID = generate_uid()
    stored: set[str] = set()
    parts: list[bytes] = []
    for number in range(1, count + 1):
        data_set.InstanceNumber = number
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        stored.add(str(data_set.SOPInstanceUID))
        file = io.BytesIO()
        data_set.save_as(file)
        parts.append(b"--part\r\nContent-Type: application/dicom\r\n\r\n" + file.getvalue() + b"\r\n")
    response = httpx.post(
        f"{base_url}/v2/studies",
        content=b"".join(parts) + b"--part--\r\n",
        headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=part'},
        timeout=60,
    )
    response.raise_for_status()
    return stored
