"""Data sets as modalities write them: a CT header of 258 attributes and 12 kB (pydicom's CT_small.dcm), a CR of 60."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import orjson
import pydicom
from pydicom.data import get_testdata_file

__all__ = ["cr_header", "ct_header"]

_CR_GROUPS: Final = ("0008", "0010", "0018", "0020", "0028")
_MOST_BINARY: Final = 2_000


@cache
def _template() -> dict[str, Any]:
    path = get_testdata_file("CT_small.dcm")
    assert isinstance(path, str)
    found: dict[str, Any] = pydicom.dcmread(path).to_json_dict()
    return {tag: element for tag, element in found.items() if len(element.get("InlineBinary", "")) <= _MOST_BINARY}


def ct_header(**by_tag: Any) -> str:
    """The metadata of a CT slice; `x00080018="1.2"` sets an attribute's only value."""
    return _header(_template(), by_tag)


def cr_header(**by_tag: Any) -> str:
    """The metadata of a radiograph."""
    small = {tag: element for tag, element in _template().items() if tag[:4] in _CR_GROUPS}
    usual = {"x00080060": "CR", "x00080016": "1.2.840.10008.5.1.4.1.1.1"}
    return _header(small, {**usual, **by_tag})


def _header(template: Mapping[str, Any], by_tag: Mapping[str, Any]) -> str:
    changed = {tag[1:]: {**template.get(tag[1:], {"vr": "LO"}), "Value": [value]} for tag, value in by_tag.items()}
    return orjson.dumps({**template, **changed}).decode()
