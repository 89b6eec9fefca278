"""The help of both command lines: every command, option and argument says in sentences what it is for; completion."""

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from dicomcast_consumer.__main__ import app as consumer_app
from dicomcast_producer.__main__ import app as producer_app
from dicomcast_sandbox.__main__ import app as sandbox_app
from typer.testing import CliRunner

APPS = {"dicomcast-producer": producer_app, "dicomcast-consumer": consumer_app}
DOCS = Path(__file__).parents[2] / "docs"


def texts() -> Iterator[tuple[str, str | None]]:
    """Each thing that `--help` lists, by the words that a user types, with what it says."""
    for name, app in APPS.items():
        yield from _texts(name, typer.main.get_command(app))


def _texts(words: str, command: click.Command) -> Iterator[tuple[str, str | None]]:
    yield words, command.help
    for parameter in command.params:
        if parameter.name != "help":
            yield f"{words} {parameter.opts[0]}", getattr(parameter, "help", None)
    for name, sub in getattr(command, "commands", {}).items():
        yield from _texts(f"{words} {name}", sub)


TEXTS = dict(texts())


def faults(text: str | None) -> list[str]:
    """What keeps a help text from reading as sentences."""
    if not text:
        return ["there is none"]
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    return [
        fault
        for fault, wrong in {
            "it does not begin with a capital": not re.match(r"[A-Z`]", paragraphs[0]),
            "a paragraph does not end as a sentence": not all(part.endswith((".", "?")) for part in paragraphs),
            "it is one word": len(paragraphs[0].split()) < 3,
            "it is two sentences run together": bool(re.search(r"[a-z]\.[A-Z]|\s{2}|\.\.", " ".join(paragraphs))),
        }.items()
        if wrong
    ]


@pytest.mark.parametrize("words", TEXTS)
def test_every_command_option_and_argument_has_help_that_reads_as_a_sentence(words: str) -> None:
    assert faults(TEXTS[words]) == []


def test_there_are_many_and_what_is_no_sentence_is_seen() -> None:
    assert len(TEXTS) > 70
    assert {name.split()[0] for name in TEXTS} == set(APPS)
    for text in (None, "", "Json.", "print one JSON object.", "Print one JSON object", "Print it.Then end."):
        assert faults(text) != []


@pytest.mark.parametrize("process", APPS)
def test_completion_is_installed_for_a_shell_that_then_completes_commands_and_options(
    process: str, tmp_path: Path
) -> None:
    folder = Path(sys.executable).parent
    env = {**os.environ, "HOME": str(tmp_path), "PATH": f"{folder}:{os.environ['PATH']}", "SHELL": "/bin/bash"}

    def bash(script: str) -> str:
        return subprocess.run(
            ["bash", "-c", f"{script}\ntrue"], env=env, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    assert "complete -o default -F" in bash(f"{process} --show-completion")
    bash(f"{process} --install-completion")
    (script,) = (tmp_path / ".bash_completions").iterdir()
    complete = (
        "source {}; words=$(complete -p {} | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); COMP_WORDS=({} {}); COMP_CWORD={}; "
        '$words {}; echo "${{COMPREPLY[@]}}"'
    )
    assert bash(complete.format(script, process, process, "doc", 1, process)).split() == ["doctor"]
    assert "--json" in bash(complete.format(script, process, process, "doctor --", 2, process)).split()


@pytest.mark.parametrize(("process", "app"), [*APPS.items(), ("dicomcast-sandbox", sandbox_app)])
def test_each_program_tells_its_version(process: str, app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"{process} {importlib.metadata.version('dicomcast')}\n")


@pytest.mark.parametrize(
    ("process", "page"), [("dicomcast-producer", "producer"), ("dicomcast-consumer", "consumer-commands")]
)
def test_the_help_has_the_exit_codes_of_the_page(process: str, page: str) -> None:
    documented = re.findall(r"^\| (\d+) \|", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.MULTILINE)
    said = (typer.main.get_command(APPS[process]).help or "").partition("Exit codes:")[2]
    assert re.findall(r"\b(\d+)\b", said) == documented


def test_completion_is_documented() -> None:
    for name, process in (("producer.md", "dicomcast-producer"), ("consumer-commands.md", "dicomcast-consumer")):
        text = (DOCS / name).read_text(encoding="utf-8")
        assert f"{process} --install-completion" in text
        assert f"{process} --show-completion" in text
