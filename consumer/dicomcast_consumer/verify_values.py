"""The values of a study in FHIR against what data sets of the DICOM server say of it. Pure.

Compared are the subject, description, started and the accession number, as the mapping reads them. A study's instances
may say different things, and FHIR has one of them: so a value is wrong only when none of the instances bears it out.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from .mapping import PatientIdentifier, Resource, is_ours
from .mapping.dates import is_refinement
from .mapping.notes import NOTE_ID
from .mapping.values import StudyValues

__all__ = ["SUBJECT", "Held", "Said", "bears_out", "doubts"]

SUBJECT: Final = "subject"
_ELEMENTS: Final = ("description", "identifier", "started", SUBJECT)
_DATE: Final = len("2024-01-31")


@dataclass(frozen=True, slots=True)
class Held:
    """What FHIR has."""

    study: Resource
    """The ImagingStudy."""
    subject: Resource | None = None
    """The Patient that it refers to; None where there is none on this server."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a data set says."""

    study: StudyValues
    patient: PatientIdentifier | None = None


def doubts(held: Held, said: Said) -> frozenset[str]:
    """The elements for which the data set says something that FHIR does not."""
    return frozenset(name for name in _ELEMENTS if _agrees(held, said, name) is False)


def bears_out(held: Held, said: Said) -> frozenset[str]:
    """The elements for which the data set says what FHIR says."""
    return frozenset(name for name in _ELEMENTS if _agrees(held, said, name) is True)


def _agrees(held: Held, said: Said, name: str) -> bool | None:
    """None when the data set says nothing of it, or when another system's value is not ours to replace."""
    if name != SUBJECT:
        return _value_agrees(held.study, said.study, name)
    if said.patient is None:
        return None
    return held.subject is not None and said.patient.names(held.subject.get("identifier") or ())


def _value_agrees(study: Resource, said: StudyValues, name: str) -> bool | None:
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
