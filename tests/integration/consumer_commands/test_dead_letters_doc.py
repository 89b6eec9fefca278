"""docs/dead-letters.md: its commands run as they stand there, and print what stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line
from tests.integration.consumer.test_group import done, produce, studies

DOCUMENT = Path(__file__).parents[3] / "docs" / "dead-letters.md"
UIDS = ("1.2.826.0.1.3680043.8.498.5", "1.2.826.0.1.3680043.8.498.7")


def test_the_walk_through(kafka: str, fhir: RunningFhirServer) -> None:
    line = Line.writing_to(fhir.base_url, bootstrap=kafka)
    produce(line, [create(n, uid, f"{uid}.1", patient_id=None) for n, uid in enumerate(UIDS, 1)])
    with line.consumer() as member:
        done(line, member)
        assert member.stop() == 0
    steps = re.findall(r"```sh\n(.*?)```\n```text\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert len(steps) == 6
    environment: list[str] = []
    for commands, expected in steps:
        environment += [text for text in commands.splitlines() if text.startswith("export ")]
        script = "\n".join(["set -e", *environment, commands])
        printed = shell(line, script)
        for wanted in expected.splitlines():
            pattern = r".*?".join(re.escape(piece.strip()).replace(r"\ ", r"\s+") for piece in wanted.split("…"))
            found = re.search(pattern, printed)
            assert found, f"{wanted!r} is not in what is left of\n{commands}:\n{printed}"
            printed = printed[found.end() :]
    assert sorted(studies(fhir)) == sorted(UIDS)


def shell(line: Line, script: str) -> str:
    """What the commands print; they are those of this installation."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, **line.env, "PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout
