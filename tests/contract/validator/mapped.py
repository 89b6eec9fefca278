"""Real DICOM, mapped: pydicom's own test files as events, and what a run over them writes to an empty FHIR server."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pydicom
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.map_input import read_input
from dicomcast_consumer.map_input_place import InputEvent
from dicomcast_consumer.mapping import InstanceChange, MappingOptions, SourceProfile, read_event
from dicomcast_consumer.plan import FhirState, StudyWork, plan_studies
from dicomcast_schemas import DicomChangeEvent

__all__ = ["FILES", "MAPPED", "Mapped", "map_events", "pydicom_events"]

FILES = Path(pydicom.__file__).parent / "data"
"""test_files and charset_files of pydicom's wheel."""
MAPPED = (
    *("StudyDate", "StudyTime", "SeriesDate", "SeriesTime", "TimezoneOffsetFromUTC", "AccessionNumber", "Modality"),
    *("IssuerOfAccessionNumberSequence", "ReferringPhysicianName", "ReferringPhysicianIdentificationSequence"),
    *("StudyDescription", "SeriesDescription", "PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("ProcedureCodeSequence", "RequestedProcedureDescription", "RequestAttributesSequence", "AnatomicRegionSequence"),
    *("ReasonForTheRequestedProcedure", "ReasonForRequestedProcedureCodeSequence", "BodyPartExamined"),
    *("ReasonForPerformedProcedureCodeSequence", "SeriesNumber", "InstanceNumber", "Laterality", "ImageLaterality"),
    *("ConceptNameCodeSequence", "DocumentTitle", "SOPClassUID"),
)
"""Attributes of a data set that become a part of a resource."""

_NOTHING = FhirState(studies={}, patients={}, by_reference={}, endpoints={})


@dataclass(slots=True)
class Mapped:
    """What came of events."""

    resources: list[dict[str, Any]] = field(default_factory=list)
    changes: list[InstanceChange] = field(default_factory=list)
    rejected: list[str] = field(default_factory=list)
    """Codes."""


@lru_cache(maxsize=1)
def pydicom_events() -> tuple[DicomChangeEvent, ...]:
    """Every file that holds an instance, as the event of its store."""
    return tuple(item.event for item in read_input([str(FILES)], feed="pacs") if isinstance(item, InputEvent))


def map_events(events: Iterable[DicomChangeEvent], options: MappingOptions, profile: SourceProfile) -> Mapped:
    """Maps and plans as a run does, to an empty FHIR server. Whatever is raised but RejectedError is a defect."""
    mapped = Mapped()
    by_study: dict[str, list[InstanceChange]] = {}
    for event in events:
        try:
            change = read_event(event, profile=profile, options=options)
        except RejectedError as error:
            mapped.rejected.append(error.code)
            continue
        mapped.changes.append(change)
        by_study.setdefault(change.study_instance_uid, []).append(change)
    works = [
        StudyWork(study_instance_uid=uid, profile=profile, changes=tuple(changes)) for uid, changes in by_study.items()
    ]
    plan = plan_studies(works, _NOTHING, options=options)
    mapped.rejected += [rejection.error.code for rejection in plan.rejections]
    mapped.resources = [entry.resource for entry in plan.entries]
    return mapped
