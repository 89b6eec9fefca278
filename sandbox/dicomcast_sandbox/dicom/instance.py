"""A DICOM file becomes an Instance: its identifiers and its data set in the DICOM JSON model (PS3.18 annex F)."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

from pydicom import dcmread
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

DataSet = dict[str, object]
"""A data set in the DICOM JSON model: tag as eight hexadecimal digits → {"vr", "Value"}."""

BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""Left out of metadata at every depth, as the original does."""

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UTF_8 = "ISO_IR 192"


class UnreadableInstanceError(Exception):
    """The bytes are no DICOM file, or one of its UIDs is missing or malformed. Carries no value of the data set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One SOP instance; `data_set` holds no bulk attribute."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str | None
    data_set: DataSet


def read_instance(file: bytes) -> Instance:
    """The instance in a PS3.10 file. An attribute that cannot be read is left out.

    Raises UnreadableInstanceError, also when one of the three UIDs is missing.
    """
    with warnings.catch_warnings():
        # pydicom warns about values that break their VR; this server stores them as the original does.
        warnings.simplefilter("ignore")
        try:
            parsed = dcmread(BytesIO(file), stop_before_pixels=True)
        except InvalidDicomError as error:
            raise UnreadableInstanceError("not a DICOM file: the DICM prefix is missing") from error
        except Exception as error:  # pydicom raises whatever its parser stumbles over
            raise UnreadableInstanceError(f"not readable as a DICOM file ({type(error).__name__})") from error
        data_set = to_json(parsed)
    return instance_from_json(data_set)


def instance_from_json(data_set: DataSet) -> Instance:
    """The instance that a data set describes. Raises UnreadableInstanceError when a UID is missing or malformed."""
    return Instance(
        study_instance_uid=_uid(data_set, "0020000D", "StudyInstanceUID"),
        series_instance_uid=_uid(data_set, "0020000E", "SeriesInstanceUID"),
        sop_instance_uid=_uid(data_set, "00080018", "SOPInstanceUID"),
        sop_class_uid=first_text(data_set, "00080016"),
        data_set=data_set,
    )


def to_json(data_set: Dataset) -> DataSet:
    """The DICOM JSON model of a data set without bulk attributes, group lengths and what cannot be expressed."""
    attributes: DataSet = {}
    for tag in sorted(data_set.keys()):
        if tag.element == 0:
            continue
        try:
            element = data_set[tag]
            attribute = _attribute(element)
        except Exception:  # noqa: S112  an odd value must not cost the whole instance
            continue
        if attribute is not None:
            attributes[f"{tag.group:04X}{tag.element:04X}"] = attribute
    if "00080005" in attributes:  # JSON is UTF-8 whatever the file was (PS3.18 F.2)
        attributes["00080005"] = {"vr": "CS", "Value": [_UTF_8]}
    return attributes


def first_text(data_set: Mapping[str, object], tag: str) -> str | None:
    """The first value of an attribute when it is a text that is not empty."""
    attribute = data_set.get(tag)
    values = attribute.get("Value") if isinstance(attribute, dict) else None
    first = values[0] if isinstance(values, list) and values else None
    return first.strip() or None if isinstance(first, str) else None


def _attribute(element: DataElement) -> dict[str, object] | None:
    if element.VR in BULK_VRS or " or O" in element.VR:
        return None
    if element.VR == "SQ":
        items = [_nested(item) for item in element.value]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    attribute: dict[str, object] = element.to_json_dict(None, 1 << 62)
    values = attribute.get("Value")
    if isinstance(values, list):
        attribute["Value"] = [_finite(value) for value in values]
    return attribute


def _nested(item: Dataset) -> DataSet:
    attributes = to_json(item)
    attributes.pop("00080005", None)
    return attributes


def _finite(value: object) -> object:
    """JSON has no infinities: the original writes them as texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _uid(data_set: DataSet, tag: str, keyword: str) -> str:
    uid = first_text(data_set, tag)
    if uid is None:
        raise UnreadableInstanceError(f"{keyword} is missing")
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise UnreadableInstanceError(f"{keyword} is not a UID (PS3.5 9.1)")
    return uid
