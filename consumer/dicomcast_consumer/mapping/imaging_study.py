"""ImagingStudy: the changes of one study merged into what the FHIR server has (R4 ImagingStudy).

Changes are applied one by one in the order of their marks, so that a run of 500 and 500 runs of one end equal. What
others wrote stays: see `as_of` for who may overwrite what.
"""

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import NamedTuple

import msgspec

from ..errors import RejectedError
from ..mapping_options import MappingOptions, SourceProfile
from .as_of import is_vaguer_date, offer_single
from .identity import Resource, is_ours, is_reference_to, our_tag, same_source, study_identifier
from .marks import Marks, differs
from .notes import drop_repeated_notes, merge_description
from .order import ordered
from .profiles import set_regions, type_study_identifier
from .series import SeriesList
from .settlement import Settlement
from .shared_lists import Identity, by_codes, by_number, by_order, by_person, merge_list
from .started import offer_started
from .study_id import merge_study_id
from .terminology import ACQUISITION_MODALITIES, DCM
from .validation import validate_new
from .values import InstanceChange, InstanceRun, Kind, Mark, StudyValues, fold, in_order

__all__ = ["Outcome", "StudyMerge", "merge_study"]


class Outcome(Enum):
    """What is to be done with the ImagingStudy."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    EMPTY = "empty"
    """The last instance is gone and the study is ours: write `resource`, which has no series, then delete it."""
    NOTHING = "nothing"
    """There is no study and none is to be made."""


class StudyMerge(msgspec.Struct, frozen=True, kw_only=True):
    """The ImagingStudy as it is to be; None when the outcome is NOTHING."""

    outcome: Outcome
    resource: Resource | None
    rejected: tuple[tuple[InstanceChange, RejectedError], ...] = ()
    report: tuple[str, ...] = ()


def merge_study(
    existing: Resource | None,
    settlement: Settlement,
    *,
    study_instance_uid: str,
    subject: str | None,
    endpoint: str,
    profile: SourceProfile,
    options: MappingOptions,
) -> StudyMerge:
    """Merge the settled changes of a study into the ImagingStudy that was found, or make one.

    `subject` is the reference to the settlement's subject (None when that is None), `endpoint` that to the Endpoint.
    `rejected` and `report` include the settlement's. Raises RejectedError only when the study as a whole cannot be
    made. What `existing` holds is never altered.
    """
    rejected = list(settlement.rejected)
    while True:
        merge = _Merge(existing, study_instance_uid, profile, options)
        try:
            outcome = merge.apply(settlement, subject, endpoint)
            break
        except RejectedError as error:
            kept, invalid = _without_invalid(settlement.runs)
            if not invalid:
                raise
            rejected += [(change, error) for change in invalid]
            settlement = msgspec.structs.replace(settlement, runs=kept)
    resource = None if outcome is Outcome.NOTHING else merge.result(outcome)
    report = (*settlement.report, *merge.report)
    return StudyMerge(outcome=outcome, resource=resource, rejected=tuple(rejected), report=report)


def _without_invalid(runs: tuple[InstanceRun, ...]) -> tuple[tuple[InstanceRun, ...], list[InstanceChange]]:
    """The runs without changes of which no valid series can be made."""
    changes = [change for run in runs for change in run.changes]
    invalid = [change for change in changes if not _is_valid(change)]
    rejected = {id(change) for change in invalid}
    return fold(change for change in changes if id(change) not in rejected), invalid


def _is_valid(change: InstanceChange) -> bool:
    if change.kind is not Kind.UPSERT:
        return True
    series = SeriesList([])
    marks = Marks({})
    series.upsert(change, marks)
    series.finish(marks)
    try:
        series.validate()
    except RejectedError:
        return False
    return True


class _Said(NamedTuple):
    values: StudyValues
    replaces: bool


class _Merge:
    """One ImagingStudy on its way."""

    report: tuple[str, ...] = ()
    """What a person should look at."""

    def __init__(
        self, existing: Resource | None, study_instance_uid: str, profile: SourceProfile, options: MappingOptions
    ) -> None:
        self._existing = existing
        self._new = partial(_new, study_instance_uid, profile)
        self._options = options
        self._resource: Resource = dict(existing) if existing is not None else self._new()
        self._marks = Marks(self._resource)
        self._series = SeriesList(self._resource.get("series") or [], lists_instances=options.instances == "all")
        self._is_ours = existing is None or is_ours(existing)
        self._adopts = existing is not None and not self._is_ours and same_source(existing, profile.dicomweb_url)
        self._is_ours = self._is_ours or self._adopts
        self._is_new = existing is None
        self._said: tuple[Mark, _Said] | None = None

    def apply(self, settlement: Settlement, subject: str | None, endpoint: str) -> Outcome:
        """Apply the changes. Raises RejectedError when something new is not valid R4."""
        touched = upserted = False
        begins = settlement.begins
        for change in in_order(change for run in settlement.runs for change in run.changes):
            if begins is not None and not change.mark.older_than(begins):
                self._begin()
                begins = None
            if change.kind is Kind.UPSERT:
                self._upsert(change)
                touched = upserted = True
            elif self._series.lists(change.sop_instance_uid):
                self._series.remove(change.sop_instance_uid)
                touched = True
        self._merge_said()
        self._series.finish(self._marks)
        if upserted:
            self._refer(settlement, subject, endpoint)
        if touched:
            self._finish()
        return self._outcome(settlement, touched=touched)

    def _begin(self) -> None:
        """A new study from here on, also of what people wrote, as when it had been deleted; id and version stay."""
        found = self._existing or {}
        self._resource = {**self._new(), **{name: found[name] for name in ("id", "meta") if name in found}}
        self._marks = Marks({})
        self._series = SeriesList([], lists_instances=self._options.instances == "all")
        self._is_new = True
        self._said = None

    def _upsert(self, change: InstanceChange) -> None:
        """Study values that are said again and again are merged once, with the last mark: the effect is the same."""
        assert change.study is not None
        said = _Said(change.study, change.is_update or self._series.lists(change.sop_instance_uid))
        self._series.upsert(change, self._marks)
        if self._said is not None and said != self._said[1]:
            self._merge_said()
        self._said = (change.mark, said)

    def _merge_said(self) -> None:
        if self._said is not None:
            mark, said = self._said
            self._merge_values(mark, said.values, replaces=said.replaces)
            self._said = None

    def _merge_values(self, mark: Mark, values: StudyValues, *, replaces: bool) -> None:
        target, marks = self._resource, self._marks
        if self._is_ours or "started" not in target or is_vaguer_date(target["started"], values.started or ""):
            offer_started(target, values.started, values.between, name="started", mark=mark, marks=marks)
        merge_description(target, values.description, mark, marks)
        for element, reference in (("referrer", values.referrer), ("location", values.location)):
            offer_single(target, element, reference.json() if reference else None, mark=mark, marks=marks)
        if values.study_id:
            merge_study_id(target, values.study_id, mark, marks)
        if values.accession is not None:
            self._add("identifier", [values.accession.identifier()], by_number, mark, replaces=replaces)
        for element, said, identify in (
            ("basedOn", [number.request() for number in values.requests], by_order),
            ("interpreter", [reader.json() for reader in values.interpreters], by_person),
            ("procedureCode", [concept.json() for concept in values.procedure_codes], by_codes),
            ("reasonCode", [concept.json() for concept in values.reason_codes], by_codes),
        ):
            if said:
                self._add(element, said, identify, mark, replaces=replaces)

    def _add(
        self,
        element: str,
        entries: list[Resource],
        identify: Callable[[Resource], Identity],
        mark: Mark,
        *,
        replaces: bool,
    ) -> None:
        is_whole = merge_list(
            self._resource, element, entries, identify=identify, replaces=replaces, mark=mark, marks=self._marks
        )
        if not is_whole:
            self._say("too_many_items")

    def _say(self, slug: str) -> None:
        if slug not in self.report:
            self.report = (*self.report, slug)

    def _refer(self, settlement: Settlement, subject: str | None, endpoint: str) -> None:
        target = self._resource
        if subject is not None and (not settlement.keeps_subject or "subject" not in target):
            target["subject"] = {"reference": subject}
        if settlement.mark is not None:
            self._marks.take("subject", settlement.mark)
        if settlement.conflict is not None:
            self._marks.take("conflict", settlement.conflict)
        endpoints = target.get("endpoint") or []
        if not any(is_reference_to(known, endpoint) for known in endpoints):
            target["endpoint"] = [*endpoints, {"reference": endpoint}]
        if self._options.profile == "mado":
            changes = (change for run in settlement.runs for change in run.changes if change.kind is Kind.UPSERT)
            self._series.refer({change.series_instance_uid for change in changes}, endpoint)

    def _finish(self) -> None:
        """Recount, and put in order."""
        target = self._resource
        if self._adopts:
            self._adopt()
        self._set("modality", self._modalities())
        self._set("series", self._series.json())
        if self._options.profile != "none":
            type_study_identifier(target)
            set_regions(target, self._options.profile, self._series.body_sites())
        target["numberOfSeries"] = len(self._series)
        target["numberOfInstances"] = self._series.count_instances()
        if self._is_ours:
            self._set_status()
        self._validate()

    def _adopt(self) -> None:
        """Take over a study that DICOM Cast wrote, and mend it."""
        meta = dict(self._resource.get("meta") or {})
        self._resource["meta"] = {**meta, "tag": [*(meta.get("tag") or ()), our_tag()]}
        self._series.repair()
        drop_repeated_notes(self._resource)

    def _modalities(self) -> list[Resource]:
        found: dict[tuple[str, str], Resource] = {}
        present = self._series.modalities()
        for coding in [*(self._resource.get("modality") or ()), *present]:
            found.setdefault((str(coding.get("code")), str(coding.get("system") or "")), coding)
        wanted = {(str(coding["code"]), str(coding.get("system") or "")) for coding in present}
        if self._options.modality.acquisition_only:
            wanted = {key for key in wanted if key[1] != DCM or key[0] in ACQUISITION_MODALITIES}
        return [found[key] for key in sorted(wanted)]

    def _set(self, element: str, value: list[Resource]) -> None:
        if value:
            self._resource[element] = value
        else:
            self._resource.pop(element, None)

    def _set_status(self) -> None:
        if not len(self._series) and self._resource.get("status") == "available":
            self._resource["status"] = "registered"

    def _validate(self) -> None:
        self._series.validate()
        if self._is_new and len(self._series):
            bare = {name: value for name, value in self._resource.items() if name != "series"}
            validate_new({"subject": {"display": "-"}, **bare})

    def _outcome(self, settlement: Settlement, *, touched: bool) -> Outcome:
        if self._existing is None:
            return Outcome.CREATE if len(self._series) else Outcome.NOTHING
        removes = any(run.last.kind is Kind.REMOVE for run in settlement.runs)
        if not len(self._series) and self._is_ours and (touched or removes):
            return Outcome.EMPTY
        if not touched:
            return Outcome.UNCHANGED
        return Outcome.UPDATE if differs(self._resource, self._existing) else Outcome.UNCHANGED

    def result(self, outcome: Outcome) -> Resource | None:
        """The resource to write, or the one that stays."""
        if outcome is Outcome.UNCHANGED:
            return self._existing
        self._marks.keep_series(self._series.uids())
        self._marks.write(self._resource)
        return ordered(self._resource)


def _new(study_instance_uid: str, profile: SourceProfile) -> Resource:
    return {
        "resourceType": "ImagingStudy",
        "meta": {"source": profile.dicomweb_url, "tag": [our_tag()]},
        "identifier": [study_identifier(study_instance_uid)],
        "status": "available",
    }
