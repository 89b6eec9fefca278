"""From event to change: what is skipped, what is rejected, what is left out."""

import json
from dataclasses import replace
from typing import Any

import pytest
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import Kind, MappingOptions, SourceProfile, in_partition, read_event
from dicomcast_schemas import Action, State

from tests.unit.mapping.scene import OPTIONS, PROFILE, URL, change, data_set, event, omissions


def _rejection(**rest: Any) -> RejectedError:
    with pytest.raises(RejectedError) as caught:
        change(**rest)
    assert "P1" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("action", "state", "kind", "reason"),
    [
        (Action.CREATE, State.CURRENT, Kind.UPSERT, None),
        (Action.CREATE, State.REPLACED, Kind.UPSERT, None),
        (Action.CREATE, State.UNKNOWN, Kind.UPSERT, None),
        (Action.UPDATE, State.CURRENT, Kind.UPSERT, None),
        (Action.CREATE, State.DELETED, Kind.SKIP, "create-already-deleted"),
        (Action.UPDATE, State.DELETED, Kind.SKIP, "create-already-deleted"),
        (Action.DELETE, State.DELETED, Kind.REMOVE, None),
        (Action.DELETE, State.CURRENT, Kind.REMOVE, None),
        (Action.DELETE, State.REPLACED, Kind.SKIP, "delete-replaced"),
    ],
)
def test_kinds(action: Action, state: State, kind: Kind, reason: str | None) -> None:
    found = change(action=action, state=state)
    assert (found.kind, found.skip_reason) == (kind, reason)
    assert found.is_update is (action is Action.UPDATE and kind is Kind.UPSERT)
    assert (found.instance is not None) is (kind is Kind.UPSERT)


def test_an_unknown_action_is_rejected() -> None:
    error = _rejection(action=Action.UNKNOWN)
    assert (error.reason, error.code) == ("decode", "decode.action_unknown")


def test_an_upsert_without_metadata_is_rejected_and_metadata_read_elsewhere_stands_in() -> None:
    bare = replace(event(), metadata=None)
    with pytest.raises(RejectedError) as caught:
        read_event(bare, profile=PROFILE, options=OPTIONS)
    assert (caught.value.reason, caught.value.code) == ("source", "source.metadata_missing")
    found = read_event(bare, profile=PROFILE, options=OPTIONS, metadata=json.dumps(data_set(StudyDescription="X")))
    assert found.study is not None
    assert found.study.description == "X"


@pytest.mark.parametrize(
    "metadata",
    ["", "nonsense", "[]", "[1]", "null", "17", '"text"', "{", "[" * 5000, '{"00100020":' * 5000, "\ud800", "[{}, {}]"],
)
def test_what_is_no_data_set_is_rejected(metadata: str) -> None:
    assert _rejection(metadata=metadata).code == "map.metadata_malformed"


@pytest.mark.parametrize("value", ["NaN", "-Infinity", '"\\ud800"'])
def test_json_that_servers_write_though_it_is_none(value: str) -> None:
    text = json.dumps(data_set())[:-1] + f', "00189999": {{"vr": "FD", "Value": [{value}]}}}}'
    assert change(metadata=text).kind is Kind.UPSERT


def test_metadata_as_wado_rs_answers_it() -> None:
    assert change(metadata=json.dumps([data_set()])).kind is Kind.UPSERT


@pytest.mark.parametrize("uid", ["", "x", "1" * 65, "1.2/../3"])
@pytest.mark.parametrize("level", ["study", "series", "instance"])
@pytest.mark.parametrize("action", [Action.CREATE, Action.DELETE])
def test_a_uid_that_is_none_is_rejected(uid: str, level: str, action: Action) -> None:
    rejection = _rejection(action=action, **{level: uid})
    assert rejection.code == "map.uid_invalid"
    assert rejection.detail.endswith("is not a DICOM UID" if uid else "is missing")


@pytest.mark.parametrize("uid", [None, "", "1.2.840\x00", "1.2.x"])
def test_a_sop_class_is_required(uid: str | None) -> None:
    if uid == "1.2.840\x00":
        assert change(SOPClassUID=uid).kind is Kind.UPSERT
    else:
        fault = "invalid" if uid else "missing"
        assert _rejection(SOPClassUID=uid).code == f"map.sop_class_uid_{fault}"


