"""The judge itself: a judge that accepts everything is none."""

from typing import Any

import pytest
from dicomcast_consumer.mapping.terminology import DCM, MODALITIES

from tests.contract.validator.verdicts import MISSING_TERMS, faults, unknown_term
from tests.services.judge import Validator

STUDY: dict[str, Any] = {
    "resourceType": "ImagingStudy",
    "id": "1",
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}],
    "status": "available",
    "subject": {"reference": "Patient/1"},
    "started": "2024-05-01T12:00:00+02:00",
    "series": [{"uid": "1.2.3.1", "modality": {"system": DCM, "code": "CT"}}],
}
PATIENT: dict[str, Any] = {"resourceType": "Patient", "identifier": [{"value": "P1"}], "birthDate": "1970-01"}


def test_what_is_right_is_accepted(validator: Validator) -> None:
    assert faults(validator, [STUDY, PATIENT]) == set()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({**STUDY, "status": "foo"}, "imagingstudy-status#foo"),
        ({**STUDY, "id": "1" * 65}, "Too long"),
        ({**STUDY, "description": ""}, "value cannot be empty"),
        ({**STUDY, "note": []}, "Array cannot be empty"),
        ({**STUDY, "started": "2024-05-01T12:00"}, "date/time"),
        ({**STUDY, "started": "2024-02-30"}, "date/time"),
        ({**STUDY, "numberOfSeries": -1}, "numberOfSeries"),
        ({**STUDY, "foo": "bar"}, "foo"),
        ({**STUDY, "series": [{"uid": "1.2.3.1", "modality": {"system": "DCM", "code": "CT"}}]}, "absolute reference"),
        ({**STUDY, "series": [{"uid": "1.2.3.1", "modality": {"system": DCM, "code": "C T T"}}]}, "DCM#C T T"),
        ({**STUDY, "series": [{"uid": "1.2.3.1"}]}, "series.modality"),
        ({name: value for name, value in STUDY.items() if name != "subject"}, "subject"),
        ({**PATIENT, "identifier": [{"system": "", "value": "P1"}]}, "value cannot be empty"),
        ({**PATIENT, "gender": "M"}, "administrative-gender#M"),
        ({**PATIENT, "birthDate": "19700101"}, "date"),
        ({**PATIENT, "name": [{"family": " "}]}, "family"),
    ],
)
def test_what_is_wrong_is_refused(validator: Validator, wrong: dict[str, Any], text: str) -> None:
    assert any(text in fault for fault in faults(validator, [wrong])), faults(validator, [wrong])


def test_decision_8_the_terms_it_lacks_are_exactly_these(validator: Validator) -> None:
    """A validator that has learnt one, or a term of ours that DICOM does not have, fails here."""
    lacking = {
        unknown_term(issue)
        for term in sorted(MODALITIES)
        for issue in validator.issues({**STUDY, "modality": [{"system": DCM, "code": term}]})
        if issue.is_error
    }
    assert lacking == MISSING_TERMS
