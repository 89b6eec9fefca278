"""What to write for the studies of a group, given what FHIR has of them. Pure.

The plan is one transaction's entries: each Endpoint, each Patient, each study at most once; none for what is as it
should be. What is rejected of one study does not touch the others.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .bundle import Entry, create, placeholder, update
from .errors import RejectedError
from .mapping import (
    InstanceChange,
    Kind,
    MappingOptions,
    Mark,
    Outcome,
    PatientIdentifier,
    PatientValues,
    SettledPatient,
    Settlement,
    SourceProfile,
    StudyMerge,
    dose_tokens,
    doses_to_delete,
    endpoint_resource,
    endpoint_token,
    fold,
    merge_dose,
    merge_patient,
    merge_study,
    patient_identifiers,
    settle,
    study_token,
)
from .mapping.identity import Resource

__all__ = ["FhirState", "Plan", "Rejection", "StudyWork", "plan_studies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyWork:
    """Changes of one study, in partition order."""

    study_instance_uid: str
    profile: SourceProfile
    changes: tuple[InstanceChange, ...]

    @property
    def patients(self) -> tuple[PatientIdentifier, ...]:
        """The patients they name."""
        return patient_identifiers(self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirState:
    """What one attempt has read."""

    studies: Mapping[str, tuple[Resource, ...]]
    """By Study Instance UID: the ImagingStudy resources with its identifier."""
    patients: Mapping[str, tuple[Resource, ...]]
    """By search token."""
    by_reference: Mapping[str, Resource]
    """Patients by `Patient/<id>`, the subjects of the studies among them; of one merged away the one in its place."""
    endpoints: Mapping[str, Resource | None]
    """By address."""
    observations: Mapping[str, tuple[Resource, ...]] = field(default_factory=dict)
    """By Study Instance UID: the dose Observations, where they are mapped."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A change that will never be accepted as it is."""

    change: InstanceChange
    error: RejectedError


@dataclass(slots=True)
class Plan:
    """What to write."""

    entries: list[Entry] = field(default_factory=list)
    deletions: list[str] = field(default_factory=list)
    """Ids of the studies to delete once the transaction has left them without series."""
    removals: list[str] = field(default_factory=list)
    """References of the dose Observations to delete before these, each after what refers to it."""
    rejections: list[Rejection] = field(default_factory=list)
    reports: Counter[str] = field(default_factory=Counter)
    """How many studies or Patients a person should look at, by reason."""

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.entries or self.deletions or self.removals)


def plan_studies(works: Sequence[StudyWork], state: FhirState, *, options: MappingOptions) -> Plan:
    """The plan for all works together. Rejections of single changes are in it; nothing is raised for them."""
    refused: dict[int, Rejection] = {}
    while True:
        known = len(refused)
        plan = _Round(state, options, refused).plan(works)
        if len(refused) == known:
            plan.rejections = list(refused.values())
            return plan


@dataclass(slots=True)
class _Patient:
    """One Patient that studies of the group belong to."""

    identifier: PatientIdentifier
    existing: Resource | None
    values: list[tuple[Mark, PatientValues]] = field(default_factory=list)
    carriers: list[InstanceChange] = field(default_factory=list)


