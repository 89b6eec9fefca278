"""Attributes of a DICOM JSON data set (PS3.18 annex F), read with tolerance for what servers really send.

An attribute is `{vr, Value?}`. Empty are: a missing key, no Value, [], [null], [""], only spaces and NUL. null inside
Value keeps its position (F.2.5). A scalar in the place of the array is taken as its only value.
"""

import re
from functools import lru_cache
from typing import Any

from pydicom.datadict import keyword_for_tag

from .values import Omission

__all__ = ["DataSet"]

MAX_TEXT = 1024 * 1024
"""R4 string: "SHALL NOT exceed 1 MB in size"."""
MAX_UNSIGNED = 2**31 - 1
MAX_ITEMS = 100
"""Of a sequence of codes or requests: real ones have a few, and each is looked at alone."""
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_NUMBER = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_BINARY = frozenset({"InlineBinary", "BulkDataURI"})
"""What stands for Value where a server does not know an attribute (VR UN), or keeps it apart (PS3.18 F.2.7)."""
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


@lru_cache(maxsize=1024)
def is_uid(value: str) -> bool:
    """Digits and dots, at most 64 (PS3.5 9.1); components with a leading zero are tolerated."""
    return len(value) <= 64 and _UID.fullmatch(value) is not None


class DataSet:
    """One data set, or one item of a sequence. What has to be left out is noted in `omissions`."""

    __slots__ = ("_attributes", "_sop_instance_uid", "omissions")

    def __init__(self, attributes: dict[str, Any], sop_instance_uid: str, omissions: list[Omission]) -> None:
        self._attributes = attributes
        self._sop_instance_uid = sop_instance_uid
        self.omissions = omissions

    def omit(self, attribute: str, reason: str) -> None:
        """Note that an attribute is left out."""
        self._note(Omission(sop_instance_uid=self._sop_instance_uid, attribute=attribute, reason=reason))

    def doubt(self, attribute: str, reason: str) -> None:
        """Note that an attribute is mapped, though it can hardly be right."""
        uid = self._sop_instance_uid
        self._note(Omission(sop_instance_uid=uid, attribute=attribute, reason=reason, is_mapped=True))

    def _note(self, omission: Omission) -> None:
        if omission not in self.omissions:
            self.omissions.append(omission)

    def _element(self, tag: str) -> Any:
        element = self._attributes.get(tag)
        if element is None and not tag.isdecimal():
            element = self._attributes.get(tag.lower())
        return element

    def first(self, tag: str) -> Any:
        """The first value of an attribute as JSON has it, or None."""
        element = self._element(tag)
        if not isinstance(element, dict):
            return None
        value = element.get("Value")
        if isinstance(value, list):
            return value[0] if value else None
        if value is None and len(element) > 1 and not element.keys().isdisjoint(_BINARY):
            self.omit(keyword_for_tag(tag) or tag, "binary")
        return value

    def values(self, tag: str) -> list[Any]:
        """All values of an attribute as JSON has them."""
        element = self._element(tag)
        value = element.get("Value") if isinstance(element, dict) else None
        return value if isinstance(value, list) else [] if value is None else [value]

    def text(self, tag: str, attribute: str) -> str | None:
        """A text without control characters and without spaces around it; a lone number is taken as its digits."""
        value = self.first(tag)
        if value is None:
            return None
        return self.clean(value, attribute)

    def clean(self, value: object, attribute: str) -> str | None:
        """`value` as such a text."""
        if not isinstance(value, str):
            if isinstance(value, bool) or not isinstance(value, int):
                self.omit(attribute, "not_text")
                return None
            value = str(value)
        if len(value) > MAX_TEXT:
            self.omit(attribute, "too_long")
            return None
        if not value.isprintable():
            value = _CONTROL.sub("", value)
        return value.strip() or None

    def code_string(self, tag: str, attribute: str) -> str | None:
        """A CS: inner spaces collapsed, upper case."""
        value = self.text(tag, attribute)
        return " ".join(value.split()).upper() if value else None

    def unsigned(self, tag: str, attribute: str) -> int | None:
        """An IS as R4 unsignedInt, 0 … 2^31 - 1, from a number or a numeric string."""
        value = self.first(tag)
        if isinstance(value, str):
            value = value.strip(" \x00\t\r\n")
            if not value:
                return None
            value = float(value) if _NUMBER.fullmatch(value) else value
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.omit(attribute, "number_invalid")
        elif not 0 <= value <= MAX_UNSIGNED:
            self.omit(attribute, "number_out_of_range")
        elif value != int(value):
            self.omit(attribute, "number_invalid")
        else:
            return int(value)
        return None

    def items(self, tag: str) -> list["DataSet"]:
        """The first MAX_ITEMS items of a sequence; anything in it that is no data set is passed over.

        What is left out is noted under its tag.
        """
        found = self._items(tag)
        if len(found) > MAX_ITEMS:
            self.omit(tag, "too_many_items")
        return [DataSet(item, self._sop_instance_uid, self.omissions) for item in found[:MAX_ITEMS]]

    def item(self, tag: str) -> "DataSet | None":
        """The first item of a sequence."""
        found = self._items(tag)
        return DataSet(found[0], self._sop_instance_uid, self.omissions) if found else None

    def _items(self, tag: str) -> list[dict[str, Any]]:
        element = self._element(tag)
        value = element.get("Value") if isinstance(element, dict) else None
        return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
