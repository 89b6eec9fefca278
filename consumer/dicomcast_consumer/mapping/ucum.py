"""Units of measurement in DICOM SR → UCUM: what modalities write wrongly is mended, what is unknown stays a word."""

import re

__all__ = ["ucum_code"]

_UNITS = frozenset(
    [
        "1",
        "%",
        "Gy",
        "cGy",
        "dGy",
        "mGy",
        "uGy",
        "Gy.m2",
        "mGy.m2",
        "uGy.m2",
        "Gy.cm2",
        "dGy.cm2",
        "cGy.cm2",
        "mGy.cm2",
        "uGy.cm2",
        "mGy.cm",
        "Gy.cm",
        "mGy/min",
        "Gy/min",
        "Sv",
        "mSv",
        "R",
        "mR",
        "C/kg",
        "ns",
        "us",
        "ms",
        "s",
        "min",
        "h",
        "um",
        "mm",
        "cm",
        "m",
        "mm2",
        "cm2",
        "m2",
        "mL",
        "mm3",
        "cm3",
        "L",
        "V",
        "kV",
        "A",
        "mA",
        "uA",
        "mA.s",
        "uA.s",
        "A.s",
        "Bq",
        "kBq",
        "MBq",
        "GBq",
        "uCi",
        "mCi",
        "Ci",
        "Bq/mmol",
        "MBq/mL",
        "kg",
        "g",
        "mg",
        "ug",
        "deg",
        "Hz",
        "/s",
        "/min",
        "{pulse}/s",
    ]
)
"""UCUM codes that the dose templates of PS3.16 ask for, and their neighbours."""

_MENDED = {
    **{f"{prefix}Gy{area}": f"{prefix}Gy.{area}" for prefix in ("", "c", "d", "m", "u") for area in ("m2", "cm2")},
    "mGycm": "mGy.cm",
    "Gycm": "Gy.cm",
    "mAs": "mA.s",
    "uAs": "uA.s",
    "As": "A.s",
    "pulse/s": "{pulse}/s",
    "pulses/s": "{pulse}/s",
    "ml": "mL",
    "cc": "cm3",
    "sec": "s",
    "seconds": "s",
    "no units": "1",
    "percent": "%",
}
_ANNOTATION = re.compile(r"\{[!-z|~]{1,40}\}")
_SEPARATOR = re.compile(r"[ *·]")
_MICRO = str.maketrans("µμ", "uu")
_DESIGNATORS = frozenset({"UCUM", "UCM"})


def ucum_code(value: str | None, designator: str | None) -> str | None:
    """The UCUM code of a unit as it stands in an SR; None when it is none that is known here.

    `designator` is the item's coding scheme: UCUM, or UCM as some modalities have it; a missing one is tolerated.
    """
    if value is None or (designator is not None and designator.upper() not in _DESIGNATORS):
        return None
    if _ANNOTATION.fullmatch(value):
        return value
    for candidate in (value, _SEPARATOR.sub(".", value)):
        code = candidate.translate(_MICRO).replace("^", "").strip(".")
        code = _MENDED.get(code, code)
        if code in _UNITS:
            return code
    return None
