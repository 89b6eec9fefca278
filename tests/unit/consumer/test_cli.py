"""The command line as a process: exit codes, one error on standard error, never a traceback."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
import typer
from dicomcast_consumer.__main__ import app, main

DOCS = Path(__file__).parents[3] / "docs" / "consumer-commands.md"
NOWHERE = {"DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}


@dataclass(frozen=True)
class Result:
    """How a command line ended."""

    code: int
    out: str
    err: str


class Run(Protocol):
    """Runs main() as a process would."""

    def __call__(self, *args: str, env: dict[str, str] | None = None, stdin: str = "") -> Result: ...


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*args: str, env: dict[str, str] | None = None, stdin: str = "") -> Result:
        for name in [name for name in os.environ if name.startswith("DICOMCAST_")]:
            monkeypatch.delenv(name)
        for name, value in (env or {}).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr("sys.argv", ["dicomcast-consumer", *args])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Result(int(ended.value.code or 0), captured.out, captured.err)

    return run


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command by the words that a user types."""
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for sub_name, sub in getattr(command, "commands", {"": command}).items():
            yield f"{name} {sub_name}".strip(), sub


def test_version(run: Run) -> None:
    result = run("--version")
    assert (result.code, bool(re.fullmatch(r"dicomcast-consumer \d+\.\d+\.\d+\S*\n", result.out))) == (0, True)


@pytest.mark.parametrize(
    "args",
    [
        ("bogus",),
        ("map",),
        ("status", "--bogus"),
        ("run", "extra"),
        ("replay", "plan", "--to", "soonest"),
        ("replay", "plan"),
        ("replay", "apply", "--to", "earliest", "--study", "1.2", "--yes"),
        ("dlq", "show", "x"),
        ("dlq", "list", "--since", "lately"),
        ("dlq", "list", "--source", "x"),
        ("dlq", "list", "--state", "lost"),
        ("dlq", "replay"),
        ("dlq", "replay", "x"),
        ("map", "--source-url", "pacs", "-"),
    ],
)
def test_a_wrong_command_line_is_64(run: Run, args: tuple[str, ...]) -> None:
    stdin = '{"00080018": {"vr": "UI", "Value": ["1.2"]}}'
    result = run(*args, env=NOWHERE, stdin=stdin)
    assert result.code == 64
    assert result.err


@pytest.mark.parametrize(
    "command", ["run", "status", "replay plan --to earliest", "dlq list", "dlq show 0:0", "dlq replay --all"]
)
def test_missing_settings_are_named_and_64(run: Run, command: str) -> None:
    result = run(*command.split())
    assert result.code == 64
    assert result.err.startswith("error: ")
    assert "DICOMCAST_KAFKA" in result.err


def test_a_file_that_cannot_be_written_is_64_before_kafka_is_asked(run: Run, tmp_path: Path) -> None:
    result = run("replay", "plan", "--to", "earliest", "--csv", str(tmp_path / "none" / "x"), env=NOWHERE)
    assert (result.code, result.err) == (64, f"error: --csv {tmp_path}/none/x: No such file or directory\n")


def test_an_unknown_setting_is_64_for_map_too(run: Run) -> None:
    result = run("map", "-", env={"DICOMCAST_BOGUS": "1"}, stdin="{}")
    assert (result.code, "DICOMCAST_BOGUS" in result.err) == (64, True)


def test_a_property_that_librdkafka_does_not_know_is_64(run: Run) -> None:
    result = run("status", env={**NOWHERE, "DICOMCAST_KAFKA__NO_SUCH_THING": "1"})
    assert (result.code, "no.such.thing" in result.err) == (64, True)


@pytest.mark.parametrize("command", ["status", "replay plan --to earliest", "dlq list"])
def test_kafka_away_is_69(run: Run, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr("dicomcast_consumer.group_admin._TIMEOUT_S", 1.0)
    result = run(*command.split(), env=NOWHERE)
    assert result.code == 69
    assert result.err.startswith("error: ")
    assert "Kafka at 127.0.0.1:9 does not answer" in result.err
    assert "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS" in result.err


def test_a_bug_is_one_line_without_what_it_says(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("Doe^Jane")

    monkeypatch.setattr("dicomcast_consumer.map_command.load_settings", broken)
    result = run("map", "-")
    assert result.code == 70
    assert result.err.startswith("error: KeyError at test_cli.py:")
    assert "Doe" not in result.err


def test_a_reader_that_stops_reading_is_no_error_and_what_it_writes_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"00080018": {"vr": "UI", "Value": ["1.2"]}}')
    command = f"{sys.executable} -m dicomcast_consumer map {tmp_path} {tmp_path}/err 2>{tmp_path}/err | true"
    subprocess.run(["bash", "-c", command], check=True, timeout=120)
    reported = (tmp_path / "err").read_text()
    assert "Traceback" not in reported
    assert [json.loads(line)["code"] for line in reported.splitlines() if '"code"' in line] == [
        "map.uid_invalid",
        "input.is_output",
    ]


def test_every_command_and_option_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    found = list(commands())
    assert {name for name, _ in found} == {
        *(
            "doctor",
            "run",
            "map",
            "status",
            "verify",
            "web",
            "replay plan",
            "replay apply",
            "dlq list",
            "dlq show",
            "dlq replay",
        )
    }
    for name, command in found:
        section = re.search(rf"^#+ `{name}.*?(?=^#+ `|\Z)", text, re.MULTILINE | re.DOTALL)
        assert section, f"no section for `{name}`"
        for option in {opt for param in command.params for opt in param.opts if opt.startswith("--")} - {"--help"}:
            assert f"`{option}" in section.group(), f"{name}: {option}"


def test_every_command_says_what_it_is_for() -> None:
    assert all(command.help and len(command.help) > 80 for _, command in commands())
    assert all(getattr(p, "help", None) for _, c in commands() for p in c.params if p.name != "help")


def test_a_command_imports_what_it_needs_and_no_more() -> None:
    """Help and the commands that look at Kafka must not wait for the mapping, FHIR's models or a registry client."""
    heavy = ("pydicom", "fhir", "confluent_kafka.schema_registry", "structlog", "dicomcast_consumer.mapping")
    code = f"import sys; import dicomcast_consumer.__main__; print([n for n in {heavy!r} if n in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "[]"
