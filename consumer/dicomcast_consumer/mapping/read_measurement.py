"""The value of a content item: a number with its unit, a code with its own coding scheme, or a text."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .codes import read_concept
from .dose_values import Quantity
from .elements import DataSet
from .fragments import Concept
from .ucum import ucum_code

__all__ = ["read_decimal", "read_measurement"]

_NUMBER = re.compile(r"[+-]?([0-9]{1,20}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?")
_MAX_DIGITS = 17
"""Before the point; R4 decimals have 18 digits."""
_MIN_EXPONENT = -40


def read_measurement(item: DataSet, schemes: Mapping[str, str]) -> Quantity | Concept | str | None:
    """The value, by what the item has rather than by its ValueType; None when it has none, or none that can be taken.

    A NUM without value is legal (PS3.3 C.18.1) and no omission.
    """
    measured = item.item("0040A300")
    if measured is not None:
        return _quantity(measured)
    code = item.item("0040A168")
    if code is not None:
        return read_concept(code, "ConceptCodeSequence", schemes)
    return item.text("0040A160", "TextValue")


def _quantity(measured: DataSet) -> Quantity | None:
    value = read_decimal(measured)
    if value is None:
        return None
    unit = measured.item("004008EA")
    if unit is None:
        measured.omit("MeasurementUnitsCodeSequence", "missing")
        return Quantity(value=value)
    name = "MeasurementUnitsCodeSequence"
    written = unit.text("00080100", name)
    code = ucum_code(written, unit.text("00080102", name))
    if code is None:
        measured.omit(name, "unit_unknown")
    meaning = unit.text("00080104", name) or written
    return Quantity(value=value, unit=code if code and meaning == written else meaning, code=code)


def read_decimal(measured: DataSet) -> Decimal | None:
    """NumericValue (0040,A30A) with the digits it was written with, as a DS or as a JSON number."""
    written = measured.first("0040A30A")
    text = _text(written)
    if text is None:
        if written is not None and not isinstance(written, str):
            measured.omit("NumericValue", "number_invalid")
        return None
    if not _NUMBER.fullmatch(text):
        measured.omit("NumericValue", "number_invalid")
        return None
    value = Decimal(text)
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _MIN_EXPONENT or value.adjusted() > _MAX_DIGITS:
        measured.omit("NumericValue", "number_out_of_range")
        return None
    return value


def _text(written: Any) -> str | None:
    if isinstance(written, str):
        return written.strip(" \x00\t\r\n") or None
    if isinstance(written, bool) or not isinstance(written, int | float | Decimal):
        return None
    return repr(written) if isinstance(written, float) else str(written)
