"""The command line as a process: exit codes, one error on standard error, never a traceback."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from dicomcast_consumer.__main__ import app

DOCS = Path(__file__).parents[3] / "docs" / "consumer-commands.md"
NOWHERE = {"DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9"}


def run(*args: str, env: dict[str, str] | None = None, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DICOMCAST_")}
    result = subprocess.run(
        [sys.executable, "-m", "dicomcast_consumer", *args],
        env={**clean, **(env or {})},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in result.stderr, result.stderr
    return result


def commands() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command by the words that a user types."""
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for sub_name, sub in getattr(command, "commands", {"": command}).items():
            yield f"{name} {sub_name}".strip(), sub


def test_version() -> None:
    result = run("--version")
    assert (result.returncode, bool(re.fullmatch(r"dicomcast-consumer \d+\.\d+\.\d+\S*\n", result.stdout))) == (0, True)


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
        ("map", "--source-url", "pacs", "-"),
    ],
)
def test_a_wrong_command_line_is_64(args: tuple[str, ...]) -> None:
    stdin = '{"00080018": {"vr": "UI", "Value": ["1.2"]}}'
    result = run(*args, env=NOWHERE, stdin=stdin)
    assert result.returncode == 64
    assert result.stderr


@pytest.mark.parametrize("command", ["run", "status", "replay plan --to earliest", "dlq list", "dlq show 0:0"])
def test_missing_settings_are_named_and_64(command: str) -> None:
    result = run(*command.split())
    assert result.returncode == 64
    assert result.stderr.startswith("error: ")
    assert "DICOMCAST_KAFKA" in result.stderr


def test_an_unknown_setting_is_64_for_map_too() -> None:
    result = run("map", "-", env={"DICOMCAST_BOGUS": "1"}, stdin="{}")
    assert (result.returncode, "DICOMCAST_BOGUS" in result.stderr) == (64, True)


def test_a_property_that_librdkafka_does_not_know_is_64() -> None:
    result = run("status", env={**NOWHERE, "DICOMCAST_KAFKA__NO_SUCH_THING": "1"})
    assert (result.returncode, "no.such.thing" in result.stderr) == (64, True)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["status", "replay plan --to earliest", "dlq list"])
def test_kafka_away_is_69(command: str) -> None:
    result = run(*command.split(), env=NOWHERE)
    assert result.returncode == 69
    assert result.stderr.startswith("error: ")


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text('{"00080018": {"vr": "UI", "Value": ["1.2"]}}')
    command = f"{sys.executable} -m dicomcast_consumer map {tmp_path} 2>{tmp_path}/err | true"
    subprocess.run(["bash", "-c", command], check=True, timeout=120)
    assert "Traceback" not in (tmp_path / "err").read_text()


def test_every_command_and_option_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    found = list(commands())
    assert {name for name, _ in found} == {
        *("run", "map", "status", "replay plan", "replay apply", "dlq list", "dlq show")
    }
    for name, command in found:
        section = re.search(rf"^#+ `{name}.*?(?=^#+ `|\Z)", text, re.MULTILINE | re.DOTALL)
        assert section, f"no section for `{name}`"
        for option in {opt for param in command.params for opt in param.opts if opt.startswith("--")} - {"--help"}:
            assert f"`{option}" in section.group(), f"{name}: {option}"


def test_every_command_says_what_it_is_for() -> None:
    assert all(command.help and len(command.help) > 80 for _, command in commands())
    assert all(getattr(p, "help", None) for _, c in commands() for p in c.params if p.name != "help")
