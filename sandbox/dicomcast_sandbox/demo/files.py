"""The DICOM files of the demo: real ones that come with pydicom, made new studies of new patients for this run."""

import uuid
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import pydicom
from dicomcast_runtime.errors import ConfigurationError
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import UID

__all__ = ["DemoFiles", "DicomFile", "demo_files"]

_CR: Final = ("77654033/CR1/6154", "77654033/CR2/6247", "77654033/CR3/6278")
_CT: Final = ("98892001/CT5N/2062", "98892001/CT5N/2392", "98892001/CT5N/2693", "98892001/CT5N/3023")
_CT_ADDED: Final = ("98892001/CT5N/3353", "98892001/CT2N/6293", "98892001/CT2N/6924")
_MR: Final = ("98892003/MR1/4919", "98892003/MR2/4950", "98892003/MR2/4981", "98892003/MR2/5011")
_RT: Final = ("rtplan.dcm",)
_SR: Final = ("reportsi.dcm",)
_WITHOUT_PATIENT_ID: Final = "test-SR.dcm"
_PS3_10_OWN: Final = "1.2.840.10008."


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFile:
    """One file (PS3.10) and what it is called."""

    source: str
    modality: str
    study: str
    series: str
    instance: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFiles:
    """What each step stores."""

    first: tuple[DicomFile, ...]
    added: tuple[DicomFile, ...]
    """More of one study of `first`."""
    without_patient_id: DicomFile

    @property
    def deleted(self) -> DicomFile:
        """The instance of `first` that is deleted: not the only one of its study, and not of the study of `added`."""
        return next(one for one in self.first if one.modality == "MR")


def demo_files(run: str) -> DemoFiles:
    """The files with UIDs and patients of this run alone. Raises ConfigurationError when pydicom came without them."""
    first = [*_CR, *_CT, *_MR, *_RT, *_SR]
    return DemoFiles(
        first=tuple(_renewed(name, run) for name in first),
        added=tuple(_renewed(name, run) for name in _CT_ADDED),
        without_patient_id=_renewed(_WITHOUT_PATIENT_ID, run, patient=False),
    )


def studies(files: Iterable[DicomFile]) -> tuple[str, ...]:
    """Their Study Instance UIDs in order of appearance."""
    return tuple(dict.fromkeys(one.study for one in files))


def modalities(files: Iterable[DicomFile]) -> tuple[str, ...]:
    """Their modalities in order of appearance."""
    return tuple(dict.fromkeys(one.modality for one in files))


def _renewed(name: str, run: str, *, patient: bool = True) -> DicomFile:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old files break rules of VRs; that is what a line must live with
        data_set = pydicom.dcmread(_path(name))
        data_set.walk(lambda owner, element: _renew_uids(owner, element.tag, run))
        data_set.file_meta.MediaStorageSOPInstanceUID = data_set.SOPInstanceUID
        if patient:
            data_set.PatientID = f"{run}-{data_set.get('PatientID') or 'SR'}"
        buffer = BytesIO()
        data_set.save_as(buffer)
    return DicomFile(
        source=name,
        modality=str(data_set.Modality),
        study=str(data_set.StudyInstanceUID),
        series=str(data_set.SeriesInstanceUID),
        instance=str(data_set.SOPInstanceUID),
        content=buffer.getvalue(),
    )


def _renew_uids(owner: Dataset, tag: int, run: str) -> None:
    element = owner[tag]
    if element.VR != "UI" or not element.value:
        return
    values = element.value if isinstance(element.value, Sequence) and not isinstance(element.value, str) else None
    element.value = _new(element.value, run) if values is None else [_new(value, run) for value in values]


def _new(uid: str, run: str) -> UID:
    """Another UID of the same thing in this run (PS3.5 B.2); what DICOM itself has defined stays."""
    if uid.startswith(_PS3_10_OWN):
        return UID(uid)
    return UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{run}/{uid}').int}")


def _path(name: str) -> Path:
    folder = "" if name.endswith(".dcm") else "dicomdirtests/"
    found = get_testdata_file(f"{folder}{name}", download=False)
    if not isinstance(found, str):
        raise ConfigurationError(f"this installation of pydicom has no test file {name}: install it from its wheel")
    return Path(found)
