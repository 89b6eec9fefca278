"""`dlq replay` as a user runs it, up to where it would begin."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from click.testing import Result
from dicomcast_consumer import dlq_replay_command
from dicomcast_consumer.__main__ import app
from dicomcast_consumer.dlq import read_letter
from dicomcast_consumer.dlq_done import KeptLetter, kept_letters
from dicomcast_runtime.errors import InputError
from typer.testing import CliRunner

from tests.fakes.events import create, record
from tests.fakes.letter_replay import letter_of

ENVIRONMENT = {
    "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9",
    "DICOMCAST_FHIR__URL": "http://127.0.0.1:9/fhir",
    "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "http://127.0.0.1:9/dicomweb",
}


@dataclass
class Topics:
    """Stands in for LetterTopics."""

    found: Sequence[KeptLetter]
    letters: str = "t.g.dlq"
    done: str = "t.g.dlq.done"

    def kept(self) -> Sequence[KeptLetter]:
        return self.found

    def has_done_topic(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def one_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    letter = letter_of(record(create(1, "1.2", "1.2.3"), offset=4), code="map.patient_id_missing", offset=0)
    found = kept_letters([read_letter(letter)], {})
    monkeypatch.setattr(dlq_replay_command, "LetterTopics", lambda *_, **__: Topics(found))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def replay(*args: str) -> Result:
    return CliRunner().invoke(app, ["dlq", "replay", *args])


@pytest.mark.parametrize("args", [("--code", "map.nonsense"), ("--study", "1.2.4")])
def test_that_nothing_matches_is_said_and_no_server_is_waited_for(args: tuple[str, ...]) -> None:
    found = replay(*args)
    assert found.exit_code == 0
    assert "no pending letter matches" in found.stderr
    found = replay(*args, "--json")
    assert json.loads(found.stdout)["applied"] == 0
    found = replay(*args, "--dry-run", "--json")
    assert json.loads(found.stdout) == {"letters": []}
    assert replay(*args, "--dry-run").stdout.endswith("0 letters; nothing was written (--dry-run)\n")


def test_a_place_without_a_pending_letter_says_how_to_find_the_one_that_stands_for_it() -> None:
    error = replay("0:9").exception
    assert isinstance(error, InputError)
    assert "0:9 (not there, or overtaken: `dlq show` says by which)" in str(error)
