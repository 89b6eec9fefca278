"""Validation by shape says what fhir.resources says, whatever has been validated before."""

import copy
from typing import Any

import pytest
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import endpoint_resource, validate_new, validation
from fhir.resources.R4B.imagingstudy import ImagingStudy
from fhir.resources.R4B.patient import Patient
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.mapping.scene import Scene, code, event

_ISSUER = {"UniversalEntityID": "1.2.9", "UniversalEntityIDType": "ISO"}


def _scene() -> Scene:
    scene = Scene()
    said: dict[str, Any] = {
        "PatientName": "Doe^Jane",
        "PatientSex": "F",
        "PatientBirthDate": "19700101",
        "StudyDate": "20200131",
        "StudyTime": "120000",
        "TimezoneOffsetFromUTC": "+0100",
        "AccessionNumber": "A1",
        "IssuerOfAccessionNumberSequence": _ISSUER,
        "StudyDescription": "CHEST",
        "SeriesNumber": 3,
        "BodyPartExamined": "CHEST",
        "ProcedureCodeSequence": code("36643-5", "LN", "XR Chest"),
        "ReferringPhysicianName": "Ref^Doc",
    }
    scene.send(event(1, InstanceNumber=1, **said), event(2, instance="1.2.3.1.2", InstanceNumber=2, **said))
    return scene


SCENE = _scene()
MODELS = {"ImagingStudy": ImagingStudy, "Patient": Patient}
LEAVES = st.one_of(
    st.text(max_size=12),
    st.integers(-3, 2**33),
    st.booleans(),
    st.none(),
    st.sampled_from(["2020-02-30", "2020", "2020-13", "20200101", "2020-01-01T10:00:00Z", "2020-01-01T25:00:00Z"]),
    st.sampled_from(["", " ", "a b", "a  b", "x" * 65, "1.2.3", "1_2", "\x0b", "urn:oid:1", [], {}, ["a"], [None]]),
)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every place below a node: the container and the key of it."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
    return [(node, key) for key in keys] + [place for key in keys for place in _places(node[key])]


def _is_refused(resource: dict[str, Any]) -> bool:
    try:
        validate_new(resource)
    except RejectedError:
        return True
    return False


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([SCENE.study, SCENE.patient]), st.data())
def test_any_change_of_a_resource_is_judged_as_by_fhir_resources(known: dict[str, Any], data: st.DataObject) -> None:
    assert not _is_refused(known)
    resource = copy.deepcopy(known)
    for _ in range(data.draw(st.integers(1, 3))):
        container, key = data.draw(st.sampled_from(_places(resource)))
        if key == "resourceType":
            continue
        if data.draw(st.booleans()):
            container[key] = data.draw(LEAVES)
        else:
            del container[key]
    try:
        MODELS[known["resourceType"]].model_validate(resource)
    except ValidationError:
        assert _is_refused(resource)
    else:
        assert not _is_refused(resource)


@pytest.mark.parametrize(
    ("element", "value"),
    [("birthDate", "2020-02-30"), ("birthDate", "1970-01-01T10:00:00Z"), ("gender", "a  b"), ("active", "x")],
)
def test_a_known_shape_does_not_let_a_wrong_value_pass(element: str, value: Any) -> None:
    validate_new({"resourceType": "Patient", "birthDate": "1970-01-01", "gender": "male", "active": True})
    with pytest.raises(RejectedError, match=element):
        validate_new(
            {"resourceType": "Patient", "birthDate": "1970-01-01", "gender": "male", "active": True, element: value}
        )


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "_MOST_SHAPES", 3)
    for count in range(1, 8):
        validate_new({"resourceType": "Patient", "name": [{"family": "x"}] * count})
        assert len(validation._valid) <= 3
    assert endpoint_resource("https://dicom.example")["status"] == "active"
