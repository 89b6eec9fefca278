"""Whose study it is: which Patient the subject is to be, and which instances do not belong to that patient.

An update, or a re-store of an instance that the study has, moves the study to another Patient where the study is ours.
A new instance with another PatientID than the study's does not: it is rejected, or reported. The subject of somebody
else's study stays as it is; where it cannot be compared with DICOM's patient, that is reported.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import msgspec

from ..errors import RejectedError
from ..mapping_options import MappingOptions, SourceProfile
from .fragments import PatientIdentifier
from .identity import DICOM_UID_SYSTEM, Resource, is_ours, same_source
from .marks import Marks
from .unlisted import digest, digests
from .values import InstanceChange, InstanceRun, Kind, Mark, PatientValues, in_order

__all__ = ["Settlement", "patient_identifiers", "settle"]


def patient_identifiers(changes: Iterable[InstanceChange]) -> tuple[PatientIdentifier, ...]:
    """The identifiers that changes name, each once: the Patients to search for before `settle`."""
    named = [change.patient.identifier for change in changes if change.patient]
    return tuple({identifier.token: identifier for identifier in named}.values())


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What `settle` found."""

    runs: tuple[InstanceRun, ...]
    """What is left to apply."""
    identifier: PatientIdentifier | None
    """Whose study it is to be. None: no change says anything about the patient; write none, keep the subject."""
    values: tuple[tuple[Mark, PatientValues], ...]
    """What the changes say of that patient, oldest first; for `merge_patient`."""
    patient: Resource | None
    """The Patient to merge them into; None: make one."""
    keeps_subject: bool
    """The study's subject stays as it is."""
    mark: Mark | None = None
    """The newest event that named this patient."""
    conflict: Mark | None = None
    """The newest event that named another one, was reported, and moved nothing; None: none that is news."""
    rejected: tuple[tuple[InstanceChange, RejectedError], ...] = ()
    report: tuple[str, ...] = ()


def settle(
    existing: Resource | None,
    runs: Sequence[InstanceRun],
    *,
    current_patient: Resource | None,
    patients: Mapping[str, Resource],
    profile: SourceProfile,
    options: MappingOptions,
) -> Settlement:
    """Decide whose the study is.

    `existing` is the ImagingStudy found, `current_patient` the Patient its subject references now, or the one that took
    its place (None: there is none, or it is gone), `patients` the Patients found by the tokens of
    `patient_identifiers`, replaced-by links followed.
    Raises nothing: instances that do not belong are in `rejected`, and an earlier change of theirs stands in.
    """
    case = _Case(existing, current_patient, patients, profile, options)
    accepted = [run for candidate in runs if (run := case.judge(candidate)) is not None]
    changes = in_order(change for run in accepted for change in run.changes)
    said = [(change.mark, change.patient) for change in changes if change.patient and case.is_subject(change.patient)]
    return Settlement(
        runs=tuple(accepted),
        identifier=said[-1][1].identifier if said else None,
        values=tuple(said),
        patient=case.patient(said[-1][1].identifier) if said else None,
        keeps_subject=case.moved_to is None and not case.is_merged_away,
        mark=said[-1][0] if said else None,
        conflict=case.conflict,
        rejected=tuple(case.rejected),
        report=tuple(case.report),
    )


