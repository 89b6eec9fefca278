"""Real DICOM files (those that come with pydicom) under UIDs of a test's own."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import UID, generate_uid

__all__ = ["DicomFile", "dicom_file", "new_uid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFile:
    """A PS3.10 file and the UIDs in it."""

    content: bytes
    study: str
    series: str
    sop: str

    @property
    def uids(self) -> tuple[str, str, str]:
        return self.study, self.series, self.sop


def new_uid() -> str:
    return str(generate_uid())


def dicom_file(
    name: str = "CT_small.dcm",
    *,
    study: str | None = None,
    series: str | None = None,
    sop: str | None = None,
    **attributes: object,
) -> DicomFile:
    """The file `name` with new UIDs where none are given and with other attributes (by keyword); None removes one."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str), f"{name} does not come with pydicom"
    data_set = dcmread(path)
    study, series, sop = (given or new_uid() for given in (study, series, sop))
    data_set.StudyInstanceUID, data_set.SeriesInstanceUID, data_set.SOPInstanceUID = study, series, sop
    data_set.file_meta.MediaStorageSOPInstanceUID = UID(sop)
    for keyword, value in attributes.items():
        if value is None:
            delattr(data_set, keyword)
        else:
            setattr(data_set, keyword, value)
    content = BytesIO()
    data_set.save_as(content)
    return DicomFile(content=content.getvalue(), study=study, series=series, sop=sop)
