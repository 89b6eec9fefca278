"""QIDO-RS (PS3.18 10.6): studies, and the instances of a study; enough to see what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from dicomcast_sandbox.dicom.feed import MAX_LONG, BadParameterError
from dicomcast_sandbox.dicom.instance import DataSet, Instance, first_text
from dicomcast_sandbox.dicom.store import Store

RETURNED = ("00080005", "00080020", "00080030", "00080050", "00080090", "00081030", "00100010", "00100020", "00100030")
"""Attributes of a found study besides the UID, when its first instance has them."""

STUDY_DATE = "00080020"
_MATCHED = {
    "studyinstanceuid": "0020000D",
    "0020000d": "0020000D",
    "patientid": "00100020",
    "00100020": "00100020",
    "studydate": STUDY_DATE,
    STUDY_DATE: STUDY_DATE,
}

T = TypeVar("T")


def search_studies(store: Store, query: Mapping[str, str]) -> list[DataSet]:
    """One data set per matching study. Matches StudyInstanceUID, PatientID and StudyDate (also a range), by tag or
    keyword; limit and offset.

    Raises BadParameterError for a limit or an offset out of range and for an attribute it cannot match.
    """
    asked = _Query.of(query)
    firsts: dict[str, Instance] = {}
    for instance in store.instances():
        if asked.matches(instance):
            firsts.setdefault(instance.study_instance_uid, instance)
    chosen = asked.page(list(firsts.values()))
    return [_study(instance, store.instances(instance.study_instance_uid)) for instance in chosen]


def search_instances(store: Store, study_instance_uid: str, query: Mapping[str, str]) -> list[DataSet]:
    """One data set per instance of the study: class, UIDs, number; limit and offset. Raises BadParameterError."""
    return [_instance(one) for one in _Query.of(query).page(store.instances(study_instance_uid))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Query:
    limit: int
    offset: int
    wanted: Mapping[str, str]

    @classmethod
    def of(cls, query: Mapping[str, str]) -> _Query:
        limit, offset, wanted = 100, 0, dict[str, str]()
        for name, text in query.items():
            match name.lower():
                case "limit":
                    limit = _number(name, text, low=1, high=200)
                case "offset":
                    offset = _number(name, text, low=0, high=MAX_LONG)
                case "includefield" | "fuzzymatching":
                    pass
                case attribute if attribute in _MATCHED:
                    wanted[_MATCHED[attribute]] = text
                case _:
                    raise BadParameterError(name, "This server does not match it.")
        return cls(limit=limit, offset=offset, wanted=wanted)

    def matches(self, instance: Instance) -> bool:
        return all(_matches(tag, first_text(instance.data_set, tag) or "", text) for tag, text in self.wanted.items())

    def page(self, found: Sequence[T]) -> Sequence[T]:
        return found[self.offset : self.offset + self.limit]


def _matches(tag: str, value: str, wanted: str) -> bool:
    if tag == STUDY_DATE and "-" in wanted:
        least, _, most = wanted.partition("-")
        return bool(value) and (least or value) <= value <= (most or value)
    return value in wanted.split(",")


def _study(first: Instance, instances: list[Instance]) -> DataSet:
    study = {tag: first.data_set[tag] for tag in RETURNED if tag in first.data_set}
    study["0020000D"] = {"vr": "UI", "Value": [first.study_instance_uid]}
    study["00201206"] = {"vr": "IS", "Value": [len({one.series_instance_uid for one in instances})]}
    study["00201208"] = {"vr": "IS", "Value": [len(instances)]}
    return dict(sorted(study.items()))


def _instance(instance: Instance) -> DataSet:
    found: DataSet = {tag: instance.data_set[tag] for tag in ("00080016", "00200013") if tag in instance.data_set}
    found["0020000D"] = {"vr": "UI", "Value": [instance.study_instance_uid]}
    found["0020000E"] = {"vr": "UI", "Value": [instance.series_instance_uid]}
    found["00080018"] = {"vr": "UI", "Value": [instance.sop_instance_uid]}
    return dict(sorted(found.items()))


def _number(name: str, text: str, *, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise BadParameterError(name, f"It must be between {low} and {high}.")
    return int(text)
