"""Whose study it is: which Patient the subject is to be, and which changes do not belong to that patient.

Changes are judged one by one in the order of their marks, each against what those before it have left, so that a run
of 500 and 500 runs of one end equal. An update, or a re-store of an instance that the study has, moves the study to
another Patient where the study is ours. A new instance with another PatientID than the study's does not: it is
rejected, or reported. The subject of somebody else's study stays as it is, and so does one of ours that somebody set to
what is no Patient of the server; where it cannot be compared with DICOM's patient, that is reported.

A study of ours without instances is over: the next instance begins a new one, whoever's the old one was.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ..errors import RejectedError
from ..mapping_options import MappingOptions, SourceProfile
from .fragments import PatientIdentifier
from .identity import DICOM_UID_SYSTEM, Resource, is_ours, same_source, study_identifier
from .marks import Marks
from .places import Places
from .values import InstanceChange, InstanceRun, Mark, PatientValues, fold, in_order

__all__ = ["SettledPatient", "Settlement", "patient_identifiers", "settle"]


def patient_identifiers(changes: Iterable[InstanceChange]) -> tuple[PatientIdentifier, ...]:
    """The identifiers that changes name, each once: the Patients to search for before `settle`."""
    named = [change.patient.identifier for change in changes if change.patient]
    return tuple({identifier.token: identifier for identifier in named}.values())


class SettledPatient(msgspec.Struct, frozen=True, kw_only=True):
    """A patient that the study is of, or was on the way."""

    identifier: PatientIdentifier
    patient: Resource | None
    """The Patient to merge the values into; None: make one."""
    changes: tuple[InstanceChange, ...]
    """Those that named the patient while the study was theirs, oldest first."""

    @property
    def values(self) -> list[tuple[Mark, PatientValues]]:
        """What they say of the patient; for `merge_patient`."""
        return [(change.mark, change.patient) for change in self.changes if change.patient]


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What `settle` found."""

    runs: tuple[InstanceRun, ...]
    """What is left to apply."""
    subject: SettledPatient | None
    """Whose study it is to be. None: no change says anything about the patient; write none, keep the subject."""
    patients: tuple[SettledPatient, ...]
    """All to be merged: the subject, and those whom the study has left on the way."""
    keeps_subject: bool
    """The study's subject stays as it is."""
    begins: Mark | None = None
    """The change from which on it is a new study, with nothing of what was; None: it stays the one found."""
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
    Raises nothing: changes that do not belong are in `rejected`, and count as if they had never been.
    """
    case = _Case(existing, current_patient, patients, profile, options)
    changes = in_order(change for run in runs for change in run.changes)
    accepted = [change for change in changes if case.accepts(change)]
    settled = case.settled()
    return Settlement(
        runs=tuple(runs) if len(accepted) == len(changes) else fold(accepted),
        subject=settled.get(case.subject),
        patients=tuple(settled.values()),
        keeps_subject=case.moved_to is None and not case.is_merged_away,
        begins=case.begins,
        mark=case.named,
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
        self._rejects = options.patient_conflict == "reject"
        self._movable = existing is None or is_ours(existing) or same_source(existing, profile.dicomweb_url)
        self._is_there = existing is not None
        self._places = Places((existing or {}).get("series") or ())
        self._said: dict[str, tuple[Resource | None, list[InstanceChange]]] = {}
        """Patients that the study was of, with what named them, in the order in which it came to them."""
        self.subject = ""
        """The one that it is of."""
        self.begins: Mark | None = None
        self.rejected: list[tuple[InstanceChange, RejectedError]] = []
        self.report: list[str] = []
        self._start(existing or {}, current_patient)

    def _start(self, study: Resource, current_patient: Resource | None) -> None:
        """From here on it is this study, of this Patient."""
        self._study, self._current = study, current_patient
        self._marks: Marks | None = None
        subject = study.get("subject") or {}
        self._logical = [subject["identifier"]] if "identifier" in subject else []
        self._reference = str(subject.get("reference") or "")
        moved = current_patient is not None and self._reference.rpartition("/")[2] != current_patient.get("id")
        self.is_merged_away = moved and self._movable
        is_gone = self._movable and self._reference.startswith("Patient/")
        self._is_closed = current_patient is None and bool(subject) and not is_gone
        self.named: Mark | None = None
        """The newest change so far that named the patient."""
        self.conflict: Mark | None = None
        self.moved_to: PatientIdentifier | None = None

    def accepts(self, change: InstanceChange) -> bool:
        """Whether the change is to be applied; then it counts for those after it."""
        try:
            applies = self._applies(change)
        except RejectedError as error:
            self.rejected.append((change, error))
            return False
        if applies:
            self._places.apply(change)
        return applies

    def _applies(self, change: InstanceChange) -> bool:
        """Whether the change has an effect. Raises RejectedError when it does not belong."""
        if change.patient is None:
            return True
        identifier, mark = change.patient.identifier, change.mark
        if self._movable and self._places.is_empty:
            self._begin(mark, identifier)
        if self._is_subject(identifier):
            self._take(change)
        elif self._is_closed:
            self._say("patient_unknown")
        elif not self._knows_subject():
            self._move(change)
        elif identifier.placeholder:
            pass
        elif self._is_placeholder(change.study_instance_uid):
            self._move(change)
            self._say("patient_changed")
        elif not self._restores(change) or self._is_known_conflict(mark):
            self._conflict(mark)
        elif not self._movable:
            self._say("patient_differs")
        elif not self._is_older(mark):
            self._move(change)
            self._say("patient_changed")
        elif self._places.lists(change.sop_instance_uid):
            return False  # from before the study came to its patient: what it says is of another one
        else:
            self._conflict(mark)
        return True

    def _begin(self, mark: Mark, identifier: PatientIdentifier) -> None:
        """The study is over: whose it was does not count. Where there is none it begins by itself."""
        if not (self._is_there or self._said):
            return
        if self._is_there and self._knows_subject() and not self._is_subject(identifier):
            self._say("patient_changed")
        self._start({}, None)
        self.begins = mark

    def _is_subject(self, identifier: PatientIdentifier) -> bool:
        """Whether this is the patient that the study is of, as far as judged."""
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

    def settled(self) -> dict[str, SettledPatient]:
        """The patients that the study was of."""
        return {
            key: SettledPatient(identifier=_identifier(changes[-1]), patient=patient, changes=tuple(changes))
            for key, (patient, changes) in self._said.items()
        }

    def _patient(self, identifier: PatientIdentifier) -> Resource | None:
        """The Patient that is the subject, where there is one; it goes by `identifier` in the changes."""
        if self.moved_to is not None:
            return self._patients.get(self.moved_to.token)
        if self._current is not None:
            return self._current
        return self._patients.get(identifier.token)

    def _knows_subject(self) -> bool:
        return self.moved_to is not None or self._current is not None

    def _is_placeholder(self, study_instance_uid: str) -> bool:
        """Whether the subject is one that nothing but the study identifies."""
        if self.moved_to is not None:
            return self.moved_to.placeholder
        identifiers = (self._current or {}).get("identifier") or ()
        uid = study_identifier(study_instance_uid)["value"]
        is_bare = all(one.get("system") == DICOM_UID_SYSTEM for one in identifiers)
        return self._movable and is_bare and any(one.get("value") == uid for one in identifiers)

    def _restores(self, change: InstanceChange) -> bool:
        """Whether the change is one of an instance that is there: an update, or a second store."""
        return change.is_update or self._places.lists(change.sop_instance_uid)

    def _take(self, change: InstanceChange) -> None:
        """The change names the patient that the study is of."""
        self.named = _newer(change.mark, self.named)
        found = self._patient(_identifier(change))
        self.subject = str(found["id"]) if found is not None else _identifier(change).token
        self._said.setdefault(self.subject, (found, []))[1].append(change)

    def _mark(self) -> Mark | None:
        """Of the newest event that named this patient, now or before."""
        known = self._known().get("subject")
        return self.named if known is None else _newer(known, self.named)

    def _known(self) -> Marks:
        """The study's marks: asked for only when there is something to decide."""
        if self._marks is None:
            self._marks = Marks(self._study)
        return self._marks

    def _move(self, change: InstanceChange) -> None:
        self.moved_to = _identifier(change)
        self._take(change)

    def _is_older(self, mark: Mark) -> bool:
        """Whether it is from before the newest event that named this patient."""
        named = self._mark()
        return named is not None and mark.older_than(named)

    def _is_known_conflict(self, mark: Mark) -> bool:
        """Whether the event may be one that was reported before: its instance is listed now, but only since then."""
        conflict, named = self._newest_conflict(), self._mark()
        if conflict is None or conflict.older_than(mark):
            return False
        return named is None or named.older_than(mark)

    def _conflict(self, mark: Mark) -> None:
        if self._rejects:
            raise RejectedError("map", "map.patient_conflict", "the PatientID is not that of the study's Patient")
        conflict = self._newest_conflict()
        if conflict is None or conflict.older_than(mark):
            self.conflict = mark
        self._say("patient_conflict")

    def _newest_conflict(self) -> Mark | None:
        return self.conflict or self._known().get("conflict")

    def _say(self, slug: str) -> None:
        if slug not in self.report:
            self.report.append(slug)


def _identifier(change: InstanceChange) -> PatientIdentifier:
    assert change.patient is not None
    return change.patient.identifier


def _newer(mark: Mark, other: Mark | None) -> Mark:
    """`mark`, unless it is older than the other."""
    return other if other is not None and mark.older_than(other) else mark
