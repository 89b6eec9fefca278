"""Every shell command of README.md and docs/ could be run: commands, options, targets, settings and files exist."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.documents.check import exported, problems, settings_problems
from tests.documents.shell import DOCUMENTS, ROOT, Block, blocks, commands, inline_commands

BLOCKS = [block for document in DOCUMENTS for block in blocks(document) if block.language != "text"]


def block(text: str) -> Block:
    return Block(document=ROOT / "README.md", line=1, language="sh", text=text)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_each_command_exists_with_its_options(block: Block) -> None:
    assert [problem for command in commands(block) for problem in problems(command)] == []


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_what_a_block_sets_is_accepted_by_both_processes(block: Block) -> None:
    assert settings_problems([pair for command in commands(block) for pair in exported(command)]) == []


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language != "console"], ids=lambda block: block.name)
def test_a_shell_can_read_each_block(block: Block) -> None:
    read = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_commands_and_settings_in_the_prose_exist(document: Path) -> None:
    found = [*inline_commands(document)]
    assert [problem for _, command in found for problem in problems(command, mentioned=True)] == []
    assert [problem for _, command in found for problem in settings_problems(exported(command))] == []


def test_there_are_many() -> None:
    """Else the documents are not read as they are written."""
    ours = [c for b in BLOCKS for c in commands(b) if c.words[:1] and c.words[0].startswith("dicomcast-")]
    fences = sum(len(re.findall(r"^ *```(?:sh|bash|console)$", d.read_text("utf-8"), re.M)) for d in DOCUMENTS)
    assert (len(BLOCKS), len(ours) > 60) == (fences, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dicomcast-consumer dlqs list", "No such command 'dlqs'"),
        ("dicomcast-consumer dlq list --codes map", "No such option"),
        ("dicomcast-consumer replay plan --to soonest", "soonest"),
        ("dicomcast-consumer dlq", "no subcommand"),
        ("dicomcast-producer cursor set --to soonest", "start"),
        ("dicomcast-producer cursor set", "incomplete"),
        ("cat x | dicomcast-producer topics plans > y", "No such command 'plans'"),
        ("dicomcast-sandbox fhir --port 808080 &", "808080"),
        ("make demos", "no target demos"),
        ("make chaos SECOND=900", "no variable SECOND"),
        ("python examples/read_topics.py a b c 1", "there is no examples/read_topics.py"),
        ("python -m tests.nowhere", "no module tests.nowhere"),
        ("pip install 'dicomcast[consumers]'", "no extra consumers"),
        ("pip install leftpad", "leftpad is none"),
        ("kubectl scale deployment/consumer --replicas=0", "no deployment/consumer"),
        ("kubectl exec pod/x -- env A=1 dicomcast-consumer page", "No such command 'page'"),
        ("X=$(dicomcast-consumer stats)", "No such command 'stats'"),
        ("curl -s http://127.0.0.1:9580/readyz", "looked up -s"),
        ("systemctl restart orthanc", "no test knows"),
    ],
)
def test_what_is_wrong_is_found(text: str, says: str) -> None:
    found = [problem for command in commands(block(text)) for problem in problems(command)]
    assert says in " ".join(found)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("export DICOMCAST_FHIR__URLL=http://fhir", "FHIR__URLL: there is no such setting"),
        ("export DICOMCAST_MAPPING__PATIENT__SYSTEM=mrn   # ours", "not an absolute URI"),
        ("DICOMCAST_TOPIC__PARTITIONS=many dicomcast-producer topics apply", "TOPIC__PARTITIONS"),
        ("env DICOMCAST_FHRI__URL=http://fhir dicomcast-consumer run", "no section"),
        ("export DICOMCAST_FHIR__AUTH__KIND=oauth", "AUTH__KIND"),
    ],
)
def test_a_wrong_setting_is_found(text: str, says: str) -> None:
    found = settings_problems([pair for command in commands(block(text)) for pair in exported(command)])
    assert says in " ".join(found)


def test_what_a_shell_makes_of_a_line() -> None:
    line = "A=1 curl -H 'B: c' \"http://x/?a=b&c=d\" 2> log | head -1 && kill $(jobs -p)  # ends it\n"
    found = [(command.assignments, command.words) for command in commands(block(line))]
    assert found == [
        ((), ("jobs", "-p")),
        ((("A", "1"),), ("curl", "-H", "B: c", "http://x/?a=b&c=d")),
        ((), ("head", "-1")),
        ((), ("kill", "SUBSTITUTED")),
    ]
