"""What `map` takes for an event, and in which order."""

import io
import json
import re
import warnings
from datetime import UTC, datetime
from pathlib import Path

import dicomcast_consumer.mapping
import pydicom
import pydicom.data
import pytest
from dicomcast_consumer.map_input import read_input
from dicomcast_consumer.map_input_dicom import data_set_json
from dicomcast_consumer.map_input_place import EPOCH, InputEvent, InputRejection
from dicomcast_schemas import Action, DicomChangeEvent, State
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.datadict import keyword_for_tag

from tests.fakes.events import metadata

PYDICOM = Path(pydicom.data.__file__).parent
DATA_SET = json.loads(metadata("1.2", "1.2.3", "1.2.3.4"))
EVENT = {
    "feed": "main",
    "sequence": 5,
    "study_instance_uid": "1.2",
    "series_instance_uid": "1.2.3",
    "sop_instance_uid": "1.2.3.4",
    "action": "CREATE",
    "state": "CURRENT",
    "timestamp": "2026-01-02T03:04:05Z",
    "metadata": json.dumps(DATA_SET),
}


def read(*paths: Path | str) -> list[InputEvent | InputRejection]:
    return list(read_input([str(path) for path in paths], feed="given"))


def events(*paths: Path | str) -> list[DicomChangeEvent]:
    found = read(*paths)
    assert all(isinstance(item, InputEvent) for item in found), found
    return [item.event for item in found if isinstance(item, InputEvent)]


def file(folder: Path, content: object, name: str = "input") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_a_dicom_file_is_a_store() -> None:
    (event,) = events(str(get_testdata_file("CT_small.dcm")))
    data_set = pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))
    assert event.study_instance_uid == data_set.StudyInstanceUID
    assert event.sop_instance_uid == data_set.SOPInstanceUID
    assert (event.feed, event.sequence, event.timestamp) == ("given", 1, EPOCH)
    assert (event.action, event.state) == (Action.CREATE, State.CURRENT)
    read_back = json.loads(event.metadata or "")
    assert read_back["00100010"]["Value"] == [{"Alphabetic": str(data_set.PatientName)}]
    assert "7FE00010" not in read_back


def test_a_value_that_pydicom_would_change_stays_as_it_is() -> None:
    data_set = pydicom.Dataset()
    raw = pydicom.dataelem.RawDataElement(pydicom.tag.Tag(0x00200011), "IS", 3, b"1.5", 0, False, True)
    data_set[0x00200011] = raw
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert data_set_json(data_set)["00200011"]["Value"] == ["1.5"]


def test_every_attribute_that_the_mapping_reads_is_converted() -> None:
    sources = Path(dicomcast_consumer.mapping.__file__).parent.glob("*.py")
    tags = {tag for source in sources for tag in re.findall(r'"([0-9A-F]{8})"', source.read_text(encoding="utf-8"))}
    known = {tag for tag in tags if keyword_for_tag(int(tag, 16))}
    assert {"00100020", "0040A043"} <= known
    data_set = pydicom.Dataset()
    for tag in known:
        data_set.add_new(int(tag, 16), "LO", "x")
    assert set(data_set_json(data_set)) == known