class _Round:
    """One pass over all works; what it newly refuses makes another one necessary, without these changes."""

    def __init__(self, state: FhirState, options: MappingOptions, refused: dict[int, Rejection]) -> None:
        self._state = state
        self._options = options
        self._refused = refused
        self._plan = Plan()
        self._patients: dict[str, _Patient] = {}
        self._addresses: set[str] = set()

    def plan(self, works: Sequence[StudyWork]) -> Plan:
        """The plan, complete unless something was newly refused."""
        studies = [entry for work in works for entry in self._study(work)]
        patients = [entry for reference in sorted(self._patients) for entry in self._patient(self._patients[reference])]
        endpoints = [create(endpoint_resource(address), endpoint_token(address)) for address in sorted(self._addresses)]
        self._plan.entries = [*endpoints, *patients, *studies]
        return self._plan

    def _study(self, work: StudyWork) -> list[Entry]:
        found = self._state.studies.get(work.study_instance_uid, ())
        changes = [change for change in work.changes if id(change) not in self._refused]
        if len(found) > 1:
            text = f"{len(found)} ImagingStudy resources have the identifier of this study: keep one"
            self._refuse(changes, RejectedError("fhir", "fhir.multiple_matches", text))
            return []
        changes = self._without_ambiguous(changes)
        return self._merged(work, found[0] if found else None, changes) if changes else []

    def _without_ambiguous(self, changes: list[InstanceChange]) -> list[InstanceChange]:
        kept: list[InstanceChange] = []
        for change in changes:
            if change.patient and len(self._state.patients.get(change.patient.identifier.token, ())) > 1:
                text = "several Patients have this identifier: merge them, or set the system that tells them apart"
                self._refuse([change], RejectedError("fhir", "fhir.multiple_matches", text))
            else:
                kept.append(change)
        return kept

    def _merged(self, work: StudyWork, existing: Resource | None, changes: list[InstanceChange]) -> list[Entry]:
        settlement = settle(
            existing,
            fold(changes),
            current_patient=self._state.by_reference.get(_subject(existing)),
            patients={token: found[0] for token, found in self._state.patients.items() if found},
            profile=work.profile,
            options=self._options,
        )
        try:
            merge = merge_study(
                existing,
                settlement,
                study_instance_uid=work.study_instance_uid,
                subject=_patient_reference(settlement.subject) if settlement.subject else None,
                endpoint=self._endpoint_reference(work.profile.dicomweb_url),
                profile=work.profile,
                options=self._options,
            )
        except RejectedError as error:
            self._refuse((change for change in changes if change.kind is Kind.UPSERT), error)
            return []
        for change, refusal in merge.rejected:
            self._refuse([change], refusal)
        self._plan.reports.update(merge.report)
        for patient in settlement.patients:
            self._note_patient(patient)
        return [*self._study_entries(work, merge), *self._dose_entries(work, settlement, merge)]

    def _note_patient(self, settled: SettledPatient) -> None:
        patient = self._patients.setdefault(_patient_reference(settled), _Patient(settled.identifier, settled.patient))
        patient.values += settled.values
        patient.carriers += settled.changes

    def _study_entries(self, work: StudyWork, merge: StudyMerge) -> list[Entry]:
        resource = merge.resource
        if resource is None or merge.outcome in (Outcome.UNCHANGED, Outcome.NOTHING):
            return []
        if merge.outcome is Outcome.EMPTY:
            self._plan.deletions.append(resource["id"])
            return [update(resource)]
        self._note_endpoint(work, resource)
        if merge.outcome is Outcome.CREATE:
            return [create(resource, study_token(work.study_instance_uid))]
        return [update(resource)]

    def _dose_entries(self, work: StudyWork, settlement: Settlement, merge: StudyMerge) -> list[Entry]:
        if self._options.observations != "dose":
            return []
        uid = work.study_instance_uid
        known = self._state.observations.get(uid, ())
        if merge.outcome is Outcome.EMPTY:
            self._plan.removals += doses_to_delete(known)
            return []
        study = merge.resource or {}
        dose = merge_dose(
            known,
            settlement.runs,
            study_instance_uid=uid,
            study=f"ImagingStudy/{study['id']}" if "id" in study else placeholder("ImagingStudy", study_token(uid)),
            subject=study.get("subject"),
            new_reference=lambda of: placeholder("Observation", *dose_tokens(of, uid)),
            source=work.profile.dicomweb_url,
        )
        self._plan.reports.update(dose.report)
        self._plan.removals += doses_to_delete(dose.removed)
        created = [create(resource, *dose_tokens(of, uid)) for of, resource in dose.created]
        return [*created, *(update(resource) for resource in dose.changed)]

    def _note_endpoint(self, work: StudyWork, resource: Resource) -> None:
        address = work.profile.dicomweb_url
        references = [endpoint.get("reference") for endpoint in resource.get("endpoint") or ()]
        if self._state.endpoints.get(address) is None and self._endpoint_reference(address) in references:
            self._addresses.add(address)

    def _patient(self, patient: _Patient) -> list[Entry]:
        values = sorted(patient.values, key=lambda pair: (pair[0].timestamp, pair[0].sequence))
        try:
            merge = merge_patient(patient.existing, values, options=self._options)
        except RejectedError as error:
            self._refuse(patient.carriers, error)
            return []
        self._plan.reports.update(merge.report)
        if patient.existing is None:
            return [create(merge.resource, patient.identifier.token)]
        return [update(merge.resource)] if merge.changed else []

    def _refuse(self, changes: Iterable[InstanceChange], error: RejectedError) -> None:
        for change in changes:
            self._refused.setdefault(id(change), Rejection(change, error))

    def _endpoint_reference(self, address: str) -> str:
        found = self._state.endpoints.get(address)
        return f"Endpoint/{found['id']}" if found else placeholder("Endpoint", endpoint_token(address))


def _patient_reference(settled: SettledPatient) -> str:
    if settled.patient is not None:
        return f"Patient/{settled.patient['id']}"
    return placeholder("Patient", settled.identifier.token)


def _subject(study: Resource | None) -> str:
    return str(((study or {}).get("subject") or {}).get("reference", ""))
