"""Every DICOM file that comes with pydicom: valid resources, or a rejection with a name."""

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import MappingOptions, Outcome, read_event, validate_new
from dicomcast_schemas import DicomChangeEvent
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from tests.unit.mapping.scene import PROFILE, Scene, event

FOLDER = Path(pydicom.__file__).parent / "data"
BULK = ("OB", "OD", "OF", "OL", "OV", "OW", "UN")
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
PLACEHOLDER = MappingOptions(missing_patient_id="placeholder")


def _bare(data_set: Dataset) -> Dataset:
    """As a change feed has it: without bulk values."""
    kept = Dataset()
    for element in data_set:
        if element.VR not in BULK and not element.tag.is_private:
            kept.add(element)
    return kept


def _events() -> Iterator[tuple[str, DicomChangeEvent]]:
    for path in sorted(FOLDER.rglob("*")):
        if not path.is_file() or path.suffix == ".py":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the files are odd on purpose
            try:
                data_set = pydicom.dcmread(path, stop_before_pixels=True)
            except (InvalidDicomError, EOFError, AttributeError, NotImplementedError):
                continue
            if not all(data_set.get(uid) for uid in UIDS):
                continue
            metadata = _bare(data_set).to_json(suppress_invalid_tags=True)
        study, series, instance = (str(data_set[uid].value) for uid in UIDS)
        yield path.name, event(metadata=metadata, study=study, series=series, instance=instance)


EVENTS = list(_events())


@pytest.mark.parametrize("one", [one for _, one in EVENTS], ids=[name for name, _ in EVENTS])
def test_file(one: DicomChangeEvent) -> None:
    scene = Scene(options=PLACEHOLDER)
    assert scene.send(one).outcome is Outcome.CREATE
    assert scene.study is not None
    validate_new(scene.study)
    validate_new(scene.patient)
    assert scene.send(one).outcome is Outcome.UNCHANGED


def test_what_is_rejected_is_what_has_no_patient_id() -> None:
    codes: Counter[str] = Counter()
    for _, one in EVENTS:
        try:
            read_event(one, profile=PROFILE, options=MappingOptions())
        except RejectedError as error:
            codes[error.code] += 1
    assert len(EVENTS) > 100
    assert codes.keys() == {"map.patient_id_missing"}
