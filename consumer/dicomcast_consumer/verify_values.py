"""The values of a study in FHIR against what data sets of the DICOM server say of it. Pure.

Compared are description, started and the accession number, as the mapping reads them. A study's instances may say
different things, and FHIR has one of them: so a value is wrong only when none of the instances bears it out.
"""

from datetime import datetime
from typing import Final

from .mapping import Resource, is_ours
from .mapping.dates import is_refinement
from .mapping.notes import NOTE_ID
from .mapping.values import StudyValues

__all__ = ["bears_out", "doubts"]

_ELEMENTS: Final = ("description", "identifier", "started")
_DATE: Final = len("2024-01-31")


def doubts(study: Resource, said: StudyValues) -> frozenset[str]:
    """The elements for which the data set says something that the ImagingStudy does not."""
    return frozenset(name for name in _ELEMENTS if _agrees(study, said, name) is False)


def bears_out(study: Resource, said: StudyValues) -> frozenset[str]:
    """The elements for which the data set says what the ImagingStudy says."""
    return frozenset(name for name in _ELEMENTS if _agrees(study, said, name) is True)


def _agrees(study: Resource, said: StudyValues, name: str) -> bool | None:
    """None when the data set says nothing of it, or when another system's value is not ours to replace."""
    if name == "description":
        return None if said.description is None else said.description in _descriptions(study)
    if name == "identifier":
        return None if said.accession is None else said.accession.value in _identifiers(study)
    if said.started is None or not is_ours(study):
        return None
    return _is_same_moment(str(study.get("started", "")), said.started)


def _descriptions(study: Resource) -> set[object]:
    """Where somebody else has described the study, our note has what DICOM says."""
    return {study.get("description"), *(n.get("text") for n in study.get("note") or () if n.get("id") == NOTE_ID)}


def _identifiers(study: Resource) -> set[object]:
    return {identifier.get("value") for identifier in study.get("identifier") or ()}


def _is_same_moment(one: str, other: str) -> bool:
    """Equal, or one is the day of the other; servers may write an instant with another offset."""
    if one == other or is_refinement(one, other) or is_refinement(other, one):
        return True
    if len(one) <= _DATE or len(other) <= _DATE:
        return False
    try:
        return datetime.fromisoformat(one) == datetime.fromisoformat(other)
    except ValueError:
        return False
