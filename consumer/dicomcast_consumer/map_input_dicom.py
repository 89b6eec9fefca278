"""A DICOM file (PS3.10, or a data set without preamble) as the event of its store, its bulk data left out.

What pydicom cannot convert is passed on as the text it is, for the mapping to judge: a value must not vanish quietly.
"""

import warnings
from typing import IO, Any, Final

import pydicom
import pydicom.config
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from .map_input_place import InputEvent, InputRejection, Place, stored_event, uid_of

__all__ = ["data_set_json", "is_dicom", "read_dicom"]

_BULK: Final = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "OB or OW", "US or OW", "US or SS or OW"})
_SOP_CLASS: Final = "00080016"
_UIDS: Final = {"StudyInstanceUID": "0020000D", "SeriesInstanceUID": "0020000E", "SOPInstanceUID": "00080018"}
_NUMBERS: Final = ("IS", "DS")
"""Passed on as the text they are (the DICOM JSON model allows it, PS3.18 F.2.3): pydicom makes 1 of an IS of 1.5."""
_GROUPS: Final = frozenset({0x08, 0x10, 0x12, 0x18, 0x20, 0x28, 0x32, 0x38, 0x40, 0x42, 0x54, 0x70, 0x88})
"""Identification, patient, acquisition, relationship, image, procedure, presentation, storage: without pixels, private
groups and plans, whose conversion takes most of the time."""
_MAX_TEXT: Final = 65_536
"""Longer values are bulk data for our purpose, whatever their VR (UT, LT of encapsulated documents)."""


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins so has the preamble and prefix of PS3.10."""
    return head[128:132] == b"DICM"


def read_dicom(stream: IO[bytes], place: Place, *, feed: str) -> InputEvent | InputRejection:
    """The event of the instance in a seekable stream. Raises nothing for what the stream holds."""
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        try:
            data_set = pydicom.dcmread(stream, stop_before_pixels=True, force=True)
            found = data_set_json(data_set)
        except Exception as error:  # pydicom raises whatever the damaged bytes lead it into
            return InputRejection(place, "input.not_dicom", f"cannot be read as DICOM ({type(error).__name__})")
    missing = [name for name, tag in _UIDS.items() if not uid_of(found, tag)]
    if missing and not data_set.preamble and not {_SOP_CLASS, *_UIDS.values()} & set(found):
        return InputRejection(place, "input.not_dicom", "it looks like neither DICOM nor JSON")
    if missing:
        text = f"it has no {', '.join(missing)}: is the file cut short, or no instance?"
        return InputRejection(place, "input.not_an_instance", text)
    return InputEvent(place, stored_event(found, feed=feed))


def data_set_json(data_set: Dataset) -> dict[str, Any]:
    """The DICOM JSON model (PS3.18 annex F) of what a mapping may read: no bulk data, no private attributes."""
    found: dict[str, Any] = {}
    for tag in sorted(data_set.keys()):
        if tag.element == 0 or tag.group not in _GROUPS:
            continue
        element = _element(data_set, tag)
        if element is not None:
            found[f"{tag:08X}"] = element
    return found


def _element(data_set: Dataset, tag: BaseTag) -> dict[str, Any] | None:
    raw = data_set.get_item(tag)
    try:
        element = data_set[tag]
        if element.VR in _BULK or _is_long(element):
            return None
        if element.VR == "SQ":
            return {"vr": "SQ", "Value": [data_set_json(item) for item in element.value or ()]}
        if element.VR in _NUMBERS and isinstance(raw, RawDataElement):
            return _as_text(raw, element.VR)
        return dict(element.to_json_dict(bulk_data_element_handler=None, bulk_data_threshold=_MAX_TEXT))
    except Exception:  # likewise
        return _as_text(raw) if isinstance(raw, RawDataElement) else None


def _is_long(element: DataElement) -> bool:
    return isinstance(element.value, str | bytes) and len(element.value) > _MAX_TEXT


def _as_text(raw: RawDataElement, vr: str | None = None) -> dict[str, Any] | None:
    if not raw.value or raw.VR in _BULK or len(raw.value) > _MAX_TEXT:
        return None
    values = raw.value.decode("latin-1").rstrip(" \0").split("\\")
    return {"vr": vr or raw.VR or "UN", "Value": values}
