"""What mapping tests stand on: data sets by keyword, events, and a FHIR store merged into as the consumer does."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from dicomcast_consumer import exact_json
from dicomcast_consumer.mapping import (
    InstanceChange,
    MappingOptions,
    Outcome,
    PatientMerge,
    Resource,
    Settlement,
    SourceProfile,
    StudyMerge,
    fold,
    merge_dose,
    merge_patient,
    merge_study,
    read_event,
    settle,
    without_marks,
)
from dicomcast_schemas import Action, DicomChangeEvent, State
from pydicom.datadict import dictionary_VR, tag_for_keyword

URL = "https://dicom.example/dicom-web"
PROFILE = SourceProfile(feed="pacs", dicomweb_url=URL)
OPTIONS = MappingOptions()
STUDY, SERIES, INSTANCE = "1.2.3", "1.2.3.1", "1.2.3.1.1"
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
SCT = "http://snomed.info/sct"
DCM = "http://dicom.nema.org/resources/ontology/DCM"


def attributes(**by_keyword: Any) -> dict[str, Any]:
    """A DICOM JSON data set of keyword=value; None is an attribute without a value, a dict an item of a sequence."""
    found: dict[str, Any] = {}
    for keyword, value in by_keyword.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        vr = dictionary_VR(tag)
        found[f"{tag:08X}"] = {"vr": vr} if value is None else {"vr": vr, "Value": _values(vr, value)}
    return found


def _values(vr: str, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if vr == "SQ":
        return [attributes(**item) for item in values]
    if vr == "PN":
        keys = ("Alphabetic", "Ideographic", "Phonetic")
        return [dict(zip(keys, name.split("="), strict=False)) for name in values]
    return values


def data_set(**by_keyword: Any) -> dict[str, Any]:
    """A CT instance that lacks nothing, with other attributes."""
    usual: dict[str, Any] = {
        "StudyInstanceUID": STUDY,
        "SeriesInstanceUID": SERIES,
        "SOPInstanceUID": INSTANCE,
        "SOPClassUID": CT_CLASS,
        "PatientID": "P1",
        "Modality": "CT",
    }
    return attributes(**{**usual, **by_keyword})


def code(value: str, scheme: str, meaning: str | None = None) -> dict[str, Any]:
    """An item of a code sequence."""
    item = {"CodeValue": value, "CodingSchemeDesignator": scheme, "CodeMeaning": meaning}
    return {keyword: text for keyword, text in item.items() if text is not None}


def event(
    sequence: int = 1,
    *,
    action: Action = Action.CREATE,
    state: State = State.CURRENT,
    metadata: Mapping[str, Any] | str | None = None,
    feed: str = "pacs",
    study: str = STUDY,
    series: str = SERIES,
    instance: str = INSTANCE,
    **by_keyword: Any,
) -> DicomChangeEvent:
    """An event of a CT instance; a Delete has no metadata."""
    if metadata is None and action is not Action.DELETE:
        uids = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "SOPInstanceUID": instance}
        metadata = data_set(**{**uids, **by_keyword})
    return DicomChangeEvent(
        feed=feed,
        sequence=sequence,
        partition_name=None,
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=instance,
        action=action,
        state=state,
        timestamp=datetime(2024, 5, 1, tzinfo=UTC) + timedelta(seconds=sequence),
        file_path=None,
        metadata=json.dumps(metadata) if isinstance(metadata, dict) else metadata,  # type: ignore[arg-type]
    )


def change(
    sequence: int = 1, *, options: MappingOptions = OPTIONS, profile: SourceProfile = PROFILE, **rest: Any
) -> InstanceChange:
    """The event, read."""
    return read_event(event(sequence, **rest), profile=profile, options=options)


def omissions(found: InstanceChange) -> set[tuple[str, str]]:
    """What was left out and why."""
    return {(omission.attribute, omission.reason) for omission in found.omissions}


def stored(
    options: dict[str, Any] | None = None, profile: SourceProfile = PROFILE, *resources: Resource, **by_keyword: Any
) -> "Scene":
    """A server with these resources, and one instance applied to it; `options` as settings have them."""
    scene = Scene(*resources, options=MappingOptions.model_validate(options or {}), profile=profile)
    scene.send(event(1, **by_keyword))
    return scene


def their_patient(**elements: Any) -> Resource:
    """Somebody else's Patient, with the PatientID of `event`."""
    return {"resourceType": "Patient", "id": "p", "identifier": [{"value": "P1"}], **elements}


def their_study(**elements: Any) -> Resource:
    """Somebody else's study of `their_patient`, with one instance."""
    instance = {"uid": "1.2.3.1.9", "sopClass": {"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2"}}
    return {
        "resourceType": "ImagingStudy",
        "id": "s",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}],
        "status": "available",
        "subject": {"reference": "Patient/p"},
        "series": [{"uid": "1.2.3.1", "modality": {"system": DCM, "code": "CT"}, "instance": [instance]}],
        **elements,
    }


