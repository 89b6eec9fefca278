"""The concepts of radiation dose reports that become part of an Observation (PS3.16 TID 10001, 10011, 10021)."""

from .terminology import DCM, SCT

__all__ = [
    "ACCUMULATED",
    "AGENT_TERMS",
    "EVENTS",
    "EVENT_TERMS",
    "EVENT_UIDS",
    "ROOTS",
    "STARTS",
    "SUMMARY_CODE",
    "SUMMARY_TERMS",
    "Term",
]

Term = tuple[str, str, str]
"""System, code, display."""

ROOTS = frozenset({"113701", "113500"})
"""X-Ray and Radiopharmaceutical Radiation Dose Report."""
ACCUMULATED = frozenset({"113702", "113811"})
"""Accumulated X-Ray Dose Data (one per plane), CT Accumulated Dose Data."""
ADMINISTRATION = "113502"
EVENTS = frozenset({"113706", "113819", ADMINISTRATION})
"""Irradiation Event X-Ray Data, CT Acquisition, Radiopharmaceutical Administration."""
EVENT_UIDS = frozenset({"113769", "113503"})
"""Irradiation Event UID, Radiopharmaceutical Administration Event UID."""
STARTS = frozenset({"113809", "111526", "123003"})
"""Start of X-Ray Irradiation, DateTime Started, Radiopharmaceutical Start DateTime."""
TARGET_REGION = "123014"
ACQUISITION_PLANE = "113764"
SINGLE_PLANE = "113622"
ACCESSION_NUMBER = "121022"

SUMMARY_CODE = "73569-6"
"""LOINC: radiation exposure and protection information."""
EVENT_CODE = "113852"
"""DCM: Irradiation Event."""


def _terms(**displays: str) -> dict[str, Term]:
    return {code.lstrip("_"): (DCM, code.lstrip("_"), display) for code, display in displays.items()}


SUMMARY_TERMS = _terms(
    _113722="Dose Area Product Total",
    _113725="Dose (RP) Total",
    _113726="Fluoro Dose Area Product Total",
    _113728="Fluoro Dose (RP) Total",
    _113727="Acquisition Dose Area Product Total",
    _113729="Acquisition Dose (RP) Total",
    _113730="Total Fluoro Time",
    _113855="Total Acquisition Time",
    _113731="Total Number of Radiographic Frames",
    _111636="Entrance Exposure at RP",
    _111637="Accumulated Average Glandular Dose",
    _113812="Total Number of Irradiation Events",
    _113813="CT Dose Length Product Total",
)
"""Of an accumulation container, by code."""

_AGENT: Term = (SCT, "349358000", "Radiopharmaceutical agent")
_RADIONUCLIDE: Term = (SCT, "89457008", "Radionuclide")
_ROUTE: Term = (SCT, "410675002", "Route of administration")
AGENT_TERMS = {
    "349358000": _AGENT,
    "C-B02C9": _AGENT,
    "F-61FDB": _AGENT,
    "89457008": _RADIONUCLIDE,
    "C-10072": _RADIONUCLIDE,
    **_terms(_113507="Administered activity", _123005="Radiopharmaceutical Volume"),
    "410675002": _ROUTE,
    "G-C340": _ROUTE,
}
"""Of a radiopharmaceutical administration, for the summary and the event alike, by SNOMED CT, SNOMED RT or DCM code."""

EVENT_TERMS = {
    **_terms(
        _122130="Dose Area Product",
        _113738="Dose (RP)",
        _111631="Average Glandular Dose",
        _111636="Entrance Exposure at RP",
        _113742="Irradiation Duration",
        _113830="Mean CTDIvol",
        _113838="DLP",
        _113835="CTDIw Phantom Type",
    ),
    **AGENT_TERMS,
}
"""Of an irradiation event, by code."""
