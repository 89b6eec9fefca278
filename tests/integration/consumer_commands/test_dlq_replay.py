"""dlq replay as a process on a real broker, alone and beside the live consumer."""

import json
import signal
from collections.abc import Sequence
from typing import Any

import httpx
from dicomcast_schemas import DicomChangeEvent

from tests.fakes.events import create, delete
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, Running, eventually
from tests.integration.consumer.test_group import done, produce, studies

PLACEHOLDER = {"DICOMCAST_MAPPING__MISSING_PATIENT_ID": "placeholder"}


def command(line: Line, *args: str, code: int = 0, **env: str) -> str:
    with line.started("dicomcast_consumer", *args, env=env) as running:
        assert running.process.wait(90) == code, running.text
        assert "Traceback" not in running.text
        return running.text


def replay(line: Line, *args: str, code: int = 0, **env: str) -> dict[str, Any]:
    """The counts that are not 0."""
    (document,) = (
        json.loads(text)
        for text in command(line, "dlq", "replay", "--json", *args, code=code, **env).splitlines()
        if text.startswith("{")
    )
    return {name: count for name, count in document.items() if count}


def letters(line: Line, *args: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in command(line, "dlq", "list", "--json", *args).splitlines()]


def consumed(line: Line, events: Sequence[DicomChangeEvent], **env: str) -> None:
    """A member applies the events and rejects what it must."""
    produce(line, events)
    with line.consumer(env=env) as member:
        done(line, member)
        assert member.stop() == 0


def without_patient(first: int, count: int) -> list[DicomChangeEvent]:
    return [create(first + n, f"1.{first + n}", f"1.{first + n}.1", patient_id=None) for n in range(count)]


def test_find_mend_replay_and_it_is_not_listed_any_more(line: Line, fhir: RunningFhirServer) -> None:
    consumed(line, [*without_patient(1, 3), create(9, "1.9", "1.9.1")])
    assert {one["code"] for one in letters(line)} == {"map.patient_id_missing"}
    assert replay(line, "--all", code=65) == {"rejected_again": 3}
    assert [(one["attempts"], one["letters"]) for one in letters(line)] == [(2, 2)] * 3
    (first,) = letters(line, "--study", "1.1")
    dry = command(line, "dlq", "replay", "--all", "--dry-run", **PLACEHOLDER)
    assert dry.count("mapped: upsert") == 3
    assert len(letters(line)) == 3
    assert replay(line, first["position"], **PLACEHOLDER) == {"applied": 1}
    assert sorted(studies(fhir)) == ["1.1", "1.9"]
    shown = json.loads(command(line, "dlq", "show", "--json", first["position"]))
    assert shown["state"].startswith("applied at ")
    assert shown["replay"] is None
    (left, _) = letters(line)
    assert replay(line, "--source", left["source"].partition("[")[2].replace("]@", ":"), **PLACEHOLDER) == {
        "applied": 1
    }
    assert replay(line, "--code", "map", "--since", "1h", **PLACEHOLDER) == {"applied": 1}
    assert sorted(studies(fhir)) == ["1.1", "1.2", "1.3", "1.9"]
    assert letters(line) == []
    assert {one["outcome"] for one in letters(line, "--state", "done")} == {"applied"}
    assert replay(line, "--all") == {}
    assert "done already" in command(line, "dlq", "replay", first["position"], code=65)


def test_a_group_replay_doubles_letters_and_each_event_counts_once(line: Line, fhir: RunningFhirServer) -> None:
    consumed(line, without_patient(1, 2))
    command(line, "replay", "apply", "--to", "earliest", "--yes")
    with line.consumer() as member:
        done(line, member)
        assert member.stop() == 0
    assert [one["letters"] for one in letters(line)] == [2, 2]
    assert replay(line, "--all", **PLACEHOLDER) == {"applied": 2}
    assert letters(line) == []
    command(line, "replay", "apply", "--to", "earliest", "--yes")
    with line.consumer() as member:
        done(line, member)
        assert member.stop() == 0
    assert len(letters(line)) == 2, "rejected again after it was done: FHIR may have been emptied meanwhile"


