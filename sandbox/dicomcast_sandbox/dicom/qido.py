"""QIDO-RS at study level (PS3.18 10.6): enough to see which studies are there."""

from __future__ import annotations

from collections.abc import Mapping

from dicomcast_sandbox.dicom.feed import MAX_LONG, BadParameterError
from dicomcast_sandbox.dicom.instance import DataSet, Instance, first_text
from dicomcast_sandbox.dicom.store import Store

RETURNED = ("00080005", "00080020", "00080030", "00080050", "00080090", "00081030", "00100010", "00100020", "00100030")
"""Attributes of a found study besides the UID, when its first instance has them."""

_MATCHED = {"studyinstanceuid": "0020000D", "0020000d": "0020000D", "patientid": "00100020", "00100020": "00100020"}


def search_studies(store: Store, query: Mapping[str, str]) -> list[DataSet]:
    """One data set per matching study. Matches StudyInstanceUID and PatientID, by tag or keyword; limit and offset.

    Raises BadParameterError for a limit or an offset out of range and for an attribute it cannot match.
    """
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
    firsts: dict[str, Instance] = {}
    for instance in store.instances():
        if all(first_text(instance.data_set, tag) in text.split(",") for tag, text in wanted.items()):
            firsts.setdefault(instance.study_instance_uid, instance)
    chosen = list(firsts.values())[offset : offset + limit]
    return [_study(instance, store.instances(instance.study_instance_uid)) for instance in chosen]


def _study(first: Instance, instances: list[Instance]) -> DataSet:
    study = {tag: first.data_set[tag] for tag in RETURNED if tag in first.data_set}
    study["0020000D"] = {"vr": "UI", "Value": [first.study_instance_uid]}
    study["00201206"] = {"vr": "IS", "Value": [len({one.series_instance_uid for one in instances})]}
    study["00201208"] = {"vr": "IS", "Value": [len(instances)]}
    return dict(sorted(study.items()))


def _number(name: str, text: str, *, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise BadParameterError(name, f"It must be between {low} and {high}.")
    return int(text)