def test_a_folder_is_read_by_name_without_what_is_no_instance(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("b/2.json", "a.json"):
        file(tmp_path, {**DATA_SET, "00080018": {"vr": "UI", "Value": [f"1.{len(name)}"]}}, name)
    for name in ("DICOMDIR", ".DS_Store"):
        file(tmp_path, "x", name)
    assert [(e.sop_instance_uid, e.sequence) for e in events(tmp_path)] == [("1.6", 1), ("1.8", 2)]


def test_dicom_json_one_or_an_array_compact_or_not(tmp_path: Path) -> None:
    one = file(tmp_path, DATA_SET, "one")
    spread = file(tmp_path, json.dumps(DATA_SET, indent=2), "spread")
    array = file(tmp_path, json.dumps([DATA_SET, DATA_SET], indent=1), "array")
    found = events(one, spread, array)
    assert [event.sop_instance_uid for event in found] == ["1.2.3.4"] * 4
    assert [event.sequence for event in found] == [1, 2, 3, 4]


def test_ndjson_of_events(tmp_path: Path) -> None:
    lines = [EVENT, {**EVENT, "sequence": 9, "action": "DELETE", "state": "DELETED", "metadata": None}]
    first, second = events(file(tmp_path, "\n".join(map(json.dumps, lines)) + "\n\n"))
    assert first == DicomChangeEvent(
        feed="main",
        sequence=5,
        partition_name=None,
        study_instance_uid="1.2",
        series_instance_uid="1.2.3",
        sop_instance_uid="1.2.3.4",
        action=Action.CREATE,
        state=State.CURRENT,
        timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        file_path=None,
        metadata=EVENT["metadata"],  # type: ignore[arg-type]
    )
    assert (second.sequence, second.action, second.metadata) == (9, Action.DELETE, None)


def test_an_entry_of_the_change_feed_itself(tmp_path: Path) -> None:
    entry = {
        "Sequence": 7,
        "StudyInstanceUid": "1.2",
        "SeriesInstanceUid": "1.2.3",
        "SopInstanceUid": "1.2.3.4",
        "Action": "Create",
        "State": "Replaced",
        "Timestamp": "2020-03-04T01:03:08.4834567+00:00",
        "Metadata": DATA_SET,
    }
    (event,) = events(file(tmp_path, entry))
    assert (event.feed, event.sequence, event.state) == ("given", 7, State.REPLACED)
    assert event.timestamp == datetime(2020, 3, 4, 1, 3, 8, 483456, tzinfo=UTC)
    assert json.loads(event.metadata or "") == DATA_SET


def test_the_order_of_the_input_decides(tmp_path: Path) -> None:
    lines = [{**EVENT, "sequence": n} for n in (5, 3, 20, 20)]
    assert [e.sequence for e in events(file(tmp_path, "\n".join(map(json.dumps, lines))))] == [5, 6, 20, 21]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    content = json.dumps(EVENT).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert [event.sequence for event in events("-")] == [5]


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        ("", "input.empty", None),
        ("hello", "input.not_dicom", None),
        ("{", "input.not_json", 1),
        (json.dumps(EVENT) + "\n{broken\n", "input.not_json", 2),
        ("{broken\n" + json.dumps(EVENT), "input.not_json", 1),
        (json.dumps({**EVENT, "action": None}), "input.event_invalid", 1),
        (json.dumps({**EVENT, "timestamp": "soon"}), "input.event_invalid", 1),
        (json.dumps({**EVENT, "sequence": "5"}), "input.event_invalid", 1),
        ("[1]", "input.not_an_object", None),
    ],
)
def test_what_is_no_event_is_rejected_with_its_place(tmp_path: Path, content: str, code: str, line: int | None) -> None:
    path = file(tmp_path, content)
    rejected = [item for item in read(path) if isinstance(item, InputRejection)]
    assert [(item.code, item.place.line, item.place.input) for item in rejected] == [(code, line, str(path))]


def test_a_missing_file_is_rejected_and_the_rest_is_read(tmp_path: Path) -> None:
    missing, there = tmp_path / "missing", file(tmp_path, DATA_SET)
    first, second = read(missing, there)
    assert isinstance(first, InputRejection)
    assert first.code == "input.unreadable"
    assert isinstance(second, InputEvent)


def test_every_file_of_pydicom_is_an_event_or_a_rejection() -> None:
    found = read(PYDICOM / "test_files", PYDICOM / "charset_files")
    assert len(found) > 170
    assert sum(isinstance(item, InputEvent) for item in found) > 150
    assert {item.code for item in found if isinstance(item, InputRejection)} == {
        "input.not_an_instance",
        "input.not_dicom",
    }


@pytest.mark.parametrize("size", [200, 700, 2000])
def test_a_file_that_was_cut_short_is_said_to_have_no_uid(tmp_path: Path, size: int) -> None:
    path = tmp_path / "cut"
    path.write_bytes(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()[:size])
    (found,) = read(path)
    assert isinstance(found, InputRejection)
    assert found.code == "input.not_an_instance"
    assert re.match(r"it has no (\w+, )*\w+: is the file cut short", found.reason)


def test_a_picture_is_no_dicom(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\2\0\0\0\x90wS\xde")
    assert [item.code for item in read(path) if isinstance(item, InputRejection)] == ["input.not_dicom"]


def test_a_folder_without_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    file(tmp_path, "x", ".hidden")
    (found,) = read(tmp_path)
    assert isinstance(found, InputRejection)
    assert (found.code, found.place.input) == ("input.empty", str(tmp_path))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 5_000), junk=st.binary(max_size=64), at=st.integers(0, 5_000))
def test_damaged_files_raise_nothing(tmp_path: Path, cut: int, junk: bytes, at: int) -> None:
    content = bytearray(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()[:5_000])
    content[at : at + len(junk)] = junk
    path = tmp_path / "damaged"
    path.write_bytes(bytes(content[:cut]))
    assert len(read(path)) == 1
