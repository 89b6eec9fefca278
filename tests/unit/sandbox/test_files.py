"""The files of the demo: real ones, made this run's own."""

from io import BytesIO

import pydicom
import pytest
from dicomcast_sandbox.demo.files import DicomFile, demo_files, modalities, studies
from pydicom.dataset import FileDataset
from pydicom.uid import UID


def _read(file: DicomFile) -> FileDataset:
    return pydicom.dcmread(BytesIO(file.content))


@pytest.fixture(scope="module")
def every_file() -> list[DicomFile]:
    files = demo_files("run1")
    return [*files.first, *files.added, files.without_patient_id]


def test_several_modalities_in_distinct_studies() -> None:
    files = demo_files("run1")
    assert {"CR", "CT", "MR", "RTPLAN", "SR"} == set(modalities(files.first))
    assert len(studies(files.first)) == 5
    assert set(studies(files.added)) < set(studies(files.first))
    assert files.without_patient_id.study not in studies(files.first)
    assert files.deleted.study not in studies(files.added)
    assert sum(one.series == files.deleted.series for one in files.first) == 1


def test_the_uids_are_valid_consistent_and_in_the_content(every_file: list[DicomFile]) -> None:
    assert len({one.instance for one in every_file}) == len(every_file)
    for one in every_file:
        data_set = _read(one)
        assert (data_set.StudyInstanceUID, data_set.SeriesInstanceUID) == (one.study, one.series)
        assert data_set.SOPInstanceUID == one.instance == data_set.file_meta.MediaStorageSOPInstanceUID
        assert all(UID(uid).is_valid for uid in (one.study, one.series, one.instance))
        assert data_set.SOPClassUID.startswith("1.2.840.10008.5.")


def test_two_runs_share_neither_instances_nor_patients(every_file: list[DicomFile]) -> None:
    other = demo_files("run2")
    assert not {one.study for one in every_file} & {one.study for one in other.first}
    assert not {_read(one).PatientID for one in every_file[:-1]} & {_read(one).PatientID for one in other.first}


def test_only_the_last_one_has_no_patient_id(every_file: list[DicomFile]) -> None:
    assert [bool(_read(one).get("PatientID")) for one in every_file] == [True] * (len(every_file) - 1) + [False]