class _Case:
    def __init__(
        self,
        existing: Resource | None,
        current_patient: Resource | None,
        patients: Mapping[str, Resource],
        profile: SourceProfile,
        options: MappingOptions,
    ) -> None:
        self._patients = patients
        self._current = current_patient
        self._rejects = options.patient_conflict == "reject"
        self._movable = existing is None or is_ours(existing) or same_source(existing, profile.dicomweb_url)
        subject = (existing or {}).get("subject") or {}
        self._logical = [subject["identifier"]] if "identifier" in subject else []
        self._reference = str(subject.get("reference") or "")
        self._has_subject = current_patient is not None
        moved = current_patient is not None and self._reference.rpartition("/")[2] != current_patient.get("id")
        self.is_merged_away = moved and self._movable
        self._is_closed = current_patient is None and bool(subject) and (not self._movable or self._is_other_kind())
        self._existing = existing or {}
        self._named: Mark | None = None
        """The newest change so far that named the patient."""
        self.conflict: Mark | None = None
        self.moved_to: PatientIdentifier | None = None
        self.rejected: list[tuple[InstanceChange, RejectedError]] = []
        self.report: list[str] = []

    @cached_property
    def _known(self) -> Marks:
        """The study's marks: asked for only when there is something to decide."""
        return Marks(self._existing)

    @cached_property
    def _listed(self) -> set[str]:
        return {str(one.get("uid")) for series in self._series() for one in series.get("instance") or ()}

    @cached_property
    def _unlisted(self) -> set[str]:
        return {name for series in self._series() for name in digests(series)}

    def _series(self) -> Sequence[Resource]:
        return self._existing.get("series") or ()

    def _is_other_kind(self) -> bool:
        """R4 allows Device and Group as subject: not ours to move."""
        kind = self._reference.rpartition("/")[0].rpartition("/")[2]
        return kind in ("Device", "Group")

    def judge(self, run: InstanceRun) -> InstanceRun | None:
        """The run, without changes that do not belong; None if none is left."""
        candidate: InstanceRun | None = run
        while candidate is not None:
            error = self._verdict(candidate)
            if error is None:
                return candidate
            self.rejected.append((candidate.last, error))
            candidate = candidate.without_last()
        return None

    def _verdict(self, run: InstanceRun) -> RejectedError | None:
        last = run.last
        if last.patient is None:
            return None
        if self.is_subject(last.patient):
            self._take(last.mark)
        elif self._is_closed:
            self._say("patient_unknown")
        elif not self._knows_subject():
            self._move(last.patient.identifier, last.mark)
        elif last.patient.identifier.placeholder:
            return None
        elif self._is_placeholder():
            self._move(last.patient.identifier, last.mark)
        elif self._restores(run) and not self._is_known_conflict(last.mark):
            self._restore(last.patient.identifier, last.mark)
        else:
            return self._conflict(last.mark)
        return None

    def is_subject(self, values: PatientValues) -> bool:
        """Whether this is the patient that the study is of, as far as judged."""
        identifier = values.identifier
        if self.moved_to is not None:
            return identifier.token == self.moved_to.token or self._is_one(identifier, self.moved_to)
        if identifier.names([*((self._current or {}).get("identifier") or ()), *self._logical]):
            return True
        found = self._patients.get(identifier.token)
        if found is None:
            return False
        is_current = self._current is not None and self._current.get("id") == found.get("id")
        return is_current or self._reference.endswith(f"Patient/{found.get('id')}")

    def _is_one(self, identifier: PatientIdentifier, other: PatientIdentifier) -> bool:
        found = [self._patients.get(one.token) for one in (identifier, other)]
        return found[0] is not None and found[1] is not None and found[0].get("id") == found[1].get("id")

    def patient(self, identifier: PatientIdentifier) -> Resource | None:
        """The Patient that is the subject, where there is one; it goes by `identifier` in the changes."""
        if self.moved_to is not None:
            return self._patients.get(self.moved_to.token)
        if self._current is not None:
            return self._current
        return self._patients.get(identifier.token)

    def _knows_subject(self) -> bool:
        return self.moved_to is not None or self._has_subject

    def _is_placeholder(self) -> bool:
        if self.moved_to is not None:
            return self.moved_to.placeholder
        identifiers = (self._current or {}).get("identifier") or ()
        return self._movable and any(i.get("system") == DICOM_UID_SYSTEM for i in identifiers)

    def _restores(self, run: InstanceRun) -> bool:
        """Whether the last change is one of an instance that is there: an update, or a second store."""
        if run.last.is_update:
            return True
        if len(run.changes) > 1:
            return run.changes[-2].kind is Kind.UPSERT
        uid = run.last.sop_instance_uid
        return uid in self._listed or bool(self._unlisted and digest(uid) in self._unlisted)

    def _take(self, mark: Mark) -> None:
        self._named = _newer(mark, self._named)

    def _mark(self) -> Mark | None:
        """Of the newest event that named this patient, now or before."""
        known = self._known.get("subject")
        return self._named if known is None else _newer(known, self._named)

    def _move(self, identifier: PatientIdentifier, mark: Mark) -> None:
        self.moved_to = identifier
        self._take(mark)

    def _restore(self, identifier: PatientIdentifier, mark: Mark) -> None:
        if not self._movable:
            self._say("patient_differs")
            return
        named = self._mark()
        if named is None or not mark.older_than(named):
            self._move(identifier, mark)
            self._say("patient_changed")

    def _is_known_conflict(self, mark: Mark) -> bool:
        """Whether the event may be one that was reported before: its instance is listed now, but only since then."""
        conflict, named = self._newest_conflict(), self._mark()
        if conflict is None or conflict.older_than(mark):
            return False
        return named is None or named.older_than(mark)

    def _conflict(self, mark: Mark) -> RejectedError | None:
        if self._rejects:
            return RejectedError("map", "map.patient_conflict", "the PatientID is not that of the study's Patient")
        conflict = self._newest_conflict()
        if conflict is None or conflict.older_than(mark):
            self.conflict = mark
        self._say("patient_conflict")
        return None

    def _newest_conflict(self) -> Mark | None:
        return self.conflict or self._known.get("conflict")

    def _say(self, slug: str) -> None:
        if slug not in self.report:
            self.report.append(slug)


def _newer(mark: Mark, other: Mark | None) -> Mark:
    """`mark`, unless it is older than the other."""
    return other if other is not None and mark.older_than(other) else mark
