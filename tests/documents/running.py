"""Running what the documents show: a shell as a person types into it, and single lines as processes."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.documents.shell import Block, blocks

__all__ = ["Shell", "lines", "shell", "shows", "steps", "without_settings"]

_PATIENCE_S = 600.0


@dataclass(slots=True, kw_only=True)
class Shell:
    """One bash for a whole document: variables, background jobs and the folder stay from block to block."""

    process: "subprocess.Popen[bytes]"
    log: Path
    count: int = field(default=0, init=False)

    def run(self, text: str) -> str:
        """What it prints, errors included. Fails when a command of it does."""
        return self._typed(f"{text}\n")

    def look(self, text: str) -> str:
        """The same, and a command may fail: what it asks may not be up yet."""
        return self._typed(f"{{ {text}\n}} || true\n")

    def _typed(self, text: str) -> str:
        self.count += 1
        mark, begin = f"<<<{self.count}>>>\n", self.log.stat().st_size
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}printf '%s\\n' '{mark.strip()}'\n".encode())
        self.process.stdin.flush()
        until = time.monotonic() + _PATIENCE_S
        while mark not in (printed := self.log.read_bytes()[begin:].decode(errors="replace")):
            assert self.process.poll() is None, f"a command failed:\n{text}{printed}"
            assert time.monotonic() < until, f"no end of\n{text}{printed}"
            time.sleep(0.1)
        return printed.replace(mark, "")


@contextmanager
def shell(folder: Path, env: Mapping[str, str]) -> Iterator[Shell]:
    """A Shell in `folder`, ended with everything that it started."""
    log = folder / "shell.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-e"],
            cwd=folder,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Shell(process=process, log=log)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)


def steps(document: Path) -> list[tuple[Block, Block | None]]:
    """Each block of commands with the text block right behind it, which is part of what it prints."""
    found: list[tuple[Block, Block | None]] = []
    for block in blocks(document):
        if block.language == "text":
            commands, before = found[-1]
            assert before is None
            assert block.line == commands.line + commands.text.count("\n") + 2, f"{block.name} follows no commands"
            found[-1] = (commands, block)
        else:
            found.append((block, None))
    return found


def shows(printed: str, expected: str) -> bool:
    """Whether the lines of `expected` stand in what was printed, in their order."""
    return re.search(".*?".join(re.escape(line) for line in expected.splitlines()), printed, re.DOTALL) is not None


def lines(block: Block) -> list[str]:
    """The lines of a block as a shell takes them: continued ones joined, without comments that stand alone."""
    joined = block.text.replace("\\\n", " ").splitlines()
    return [line for line in joined if line.strip() and not line.startswith("#")]


def without_settings() -> dict[str, str]:
    """This process's environment without settings of ours, and without a virtual environment's."""
    unwanted = ("DICOMCAST_", "VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
