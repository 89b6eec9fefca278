"""`POST /v2/studies/$bulkUpdate`: patient and study attributes of whole studies change at once."""

from __future__ import annotations

import json

from dicomcast_sandbox.dicom.instance import DataSet
from dicomcast_sandbox.dicom.store import Store

MAX_STUDIES = 50
CHANGEABLE = frozenset(
    {
        "00080050",  # AccessionNumber
        "00080090",  # ReferringPhysicianName
        "00081030",  # StudyDescription
        "00100010",  # PatientName
        "00100020",  # PatientID
        "00100021",  # IssuerOfPatientID
        "00100030",  # PatientBirthDate
        "00100040",  # PatientSex
        "00101010",  # PatientAge
        "00101020",  # PatientSize
        "00101030",  # PatientWeight
    }
)


class BadUpdateError(Exception):
    """Answered with 400 and this text."""


def bulk_update(store: Store, body: bytes) -> int:
    """Applies `{"studyInstanceUids": [...], "changeDataset": {tag: attribute}}`; returns how many instances changed."""
    try:
        asked = json.loads(body)
    except ValueError:
        raise BadUpdateError("The request body is not JSON.") from None
    studies = asked.get("studyInstanceUids") if isinstance(asked, dict) else None
    changes = asked.get("changeDataset") if isinstance(asked, dict) else None
    if not isinstance(studies, list) or not 1 <= len(studies) <= MAX_STUDIES:
        raise BadUpdateError(f"studyInstanceUids must name 1 to {MAX_STUDIES} studies.")
    if not isinstance(changes, dict) or not changes:
        raise BadUpdateError("changeDataset must hold at least one attribute.")
    return store.update([str(study) for study in studies], _checked(changes))


def _checked(changes: DataSet) -> DataSet:
    for tag, attribute in changes.items():
        if tag not in CHANGEABLE:
            raise BadUpdateError(f"The attribute {tag[:8]} cannot be changed by an update.")
        if not isinstance(attribute, dict) or not attribute.get("Value"):
            raise BadUpdateError(f"The attribute {tag} has no value; an update cannot empty one.")
    return changes
