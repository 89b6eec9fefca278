"""Which instances the mapping leaves alone, by Modality, SOP class and PatientID."""

import re
from functools import lru_cache

from ..mapping_options import FilterOptions, MappingOptions
from .elements import DataSet

__all__ = ["is_wanted"]


def is_wanted(data_set: DataSet, options: MappingOptions) -> bool:
    """Whether the instance meets every criterion of `include` and none of `exclude`."""
    if options.include.empty and options.exclude.empty:
        return True
    return all(_verdicts(data_set, options.include)) and not any(_verdicts(data_set, options.exclude))


@lru_cache(maxsize=16)
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _verdicts(data_set: DataSet, criteria: FilterOptions) -> list[bool]:
    """One per criterion that is set."""
    found = []
    if criteria.modalities:
        found.append(data_set.code_string("00080060", "Modality") in criteria.modalities)
    if criteria.sop_classes:
        found.append(data_set.text("00080016", "SOPClassUID") in criteria.sop_classes)
    if criteria.patient_id:
        found.append(_pattern(criteria.patient_id).fullmatch(data_set.text("00100020", "PatientID") or "") is not None)
    return found