def test_beside_the_live_consumer_later_events_win(line: Line, fhir: RunningFhirServer) -> None:
    """Creates are letters; while they are replayed, a live member deletes half of the instances."""
    count = 40
    consumed(line, [create(n, f"1.{n % 5}", f"1.{n % 5}.{n}", patient_id=None) for n in range(1, count + 1)])
    deletes = [delete(100 + n, f"1.{n % 5}", f"1.{n % 5}.{n}") for n in range(1, count + 1, 2)]
    with (
        line.consumer() as member,
        line.started("dicomcast_consumer", "dlq", "replay", "--all", "--json", env=PLACEHOLDER) as replaying,
    ):
        for n in range(0, len(deletes), 5):
            produce(line, deletes[n : n + 5])
        assert replaying.process.wait(90) == 0, replaying.text
        done(line, member)
        assert member.stop() == 0
    found = sorted(uid for uids in studies(fhir).values() for uid in uids)
    assert found == sorted(f"1.{n % 5}.{n}" for n in range(2, count + 1, 2))
    assert letters(line) == []


def test_two_replays_at_once_double_nothing(line: Line, fhir: RunningFhirServer) -> None:
    consumed(line, [create(n, f"1.{n}", f"1.{n}.1", patient_id=None) for n in range(1, 31)])
    args = ("dlq", "replay", "--all", "--json")
    with (
        line.started("dicomcast_consumer", *args, env=PLACEHOLDER) as one,
        line.started("dicomcast_consumer", *args, env=PLACEHOLDER) as two,
    ):
        assert (one.process.wait(90), two.process.wait(90)) == (0, 0), one.text + two.text
    assert studies(fhir) == {f"1.{n}": [f"1.{n}.1"] for n in range(1, 31)}
    assert len(httpx.get(f"{fhir.base_url}/ImagingStudy", params={"_count": "100"}).json()["entry"]) == 30
    assert letters(line) == []


def interrupted(running: Running, fhir: RunningFhirServer) -> None:
    eventually(lambda: bool(fhir.journal.of("_search")), lambda: running.text, running)
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(60) == 130, running.text


def test_ctrl_c_leaves_the_letters_pending(line: Line, fhir: RunningFhirServer) -> None:
    consumed(line, without_patient(1, 3))
    fhir.journal.clear()
    fhir.faults.answer(503, times=None, when=lambda seen: seen.path.endswith("_search"))
    with line.started("dicomcast_consumer", "dlq", "replay", "--all", env=PLACEHOLDER) as running:
        interrupted(running, fhir)
        assert "left 3" in running.text
    fhir.faults.clear()
    assert replay(line, "--all", **PLACEHOLDER) == {"applied": 3}


def test_fhir_away_is_69_and_the_letters_stay(line: Line, fhir: RunningFhirServer) -> None:
    consumed(line, without_patient(1, 1))
    fhir.faults.answer(503, times=None, when=lambda seen: seen.path.endswith("_search"))
    assert replay(line, "--all", "--wait", "2", code=69, **PLACEHOLDER) == {"left": 1}
    assert "1 letter stays pending" in command(line, "dlq", "replay", "--all", "--wait", "2", code=69, **PLACEHOLDER)
    assert len(letters(line)) == 1


def test_what_is_wrong_is_said_before_anything_is_done(line: Line, fhir: RunningFhirServer) -> None:
    assert "--all" in command(line, "dlq", "replay", code=64)
    assert "7:7 (not there" in command(line, "dlq", "replay", "7:7", code=65)
    assert "topics apply --group other" in command(
        line, "dlq", "replay", "--all", code=64, DICOMCAST_CONSUMER__GROUP="other"
    )
