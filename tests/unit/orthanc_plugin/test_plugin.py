"""The change feed plugin on a fake Orthanc: laws of its log, and the faults that a real one cannot be made to show."""

from __future__ import annotations

import ast
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.dicom_orthanc import PLUGIN, FakeOrthanc, Stored

PATIENCE_S = 20.0
Entry = dict[str, Any]


@pytest.fixture
def orthanc(tmp_path: Path) -> FakeOrthanc:
    return FakeOrthanc(tmp_path, {})


def page(orthanc: FakeOrthanc, **query: str) -> list[Entry]:
    answer = orthanc.get("/v1/changefeed", **{"limit": "100", **query})
    assert answer.status == 200, answer
    return list(json.loads(answer.body))


def settled(orthanc: FakeOrthanc, count: int | None = None) -> list[Entry]:
    """The entries once they agree with what Orthanc has (and, where given, are `count`)."""
    until = time.monotonic() + PATIENCE_S
    while True:
        entries = page(orthanc, includeMetadata="false")
        state = {entry["sopInstanceUid"]: entry for entry in entries}
        there = {stored.sop for stored in orthanc.instances.values()}
        current = {sop for sop, entry in state.items() if entry["action"] != "Delete" and entry["state"] == "Current"}
        if there == current and count in (None, len(entries)):
            return entries
        assert time.monotonic() < until, f"the log does not agree with what is stored: {entries}"
        time.sleep(0.002)


INSTANCES = st.tuples(st.sampled_from("ab"), st.sampled_from("12"))
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["store"] * 4 + ["delete"] * 3 + ["tell again", "callbacks are lost", "callbacks come", "restart"]
        ),
        INSTANCES,
    ),
    min_size=3,
    max_size=15,
)
Step = tuple[str, tuple[str, str]]


def perform(steps: list[Step], directory: Path) -> list[Entry]:
    """Runs the steps, restarts once more and returns the entries of the settled log."""
    instances: dict[str, Stored] = {}
    orthanc = FakeOrthanc(directory, instances)
    left = list(steps)
    while left:
        with orthanc.running():
            while left:
                step, (patient, sop) = left.pop(0)
                if step == "restart":
                    break
                perform_one(orthanc, step, patient, sop)
        orthanc = FakeOrthanc(directory, instances)
    with orthanc.running():
        return settled(orthanc)


def perform_one(orthanc: FakeOrthanc, step: str, patient: str, sop: str) -> None:
    """Each SOP instance is in a study of its own, so that studies come and go."""
    uids = (f"1.{sop}", f"1.{sop}.1", f"1.{sop}.1.1")
    orthanc_id = Stored(patient, *uids, file_uuid="").id_at(4)
    match step:
        case "store":
            orthanc.store(patient, *uids)
        case "delete":
            orthanc.delete(orthanc_id)
        case "tell again":
            orthanc.tell_again(orthanc_id)
        case _:
            orthanc.silent = step == "callbacks are lost"


