"""DICOM JSON as servers send it (rules N1 to N4)."""

from typing import Any

import pytest
from dicomcast_consumer.mapping.elements import DataSet, is_uid

from tests.unit.mapping.scene import change, data_set, omissions


def _read(element: Any) -> DataSet:
    return DataSet({"00200011": element}, "1", [])


@pytest.mark.parametrize(
    "element",
    [
        {"vr": "LO"},
        {"vr": "LO", "Value": []},
        {"vr": "LO", "Value": [None]},
        {"vr": "LO", "Value": [""]},
        {"vr": "LO", "Value": ["  \x00 "]},
        {"vr": "LO", "Value": [None, "second"]},
        {"vr": "LO", "Value": None},
        None,
        "text",
        [],
    ],
)
def test_empty(element: Any) -> None:
    found = _read(element)
    assert found.text("00200011", "X") is None
    assert found.unsigned("00200011", "X") is None
    assert found.omissions == []


@pytest.mark.parametrize("element", [{"vr": "UN", "InlineBinary": "QUJD"}, {"vr": "UN", "BulkDataURI": "b/1"}])
def test_a_value_that_is_only_there_as_binary_is_reported(element: Any) -> None:
    found = _read(element)
    assert found.text("00200011", "X") is None
    assert [(o.attribute, o.reason) for o in found.omissions] == [("SeriesNumber", "binary")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, 7),
        ("  7 ", 7),
        ("+7", 7),
        ("7.0", 7),
        (7.0, 7),
        ("1e2", 100),
        (0, 0),
        (2**31 - 1, 2**31 - 1),
    ],
)
def test_numbers(value: Any, expected: int) -> None:
    assert _read({"vr": "IS", "Value": [value]}).unsigned("00200011", "X") == expected


@pytest.mark.parametrize("value", [-1, 2**31, "7.5", 7.5, "seven", True, {}, "1e999", float("nan"), float("inf"), "٣"])
def test_numbers_that_are_no_unsigned_int_are_reported(value: Any) -> None:
    found = _read({"vr": "IS", "Value": [value]})
    assert found.unsigned("00200011", "X") is None
    assert len(found.omissions) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" two  words ", "two  words"),
        ("a\x00\x07b", "ab"),
        ("line\r\nline", "line\r\nline"),
        ("\ud800x", "x"),
        (42, "42"),
        ("é", "é"),
    ],
)
def test_text(value: Any, expected: str) -> None:
    assert _read({"vr": "LO", "Value": [value]}).text("00200011", "X") == expected


@pytest.mark.parametrize("value", [1.5, True, {"a": 1}, ["x"], "x" * (1024 * 1024 + 1)])
def test_what_is_no_text_is_reported(value: Any) -> None:
    found = _read({"vr": "LO", "Value": [value]})
    assert found.text("00200011", "X") is None
    assert len(found.omissions) == 1


def test_a_scalar_stands_for_its_only_value() -> None:
    assert _read({"vr": "LO", "Value": "one"}).text("00200011", "X") == "one"


def test_tags_in_lower_case_are_read() -> None:
    metadata = {tag.lower(): element for tag, element in data_set(SeriesDescription="axial").items()}
    found = change(metadata=metadata)
    assert found.series is not None
    assert found.series.description == "axial"


@pytest.mark.parametrize(
    ("uid", "expected"),
    [
        ("1.2.840.10008", True),
        ("1.02.3", True),
        ("1" * 64, True),
        ("1" * 65, False),
        ("", False),
        ("1..2", False),
        ("1.2.", False),
        ("1.2 .3", False),
        ("1.2.x", False),
        ("１.2", False),
    ],
)
def test_uids(uid: str, expected: bool) -> None:
    assert is_uid(uid) is expected


def test_an_attribute_is_reported_once() -> None:
    assert omissions(change(SeriesNumber=-3, InstanceNumber="x")) == {
        ("SeriesNumber", "number_out_of_range"),
        ("InstanceNumber", "number_invalid"),
    }
