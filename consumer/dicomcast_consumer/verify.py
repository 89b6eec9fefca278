"""What a DICOM server and a FHIR server have of a study, held against each other. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .mapping import Resource
from .mapping.unlisted import digest, digests
from .qido import Place

__all__ = ["Finding", "Kind", "StudyVerdict", "compare"]

Kind = str
"""`missing` in FHIR · `extra` in FHIR · `different` · `ambiguous`: several resources have the identifier."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be."""

    kind: Kind
    place: Place | None = None
    """Of the instance, without its own UID where FHIR has only a digest of it; None for the study as a whole."""
    element: str | None = None
    """For `different`: which element."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyVerdict:
    """The outcome for one study."""

    study_instance_uid: str
    on_dicom: int
    """Instances on the DICOM server."""
    on_fhir: int
    """Instances in the ImagingStudy."""
    findings: tuple[Finding, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.findings

    def but_for(self, elements: Iterable[str]) -> "StudyVerdict":
        """The verdict with these elements found to be different as well."""
        found = tuple(Finding("different", element=element) for element in sorted(elements))
        return replace(self, findings=(*self.findings, *found))

    def of(self, kind: Kind) -> tuple[Finding, ...]:
        """The findings of one kind."""
        return tuple(finding for finding in self.findings if finding.kind == kind)

    def document(self) -> dict[str, Any]:
        """For the report: UIDs and counts, no patient's value."""
        return {
            "studyInstanceUid": self.study_instance_uid,
            "instancesOnDicomServer": self.on_dicom,
            "instancesInFhir": self.on_fhir,
            "findings": [_document(finding) for finding in self.findings],
        }


def compare(study_instance_uid: str, dicom: Iterable[Place], found: tuple[Resource, ...]) -> StudyVerdict:
    """The instances of the DICOM server against those of the ImagingStudy resources with the study's identifier."""
    here = frozenset(dicom)
    entries = [entry for study in found for entry in _entries(study)]
    findings = (Finding("ambiguous"),) if len(found) > 1 else tuple(_differences(here, found, entries))
    return StudyVerdict(
        study_instance_uid=study_instance_uid, on_dicom=len(here), on_fhir=len(dict(entries)), findings=findings
    )


_Entry = tuple[Place, Place]
"""Of an instance that an ImagingStudy has: its series with the digest of its UID, and its place.

Where the study has only the digest (`instances=none`) the place is without the SOP Instance UID.
"""


def _entries(study: Resource) -> Iterator[_Entry]:
    for series in study.get("series") or ():
        uid = str(series.get("uid", ""))
        for instance in series.get("instance") or ():
            place = uid, str(instance.get("uid", ""))
            yield _named(place), place
        for name in digests(series):
            yield (uid, name), (uid, "")


def _named(place: Place) -> Place:
    return place[0], digest(place[1])


def _differences(here: frozenset[Place], found: tuple[Resource, ...], entries: list[_Entry]) -> Iterator[Finding]:
    if here and not found:
        yield Finding("missing")
        return
    if found and not here and entries:
        yield Finding("extra")
        return
    on_dicom, on_fhir = {_named(place): place for place in here}, dict(entries)
    for place in sorted(place for name, place in on_dicom.items() if name not in on_fhir):
        yield Finding("missing", place)
    for place in sorted(place for name, place in on_fhir.items() if name not in on_dicom):
        yield Finding("extra", place)
    for name in sorted(name for name, times in Counter(name for name, _ in entries).items() if times > 1):
        yield Finding("different", on_dicom.get(name) or on_fhir[name], "series.instance")
    study = found[0] if found else {}
    counts = {"numberOfInstances": len(entries), "numberOfSeries": len(study.get("series") or ())}
    for element, count in counts.items():
        if element in study and study[element] != count:
            yield Finding("different", element=element)


def _document(finding: Finding) -> dict[str, str]:
    document = {"kind": finding.kind}
    if finding.place is not None:
        document["seriesInstanceUid"] = finding.place[0]
        if finding.place[1]:
            document["sopInstanceUid"] = finding.place[1]
    if finding.element is not None:
        document["element"] = finding.element
    return document