@settings(max_examples=40, deadline=None)
@given(steps=STEPS)
def test_log_ends_right_whatever_happens_to_the_callbacks(steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        entries = perform(steps, Path(directory))
    assert [entry["sequence"] for entry in entries] == [*range(1, len(entries) + 1)]
    times = [entry["timestamp"] for entry in entries]
    assert times == sorted(times)
    there: set[str] = set()
    for entry in entries:
        sop = entry["sopInstanceUid"]
        assert (entry["action"] == "Create") == (sop not in there), "Create what was not there; Update, Delete what was"
        (there.discard if entry["action"] == "Delete" else there.add)(sop)
    for sop in {entry["sopInstanceUid"] for entry in entries}:
        states = [entry["state"] for entry in entries if entry["sopInstanceUid"] == sop]
        expected = ["Replaced"] * (len(states) - 1) + ["Current"] if sop in there else ["Deleted"] * len(states)
        assert states == expected


def states(entries: list[Entry], sop: str) -> list[tuple[str, str]]:
    return [(entry["action"], entry["state"]) for entry in entries if entry["sopInstanceUid"] == sop]


def test_what_happens_while_callbacks_are_lost_is_found_at_the_next_start(tmp_path: Path) -> None:
    instances: dict[str, Stored] = {}
    with FakeOrthanc(tmp_path, instances).running() as orthanc:
        for number in range(3):
            orthanc.store("a", f"1.{number}", "1.2.3", f"9.{number}")
        settled(orthanc, 3)
        orthanc.silent = True
        orthanc.delete(next(iter(instances)))
        orthanc.store("a", "1.1", "1.2.3", "9.1")
        orthanc.store("a", "1.3", "1.2.3", "9.3")
    with FakeOrthanc(tmp_path, instances).running() as orthanc:
        entries = settled(orthanc, 6)
    assert states(entries, "9.0") == [("Create", "Deleted"), ("Delete", "Deleted")]
    assert states(entries, "9.1") == [("Create", "Replaced"), ("Update", "Current")]
    assert states(entries, "9.2") == [("Create", "Current")]
    assert states(entries, "9.3") == [("Create", "Current")]


def test_overwriting_is_one_update_however_often_it_is_told(orthanc: FakeOrthanc) -> None:
    with orthanc.running():
        orthanc_id = orthanc.store("a", "1.2", "1.2.3", "9")
        settled(orthanc, 1)
        orthanc.store("a", "1.2", "1.2.3", "9")
        entries = settled(orthanc, 2)
        orthanc.tell_again(orthanc_id)
        orthanc.store("a", "1.2", "1.2.3", "10")
        settled(orthanc, 3)
    assert states(entries, "9") == [("Create", "Replaced"), ("Update", "Current")]


def test_one_sop_instance_of_two_patients_is_there_until_both_are_gone(orthanc: FakeOrthanc) -> None:
    with orthanc.running():
        older = orthanc.store("a", "1.2", "1.2.3", "9")
        settled(orthanc, 1)
        newer = orthanc.store("b", "1.2", "1.2.3", "9")
        settled(orthanc, 2)
        orthanc.delete(older)
        entries = settled(orthanc, 3)
        assert states(entries, "9") == [("Create", "Replaced"), ("Update", "Replaced"), ("Update", "Current")]
        orthanc.delete(newer)
        assert states(settled(orthanc, 4), "9")[-1] == ("Delete", "Deleted")


@pytest.mark.parametrize("failures", [1, 2, 5])
@pytest.mark.parametrize("scanned", [True, False])
def test_a_failing_orthanc_delays_but_loses_nothing(orthanc: FakeOrthanc, failures: int, scanned: bool) -> None:
    with orthanc.running(RETRY_S=0.01):
        if scanned:
            until = time.monotonic() + PATIENCE_S
            while "/studies" not in orthanc.asked and time.monotonic() < until:
                time.sleep(0.002)
        orthanc.failures = failures
        orthanc.store("a", "1.2", "1.2.3", "1.2.3.4")
        orthanc.store("a", "1.2", "1.2.3", "1.2.3.5")
        settled(orthanc, 2)
    assert orthanc.errors
    assert not any("value of a data set" in text for text in orthanc.errors), "exceptions may carry patient data"


def test_a_clock_that_is_set_back_does_not_reorder(orthanc: FakeOrthanc, monkeypatch: pytest.MonkeyPatch) -> None:
    with orthanc.running():
        for count, now_s in enumerate((1000, 400, 1001), 1):
            monkeypatch.setattr(time, "time_ns", lambda now_s=now_s: now_s * 10**9)
            orthanc.store("a", "1.2", "1.2.3", f"1.2.3.{count}")
            entries = settled(orthanc, count)
    assert [entry["timestamp"][11:19] for entry in entries] == ["00:16:40", "00:16:40", "00:16:41"]


class TestAnswers:
    def test_window_of_v1(self, orthanc: FakeOrthanc) -> None:
        with orthanc.running():
            for number in range(4):
                orthanc.store("a", "1.2", "1.2.3", f"9.{number}")
            settled(orthanc, 4)
            assert [entry["sequence"] for entry in page(orthanc, offset="1", limit="2")] == [2, 3]

    def test_empty_feed(self, orthanc: FakeOrthanc) -> None:
        with orthanc.running():
            assert page(orthanc) == []
            assert (orthanc.get("/v1/changefeed/latest").status, orthanc.get("/v2/changefeed/latest").body) == (204, "")

    def test_only_get(self, orthanc: FakeOrthanc) -> None:
        with orthanc.running():
            assert orthanc.get("/v1/changefeed", method="POST").status == 405

    def test_metadata_without_bulk_at_any_depth(self, orthanc: FakeOrthanc) -> None:
        with orthanc.running():
            orthanc.store("a", "1.2", "1.2.3", "1.2.3.4")
            settled(orthanc)
            (entry,) = page(orthanc)
        assert entry["metadata"] == {
            "00080018": {"vr": "UI", "Value": ["1.2.3.4"]},
            "00100020": {"vr": "LO", "Value": ["a"]},
            "00400260": {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["c"]}}]},
            "00082112": {"vr": "SQ"},
        }

    def test_date_is_given_for_the_windows_of_v2(self, orthanc: FakeOrthanc) -> None:
        with orthanc.running():
            assert (orthanc.get("/v2/changefeed").headers or {})["Date"].endswith(" GMT")

    @pytest.mark.parametrize("text", ["2023-05-03T10:58:00%2B02:00", "2023-05-03T10:58:00+02:00", "2023-05-03T08:58Z"])
    def test_times_arrive_escaped_or_not(self, orthanc: FakeOrthanc, text: str) -> None:
        """Orthanc 1.10 hands over the query as it was sent, others unescape it."""
        with orthanc.running():
            assert orthanc.get("/v2/changefeed", startTime=text).status == 200

    def test_one_unreadable_instance_fails_its_page_only_with_metadata(self, orthanc: FakeOrthanc) -> None:
        with orthanc.running():
            orthanc.store("a", "1.2", "1.2.3", "1.2.3.4")
            orthanc.poisoned.add("1.2.3.4")
            settled(orthanc)
            assert orthanc.get("/v1/changefeed").status == 500
            assert len(page(orthanc, includeMetadata="false")) == 1

    def test_a_missing_dicomweb_plugin_is_an_error_not_an_entry_without_metadata(self, orthanc: FakeOrthanc) -> None:
        orthanc.dicomweb = False
        with orthanc.running():
            orthanc.store("a", "1.2", "1.2.3", "1.2.3.4")
            settled(orthanc)
            assert orthanc.get("/v1/changefeed").status == 500
            assert "OrthancException 17" in orthanc.errors[-1]

    def test_an_instance_that_two_patients_have_is_an_entry_without_metadata(self, orthanc: FakeOrthanc) -> None:
        with orthanc.running():
            for patient in "ab":
                orthanc.store(patient, "1.2", "1.2.3", "1.2.3.4")
            assert all("metadata" not in entry for entry in page(orthanc))