@pytest.mark.parametrize("patient_id", [None, "", "  ", "\x00"])
def test_a_patient_id_is_required(patient_id: str | None) -> None:
    assert _rejection(PatientID=patient_id).code == "map.patient_id_missing"


@pytest.mark.parametrize(
    ("sex", "expected"), [("M", "male"), (" f ", "female"), ("O", "other"), ("U", "unknown"), ("", None), (None, None)]
)
def test_sex(sex: str | None, expected: str | None) -> None:
    found = change(PatientSex=sex)
    assert found.patient is not None
    assert found.patient.gender == expected
    assert not found.omissions


def test_another_sex_is_left_out() -> None:
    assert omissions(change(PatientSex="D")) == {("PatientSex", "code_unknown")}


def test_strict_rejects_what_is_left_out_and_names_it_without_its_value() -> None:
    error = _rejection(options=MappingOptions(strict=True), PatientSex="D", SeriesNumber="-77")
    assert error.code == "map.strict"
    assert "PatientSex (code_unknown)" in error.detail
    assert "SeriesNumber (number_out_of_range)" in error.detail
    assert "77" not in error.detail


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, True),
        ({"include": {"modalities": {"CT", "MR"}}}, True),
        ({"include": {"modalities": {"MR"}}}, False),
        ({"include": {"modalities": {"CT"}, "patient_id": "Q.*"}}, False),
        ({"include": {"patient_id": "P[0-9]"}}, True),
        ({"exclude": {"patient_id": "P"}}, True),
        ({"exclude": {"patient_id": "P.+"}}, False),
        ({"exclude": {"sop_classes": {"1.2.840.10008.5.1.4.1.1.2"}}}, False),
        ({"exclude": {"modalities": {"SR"}, "patient_id": "T.*"}}, True),
    ],
)
def test_filters(options: dict[str, Any], wanted: bool) -> None:
    found = change(options=MappingOptions.model_validate(options))
    assert (found.kind is Kind.UPSERT) is wanted
    assert found.skip_reason == (None if wanted else "excluded")


@pytest.mark.parametrize(
    ("served", "named", "expected"),
    [
        (None, None, True),
        (None, "", True),
        (None, "Microsoft.Default", True),
        (None, "north", False),
        ("north", "north", True),
        ("north", "Microsoft.Default", False),
        ("north", None, False),
        ("Microsoft.Default", None, True),
    ],
)
def test_partitions(served: str | None, named: str | None, expected: bool) -> None:
    profile = SourceProfile(feed="pacs", dicomweb_url=URL, partition=served)
    assert in_partition(replace(event(), partition_name=named), profile) is expected


@pytest.mark.parametrize(
    ("sop_class", "attributes", "expected"),
    [
        ("1.2.840.10008.5.1.4.1.1.88.11", {"ConceptNameCodeSequence": {"CodeMeaning": "CT Report"}}, "CT Report"),
        ("1.2.840.10008.5.1.4.1.1.88.59", {"ConceptNameCodeSequence": {"CodeMeaning": "Of Interest"}}, "Of Interest"),
        (
            "1.2.840.10008.5.1.4.1.1.104.1",
            {"DocumentTitle": "Letter", "ConceptNameCodeSequence": {"CodeMeaning": "x"}},
            "Letter",
        ),
        ("1.2.840.10008.5.1.4.1.1.104.1", {"ConceptNameCodeSequence": {"CodeMeaning": "Consult"}}, "Consult"),
        ("1.2.840.10008.5.1.4.1.1.11.1", {"ContentLabel": "ANNOTATED"}, "ANNOTATED"),
        ("1.2.840.10008.5.1.4.1.1.66.4", {"ContentLabel": "SEGMENTS"}, None),
        ("1.2.840.10008.5.1.4.1.1.2", {"ImageType": ["ORIGINAL", "PRIMARY"]}, None),
    ],
)
def test_titles(sop_class: str, attributes: dict[str, Any], expected: str | None) -> None:
    found = change(SOPClassUID=sop_class, **attributes)
    assert found.instance is not None
    assert found.instance.title == expected
