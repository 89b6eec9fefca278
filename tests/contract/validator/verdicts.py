"""What the tests here hold against a resource: the validator's errors, and warnings of a kind that is new."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.services.judge import Issue, Validator

__all__ = ["MISSING_TERMS", "faults", "unknown_term"]

_MISSING_TERMS = """
ANN ASMT CFM CTPROTOCOL DMS DOC EEG EMG EOG FID IOL M3D OPTBSV OPTENF PA PLAN POS RESP RTINTENT RTRAD RTSEGANN RWV
STAIN TEXTUREMAP XAPROTOCOL
"""
MISSING_TERMS = frozenset(_MISSING_TERMS.split())
"""Terms of Modality that the validator's copy of DICOM's code system, of 2018, lacks: the only errors let pass."""

SEEN_WARNINGS = {
    "http://hl7.org/fhir/StructureDefinition/DomainResource#dom-6": "We write no narrative.",
    "Terminology_TX_ValueSet_NotFound": "R4 names value sets that are pages of DICOM and RSNA.",
    "TERMINOLOGY_TX_SYSTEM_UNSUPPORTED": "SNOMED CT is not at hand offline.",
    "Terminology_PassThrough_TX_Message": "A code system is not known to it, such as LOINC, offline.",
    "All_observations_should_have_a_performer": "A dose is measured by a device; no resource is made of it.",
    "All_observations_should_have_an_effectiveDateTime_or_an_effectivePeriod": "Where the report has no time.",
    "TYPE_SPECIFIC_CHECKS_DT_QTY_UCUM_ANNOTATIONS": "Counts have such units in DICOM's own templates.",
    "Type_Specific_Checks_DT_Decimal_Range": "The digits are those of the data set: we round nothing.",
    "Type_Specific_Checks_DT_DateTime_Reasonable": "The data set says so: we correct no dates.",
}
"""Warnings that say nothing against a resource, and why."""

EXTENSIBLE_BINDINGS = re.compile(r"identifier(\[\d+\])?\.type|performer\[\d+\]\.function")
"""Where guides, or DICOM, have kinds of identifiers and performers that R4's own extensible value sets lack."""
_UNKNOWN_TERM = re.compile(r"Unknown code 'http://dicom\.nema\.org/resources/ontology/DCM#(.+)'")


def faults(validator: Validator, resources: Iterable[Mapping[str, Any]]) -> set[str]:
    """What there is against these resources."""
    return {
        f"{resource['resourceType']}: {issue}"
        for resource in resources
        for issue in validator.issues(resource)
        if _counts(issue)
    }


def _counts(issue: Issue) -> bool:
    if issue.is_error:
        return unknown_term(issue) not in MISSING_TERMS
    if issue.kind.startswith("Terminology_TX_") and EXTENSIBLE_BINDINGS.search(issue.location):
        return False
    return issue.severity == "warning" and issue.kind not in SEEN_WARNINGS


def unknown_term(issue: Issue) -> str | None:
    """The code that an error calls unknown to DICOM's code system."""
    found = _UNKNOWN_TERM.fullmatch(issue.text)
    return found[1] if found else None