class Scene:
    """A FHIR server with at most one study, kept by the calls that the consumer makes, in their order."""

    def __init__(
        self,
        *resources: Resource,
        options: MappingOptions = OPTIONS,
        profile: SourceProfile = PROFILE,
    ) -> None:
        self.options = options
        self.profile = profile
        self.study: Resource | None = None
        self.patients: dict[str, Resource] = {}
        self.observations: dict[str, Resource] = {}
        """An Observation's id is its UID."""
        self.rejected: list[str] = []
        self.report: list[str] = []
        self.writes = 0
        for resource in resources:
            self.put(resource)

    def put(self, resource: Resource) -> None:
        """Store a resource as somebody else might."""
        stored = exact_json.loads(exact_json.dumps(resource))
        if resource["resourceType"] == "Patient":
            stored.setdefault("id", str(len(self.patients) + 1))
            self.patients[stored["id"]] = stored
        elif resource["resourceType"] == "Observation":
            self.observations[stored["id"]] = stored
        else:
            stored.setdefault("id", "s")
            self.study = stored

    @property
    def imaging_study(self) -> Resource:
        """The study, which must be there."""
        assert self.study is not None
        return self.study

    @property
    def patient(self) -> Resource:
        """The only Patient."""
        (patient,) = self.patients.values()
        return patient

    def send(self, *events: DicomChangeEvent) -> StudyMerge:
        """Apply events as one run."""
        return self.apply([read_event(e, profile=self.profile, options=self.options) for e in events])

    def send_each(self, *events: DicomChangeEvent) -> None:
        """Apply events as a run each."""
        for one in events:
            self.send(one)

    def apply(self, changes: Sequence[InstanceChange]) -> StudyMerge:
        """One run of a study, from what is there to what is written."""
        before = deepcopy((self.study, self.patients))
        settlement = settle(
            self.study,
            fold(changes),
            current_patient=self.patients.get(self._subject().removeprefix("Patient/")),
            patients=self._found(changes),
            profile=self.profile,
            options=self.options,
        )
        subject = None
        merges = [merge_patient(told.patient, told.values, options=self.options) for told in settlement.patients]
        assert (self.study, self.patients) == before, "the mapping altered what it was given"
        for told, merged in zip(settlement.patients, merges, strict=True):
            reference = f"Patient/{self._store_patient(merged)}"
            subject = reference if told is settlement.subject else subject
        merge = merge_study(
            self.study,
            settlement,
            study_instance_uid=changes[0].study_instance_uid,
            subject=subject,
            endpoint="Endpoint/1",
            profile=self.profile,
            options=self.options,
        )
        assert self.study == before[0], "the mapping altered what it was given"
        self.rejected += [error.code for _, error in merge.rejected]
        self.report += merge.report
        self._store_study(merge)
        if self.options.observations == "dose":
            self._merge_dose(settlement, merge, changes[0].study_instance_uid)
        return merge

    def _merge_dose(self, settlement: Settlement, merge: StudyMerge, study_instance_uid: str) -> None:
        if merge.outcome is Outcome.EMPTY:
            self.writes += len(self.observations)
            self.observations.clear()
            return
        before = deepcopy(self.observations)
        dose = merge_dose(
            list(self.observations.values()),
            settlement.runs,
            study_instance_uid=study_instance_uid,
            study="ImagingStudy/s",
            subject=(self.study or {}).get("subject"),
            new_reference=lambda uid: f"Observation/{uid}",
            source=self.profile.dicomweb_url,
        )
        assert self.observations == before, "the mapping altered what it was given"
        self.report += dose.report
        for resource in dose.removed:
            del self.observations[resource["id"]]
        for resource in (*({**made, "id": uid} for uid, made in dose.created), *dose.changed):
            self.put(resource)
        self.writes += len(dose.removed) + len(dose.created) + len(dose.changed)

    def _subject(self) -> str:
        return str(((self.study or {}).get("subject") or {}).get("reference", ""))

    def _found(self, changes: Sequence[InstanceChange]) -> dict[str, Resource]:
        named = {c.patient.identifier.token: c.patient.identifier for c in changes if c.patient}
        return {
            token: patient
            for token, identifier in named.items()
            for patient in self.patients.values()
            if identifier.names(patient.get("identifier", []))
        }

    def _store_patient(self, merged: PatientMerge) -> str:
        self.report += merged.report
        if merged.changed:
            self.writes += 1
            self.put(merged.resource)
        return str(merged.resource.get("id") or len(self.patients))

    def _store_study(self, merge: StudyMerge) -> None:
        if merge.outcome in (Outcome.CREATE, Outcome.UPDATE):
            assert merge.resource is not None
            self.put(merge.resource)
            self.writes += 1
        elif merge.outcome is Outcome.EMPTY:
            self.study = None
            self.writes += 1

    def series(self, number: int = 0) -> Resource:
        """One series of the study."""
        assert self.study is not None
        series: Resource = self.study["series"][number]
        return series

    def content(self) -> str:
        """Study, Patients and Observations as text, without ids, marks and the rest of meta."""
        resources = [
            self.study,
            *self.patients.values(),
            *(self.observations[uid] for uid in sorted(self.observations)),
        ]
        bare = [{k: v for k, v in without_marks(r).items() if k not in ("meta", "id")} for r in resources if r]
        return exact_json.dumps(bare).decode()