class TestConfiguration:
    def test_database_beside_the_configuration(self, tmp_path: Path) -> None:
        with FakeOrthanc(tmp_path, {}, ChangeFeed={"Database": "log.sqlite"}).running():
            assert (tmp_path / "log.sqlite").exists()

    def test_default_is_in_the_storage_directory(self, tmp_path: Path) -> None:
        (tmp_path / "store").mkdir()
        with FakeOrthanc(tmp_path, {}, StorageDirectory="store").running():
            assert (tmp_path / "store" / "change-feed.sqlite").exists()

    def test_unknown_setting_is_named(self, tmp_path: Path) -> None:
        wrong = FakeOrthanc(tmp_path, {}, ChangeFeed={"Path": "x"})
        with pytest.raises(ValueError, match=r"ChangeFeed\.Path is not a setting"), wrong.running():
            pass

    def test_database_that_cannot_be_opened_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_text("this is not an SQLite database, whatever its name says")
        wrong = FakeOrthanc(tmp_path, {}, ChangeFeed={"Database": "log"})
        with pytest.raises(ValueError, match=r"ChangeFeed\.Database .*/log: file is not a database"), wrong.running():
            pass


def test_python_3_9_can_read_it_and_it_needs_nothing_else() -> None:
    tree = ast.parse(PLUGIN.read_text(), feature_version=(3, 9))
    nodes = list(ast.walk(tree))
    imported = {name.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported <= {
        "__future__", "datetime", "email", "html", "json", "orthanc", "os", "queue", "re", "sqlite3", "threading",
        "time", "typing", "urllib",
    }  # fmt: skip
