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


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("store"), st.sampled_from("ab"), st.sampled_from("123")),
        st.tuples(st.just("delete"), st.sampled_from("ab"), st.sampled_from("123")),
        st.tuples(st.just("tell again"), st.sampled_from("ab"), st.sampled_from("123")),
        st.tuples(st.sampled_from(["callbacks are lost", "callbacks come", "restart"]), st.just(""), st.just("")),
    ),
    max_size=12,
)


def perform(steps: list[tuple[str, str, str]], directory: Path, instances: dict[str, Stored]) -> list[Entry]:
    """Runs the steps; then restarts once more and returns the entries of the settled log."""
    orthanc = FakeOrthanc(directory, instances)
    left = list(steps)
    while left:
        with orthanc.running():
            while left:
                step, patient, sop = left.pop(0)
                if step == "restart":
                    break
                apply(orthanc, step, patient, sop)
        orthanc = FakeOrthanc(directory, instances)
    with orthanc.running():
        return settled(orthanc)


def apply(orthanc: FakeOrthanc, step: str, patient: str, sop: str) -> None:
    orthanc_id = Stored(patient=patient, study="1.2", series="1.2.3", sop=f"1.2.3.{sop}", file_uuid="").id_at(4)
    match step:
        case "store":
            orthanc.store(patient, "1.2", "1.2.3", f"1.2.3.{sop}")
        case "delete":
            orthanc.delete(orthanc_id)
        case "tell again":
            orthanc.tell_again(orthanc_id)
        case "callbacks are lost" | "callbacks come":
            orthanc.silent = step == "callbacks are lost"


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_log_ends_right_whatever_happens_to_the_callbacks(steps: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        entries = perform(steps, Path(directory), {})
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


@pytest.mark.parametrize("failures", [1, 2, 5])
def test_a_failing_database_of_orthanc_delays_but_loses_nothing(orthanc: FakeOrthanc, failures: int) -> None:
    orthanc.failures = failures
    with orthanc.running(RETRY_S=0.01):
        orthanc.store("a", "1.2", "1.2.3", "1.2.3.4")
        settled(orthanc, 1)
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


def test_python_3_9_can_read_it_and_it_needs_nothing_else() -> None:
    tree = ast.parse(PLUGIN.read_text(), feature_version=(3, 9))
    nodes = list(ast.walk(tree))
    imported = {name.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {(node.module or "").split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported <= {
        "__future__", "datetime", "email", "html", "json", "orthanc", "os", "queue", "re", "sqlite3", "threading",
        "time", "typing", "urllib",
    }  # fmt: skip
