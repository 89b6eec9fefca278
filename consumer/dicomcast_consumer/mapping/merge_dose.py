"""The dose Observations of one study as they are to be, given its changes and the Observations that are there.

A report's Observations are its summary and the events that the summary names. Two reports of a study may name one
event (a cumulative report repeats the events of the one before): it is one Observation, as the newest report has it,
and goes when no summary names it any more. A report that is older than what its Observations stem from changes nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ..errors import RejectedError
from .dose_observation import dose_uid, event_observation, is_summary, summary_observation
from .dose_terms import EVENT_TERMS, SUMMARY_TERMS
from .dose_values import DoseReport, IrradiationEvent
from .fragments import is_accession_request
from .identity import Resource, is_ours, our_tag
from .marks import Marks, differs
from .order import ordered
from .validation import validate_new
from .values import InstanceRun, Kind, Mark

__all__ = ["DoseMerge", "merge_dose"]

_MARK = "dose"
_OUR_STATUS = ("registered", "preliminary", "final")
_OUR_CODES = frozenset({*SUMMARY_TERMS, *EVENT_TERMS})
_SINGLE = ("effectiveDateTime", "bodySite")


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseMerge:
    """What is to be written, and what is to be deleted."""

    created: tuple[tuple[str, Resource], ...]
    """By UID."""
    changed: tuple[Resource, ...]
    removed: tuple[Resource, ...]
    report: tuple[str, ...] = ()


def merge_dose(
    existing: Sequence[Resource],
    runs: Iterable[InstanceRun],
    *,
    study_instance_uid: str,
    study: str,
    subject: Resource | None,
    new_reference: Callable[[str], str],
    source: str,
) -> DoseMerge:
    """Merge the settled runs of a study, ascending by their marks, into its dose Observations.

    `study` is the reference to the ImagingStudy, `subject` that study's subject, `new_reference` gives the reference to
    an Observation to be created, by its UID. Raises nothing; what `existing` holds is never altered.
    """
    merge = _Merge(existing, study_instance_uid, study, subject, new_reference, source)
    for run in runs:
        merge.take(run)
    return merge.result()


class _Merge:
    def __init__(
        self,
        existing: Sequence[Resource],
        study_instance_uid: str,
        study: str,
        subject: Resource | None,
        new_reference: Callable[[str], str],
        source: str,
    ) -> None:
        self._study_instance_uid, self._source = study_instance_uid, source
        self._part_of, self._subject = {"reference": study}, subject
        self._new_reference = new_reference
        self._known: dict[str, list[Resource]] = {}
        for observation in sorted(existing, key=lambda one: str(one.get("id"))):
            uid = dose_uid(observation)
            if uid is not None:
                self._known.setdefault(uid, []).append(observation)
        self._uids = {str(one.get("id")): uid for uid, found in self._known.items() for one in found}
        self._now: dict[str, Resource] = {}
        """As they are to be, by UID; what is not in here stays as it is."""
        self._touched: dict[str, tuple[str, ...]] = {}
        """The events that each report now names, by its SOP Instance UID."""
        self._report: set[str] = set()

    def take(self, run: InstanceRun) -> None:
        """The net effect of a run on its report."""
        change = run.last
        uid, mark = change.sop_instance_uid, change.mark
        if change.kind is Kind.UPSERT and self._is_older(mark, uid):
            return
        if change.dose is not None:
            self._write(uid, change.dose, mark)
        elif uid in self._known or change.kind is Kind.REMOVE:
            self._touched[uid] = ()

    def _is_older(self, mark: Mark, uid: str) -> bool:
        known = self._latest(uid)
        return known is not None and Marks(known).is_older(mark, _MARK)

    def _latest(self, uid: str) -> Resource | None:
        return self._now.get(uid) or next(iter(self._known.get(uid, ())), None)

    def _write(self, uid: str, report: DoseReport, mark: Mark) -> None:
        events = [
            event.uid
            for event in report.events
            if event.uid != uid and self._put(event.uid, self._event(event, report), mark, carrier=uid)
        ]
        summary = summary_observation(
            uid,
            report,
            study_instance_uid=self._study_instance_uid,
            members=[self._reference(event) for event in events],
            source=self._source,
        )
        self._put(uid, summary, mark, carrier=uid)
        self._touched[uid] = tuple(events)

    def _event(self, event: IrradiationEvent, report: DoseReport) -> Resource:
        return event_observation(event, report, study_instance_uid=self._study_instance_uid, source=self._source)

    def _put(self, uid: str, rendered: Resource, mark: Mark, *, carrier: str) -> bool:
        """Merge what a report says into the Observation; whether there is one afterwards."""
        known = self._latest(uid)
        if known is not None and Marks(known).is_older(mark, _MARK):
            return True
        marks = Marks(known or {})
        resource = self._merged(known, rendered, is_newer=marks.get(_MARK) != mark)
        marks.take(_MARK, mark)
        marks.take(_carried(carrier), mark)
        marks.write(resource)
        try:
            validate_new({"subject": {"display": "-"}, **resource})
        except RejectedError:
            self._report.add("observation_invalid")
            return known is not None
        self._now[uid] = ordered(resource)
        return True

    def _reference(self, uid: str) -> str:
        found = self._known.get(uid)
        return f"Observation/{found[0]['id']}" if found else self._new_reference(uid)

    def _merged(self, known: Resource | None, rendered: Resource, *, is_newer: bool) -> Resource:
        """`rendered` over what is there: lists keep what others wrote to them, a status that a person set stays.

        What a newer report does not say is taken away; the same report again leaves what others have filled in.
        """
        known = known or {}
        resource = {**rendered, **known, "code": rendered["code"]}
        for element in _SINGLE:
            if element in rendered or is_newer:
                _set(resource, element, rendered.get(element))
        if resource["status"] in _OUR_STATUS:
            resource["status"] = rendered["status"]
        for element, entries, is_ours_there in (
            ("identifier", rendered["identifier"], lambda entry: entry in rendered["identifier"]),
            ("basedOn", rendered.get("basedOn", []), is_accession_request),
            ("partOf", [self._part_of], lambda entry: _refers_to(entry, "ImagingStudy")),
            ("category", rendered["category"], lambda entry: entry in rendered["category"]),
            ("hasMember", rendered.get("hasMember", []), self._is_member),
            ("component", rendered.get("component", []), _is_our_component),
        ):
            _set(resource, element, _shared(known.get(element) or [], entries, is_ours_there))
        _set(resource, "valueString", rendered.get("valueString"))
        _set(resource, "subject", self._subject)
        if not is_ours(resource):
            meta = resource.get("meta") or {}
            resource["meta"] = {**meta, "tag": [*(meta.get("tag") or ()), our_tag()]}
        return resource

    def _is_member(self, entry: Resource) -> bool:
        reference = str(entry.get("reference"))
        is_known = _refers_to(entry, "Observation") and reference.rpartition("/")[2] in self._uids
        return is_known or reference.startswith("urn:uuid:")

    def result(self) -> DoseMerge:
        """What all runs together come to."""
        gone = self._gone()
        kept = {uid: resource for uid, resource in self._now.items() if uid not in gone}
        for uid, found in self._known.items():
            if uid not in gone and uid not in kept and self._is_of_another(found[0]):
                kept[uid] = ordered({**found[0], "subject": self._subject})
            if uid not in gone and len(found) > 1:
                self._report.add("observation_doubled")
        changed = [resource for uid, resource in kept.items() if uid in self._known and self._differs(uid, resource)]
        removed = [resource for uid in gone for resource in self._known.get(uid, ())]
        return DoseMerge(
            created=tuple((uid, resource) for uid, resource in kept.items() if uid not in self._known),
            changed=tuple(changed),
            removed=tuple(removed),
            report=tuple(sorted(self._report)),
        )

    def _gone(self) -> list[str]:
        """Reports that are none any more, and the events of touched reports that no summary names."""
        reports = [uid for uid in self._touched if uid not in self._now and uid in self._known]
        named = {event for uid, events in self._touched.items() for event in events}
        for uid, found in self._known.items():
            if is_summary(found[0]) and uid not in self._touched:
                named.update(self._members(found[0]))
        touched = {
            event for uid in self._touched for found in self._known.get(uid, ()) for event in self._members(found)
        }
        touched |= {
            uid for uid, found in self._known.items() if not is_summary(found[0]) and self._is_carried(found[0])
        }
        return [*reports, *sorted(touched - named)]

    def _members(self, summary: Resource) -> list[str]:
        ids = [str(entry.get("reference")).rpartition("/")[2] for entry in summary.get("hasMember") or ()]
        return [self._uids[one] for one in ids if one in self._uids]

    def _is_carried(self, event: Resource) -> bool:
        marks = Marks(event)
        return any(marks.get(_carried(uid)) is not None for uid in self._touched)

    def _is_of_another(self, observation: Resource) -> bool:
        return self._subject is not None and observation.get("subject") != self._subject

    def _differs(self, uid: str, resource: Resource) -> bool:
        return differs(resource, self._known[uid][0])


def _carried(report: str) -> str:
    return f"report/{report}"


def _shared(known: list[Resource], ours: list[Resource], is_ours_there: Callable[[Resource], bool]) -> list[Resource]:
    """A list that others write to as well: as it is where our entries are in it, else theirs first and ours after."""
    if [entry for entry in known if is_ours_there(entry)] == ours:
        return known
    return [*(entry for entry in known if not is_ours_there(entry)), *ours]


def _set(resource: Resource, element: str, value: object) -> None:
    if value:
        resource[element] = value
    else:
        resource.pop(element, None)


def _refers_to(entry: Resource, kind: str) -> bool:
    return str(entry.get("reference")).rpartition("/")[0].rpartition("/")[2] == kind


def _is_our_component(component: Resource) -> bool:
    codings = (component.get("code") or {}).get("coding") or ()
    return any(coding.get("code") in _OUR_CODES for coding in codings)
