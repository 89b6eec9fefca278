"""What the demo shows where there is no terminal: plain lines, whole, without patients."""

from collections.abc import Callable
from pathlib import Path

import pytest
from dicomcast_sandbox.demo.conclusion import conclude, who_is_real
from dicomcast_sandbox.demo.fhir_peer import Snapshot, StudySeen
from dicomcast_sandbox.demo.report import Report
from dicomcast_sandbox.demo.wiring import DemoOptions, Wiring

UID = "2.25.340282366920938463463374607431768211455"
STUDY = StudySeen(
    uid=UID,
    resource="ImagingStudy/7",
    version=3,
    modality="CT",
    started="2001-01-01",
    series=2,
    instances=9,
    patient="Patient/1",
    content={},
)
SNAPSHOT = Snapshot(studies={UID: STUDY}, others={"Patient/1": 1}, patients={"Patient/1": "4711, Jane Roe"})


class _Story:
    uids = (UID,)
    letters = ("0:0  map.patient_id_missing",)


def _wiring(**options: object) -> Wiring:
    return Wiring(
        run="run1",
        options=DemoOptions(**options),  # type: ignore[arg-type]  # each by its name
        bootstrap_servers="127.0.0.1:1",
        fhir_url="http://127.0.0.1:2/fhir",
        dicomweb_url="http://127.0.0.1:3/v2",
        change_feed_url="http://127.0.0.1:3",
    )


@pytest.fixture
def shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def conclusion(**options: object) -> str:
        conclude(Report(steps=1), _Story(), SNAPSHOT, _wiring(**options), tmp_path)  # type: ignore[arg-type]
        return capsys.readouterr().out

    return conclusion


def test_the_table_has_the_study_and_no_patient(shown: Callable[..., str]) -> None:
    output = shown()
    row = next(line for line in output.splitlines() if UID in line)
    assert row.split() == [UID, "ImagingStudy/7", "CT", "2001-01-01", "2", "9", "3"]
    assert "Roe" not in output
    assert "4711" not in output
    assert "\x1b" not in output


def test_patients_are_shown_to_who_asks(shown: Callable[..., str]) -> None:
    assert "Jane Roe" in shown(show_patients=True)


def test_only_what_still_answers_is_named(shown: Callable[..., str]) -> None:
    assert "http://" not in shown()
    assert "http://127.0.0.1:2/fhir/ImagingStudy" in shown(fhir_url="http://127.0.0.1:2/fhir")
    kept = shown(keep=True)
    assert "http://127.0.0.1:2/\n" in kept
    assert "http://127.0.0.1:3/v1/changefeed" in kept


def test_what_is_left_on_real_servers_is_said(shown: Callable[..., str]) -> None:
    assert "left" not in shown()
    output = shown(bootstrap_servers="k:9092", fhir_url="http://f", dicomweb_url="http://d/v2")
    assert output.count("  left ") == 3
    assert "dicomcast.demo.run1" in output


def test_every_stand_in_is_called_one() -> None:
    pids = {"producer": 1, "consumer": 2}
    stand_ins = [name for name, _, what in who_is_real(_wiring(), pids) if what.startswith("stand-in")]
    assert stand_ins == ["DICOM server", "Kafka", "FHIR server"]
    mixed = who_is_real(_wiring(bootstrap_servers="k:9092"), pids)
    assert [name for name, _, what in mixed if what.startswith("stand-in")] == ["DICOM server", "FHIR server"]


def test_a_step_says_what_it_waits_for_and_what_happened(capsys: pytest.CaptureFixture[str]) -> None:
    with Report(steps=3).step("Store [two] files") as step:
        step.doing("STOW-RS")
        step.progress("1 of 2")
        step.happened("stored", seen="GET x")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1/3 Store [two] files"
    assert lines[1] == "    STOW-RS …"
    assert lines[2].startswith("  ✓ stored (")
    assert lines[2].endswith("; seen: GET x)")
    assert len(lines) == 3


def test_a_failure_goes_to_standard_error_with_the_log_of_the_part(capsys: pytest.CaptureFixture[str]) -> None:
    long_line = "event=dead " * 40
    Report(steps=1).failure("the consumer has ended", {"consumer": [long_line], "producer": []})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "error: the consumer has ended",
        "last lines of consumer:",
        f"    {long_line}",
        "last lines of producer:",
        "    (nothing)",
    ]
