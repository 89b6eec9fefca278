"""StudyID (0020,0010) among the identifiers of an ImagingStudy."""

from .as_of import digest
from .identity import DICOM_UID_SYSTEM, Resource
from .marks import Marks
from .values import Mark

__all__ = ["merge_study_id"]

_TYPE = "Study ID"


def merge_study_id(study: Resource, value: str, mark: Mark, marks: Marks) -> None:
    """Put it right after the Study Instance UID, or in the place of the one that was ours and is older."""
    entry = {"type": {"text": _TYPE}, "value": value}
    identifiers = list(study.get("identifier") or ())
    place = next((i for i, known in enumerate(identifiers) if (known.get("type") or {}).get("text") == _TYPE), None)
    if place is None:
        identifiers.insert(_after_uid(identifiers), entry)
    elif identifiers[place] != entry:
        name = f"study-id/{digest(identifiers[place])}"
        if marks.get(name) is None or marks.is_older(mark, name):
            return
        marks.drop(name)
        identifiers[place] = entry
    study["identifier"] = identifiers
    marks.take(f"study-id/{digest(entry)}", mark)


def _after_uid(identifiers: list[Resource]) -> int:
    return next((i + 1 for i, known in enumerate(identifiers) if known.get("system") == DICOM_UID_SYSTEM), 0)
