"""`dicomcast-sandbox demo` as a person runs it: with stand-ins, and with real servers in the place of each."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.services.peers import OrthancServer

TIMEOUT_S = 240
NAMES = ("Doe", "CompressedSamples", "Last", "Archibald", "Lestrade", "Jones", "Lastname", "OFFIS")
"""Parts of the patients' names in the files, and of what stands beside them."""
STAND_INS = ("in memory", "proves nothing about exactly-once")


def _environment(tmp_path: Path, given: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DICOMCAST_")}
    return {**kept, **given, "TMPDIR": str(tmp_path)}


def _demo(tmp_path: Path, *options: str, given: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dicomcast_sandbox", "demo", "--timeout-s", "90", *options],
        env=_environment(tmp_path, given or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _require_the_story(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr
    assert [f"{number}/6 " in done.stdout for number in range(1, 7)] == [True] * 6
    assert "13 files stored are 5 ImagingStudy resources with 13 instances" in done.stdout
    # A server that stores one file after the other may show a study half-way: then it has more versions.
    assert re.search(r"series 1 → 2, instances 4 → 7, version \d+ → \d+", done.stdout)
    assert re.search(r"series 2 → 1, instances 4 → 3, version \d+ → \d+", done.stdout)
    assert "map.patient_id_missing" in done.stdout
    assert "no version rose: 5 ImagingStudy" in done.stdout or "every resource ends equal" in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if re.match(r" +2\.25\.[0-9]+ +ImagingStudy/", line)]
    seen = {row[2]: tuple(row[3:6]) for row in rows}
    assert seen == {
        "CR": ("2001-01-01T00:00:00+00:00", "3", "3"),
        "CT": ("2001-01-01T00:00:00+00:00", "2", "7"),
        "MR": ("2003-05-05T02:51:09+00:00", "1", "3"),
        "RTPLAN": ("2003-07-16T15:35:57+00:00", "1", "1"),
        "SR": ("–", "1", "1"),
    }
    assert [name for name in NAMES if name in done.stdout + done.stderr] == []


def _pids(output: str) -> list[int]:
    return [int(pid) for pid in re.findall(r"process (\d+)", output)]


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_with_nothing_but_python(tmp_path: Path) -> None:
    done = _demo(tmp_path)
    _require_the_story(done)
    assert all(text in done.stdout for text in STAND_INS)
    assert len(_pids(done.stdout)) == 2
    assert not [pid for pid in _pids(done.stdout) if _alive(pid)]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_with_real_servers_in_the_place_of_the_stand_ins(
    tmp_path: Path, kafka: str, hapi: str, orthanc: OrthancServer
) -> None:
    options = ("--bootstrap-servers", kafka, "--fhir-url", hapi, "--dicomweb-url", orthanc.dicomweb_url)
    given = {
        "DICOMCAST_FEED__AUTH__KIND": "basic",
        "DICOMCAST_FEED__AUTH__USERNAME": orthanc.user,
        "DICOMCAST_FEED__AUTH__PASSWORD": orthanc.password,
        # The producer waits for a reader's sake; here nothing else is stored meanwhile.
        "DICOMCAST_FEED__GAP_SETTLE_S": "1",
    }
    for _ in range(2):  # a second run finds what the first has left
        done = _demo(tmp_path, *options, given=given)
        _require_the_story(done)
        assert not [text for text in STAND_INS if text in done.stdout]
        assert orthanc.password not in done.stdout + done.stderr


@pytest.mark.slow
def test_keep_leaves_everything_running_until_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dicomcast_sandbox", "demo", "--keep"]
    env = _environment(tmp_path, {})
    lines: list[str] = []
    demo = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert demo.stdout is not None
    try:
        for line in demo.stdout:
            lines.append(line)
            if "until Ctrl-C" in line:
                break
        output = "".join(lines)
        pids = [int(pid) for pid in re.findall(r"\d+", lines[-1])]
        assert [_alive(pid) for pid in pids] == [True] * 5, output
        env_file = re.search(r"^  \. (\S+);", output, re.MULTILINE)
        assert env_file, output
        script = f". {env_file[1]} && {sys.executable} -m dicomcast_consumer status"
        status = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False)
    finally:
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    assert demo.returncode == 0
    assert "lag 0" in status.stdout, status.stderr
    assert not [pid for pid in pids if _alive(pid)]


@pytest.mark.slow
def test_a_server_that_does_not_answer_ends_it_with_the_log_of_who_waited(tmp_path: Path) -> None:
    done = _demo(tmp_path, "--fhir-url", "http://127.0.0.1:9/fhir", "--timeout-s", "25")
    assert done.returncode == 69
    assert "last lines of consumer" in done.stderr
    assert "fhir_server.waiting" in done.stderr
    assert "Traceback" not in done.stderr
