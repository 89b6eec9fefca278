"""The examples of docs/security.md, as they stand there."""

import re
import shlex
from pathlib import Path

__all__ = ["acl_commands", "settings_example"]

DOCUMENT = Path(__file__).parents[3] / "docs" / "security.md"


def settings_example(name: str) -> dict[str, str]:
    """The environment of the block that begins with `# name`."""
    lines = (shlex.split(line, comments=True) for line in _block(name).splitlines())
    return dict(line[1].split("=", 1) for line in lines if line[:1] == ["export"])


def acl_commands() -> list[list[str]]:
    """The arguments of every kafka-acls command."""
    blocks = [block for block in _blocks() if "kafka-acls" in block]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("kafka-acls")]


def _block(name: str) -> str:
    (found,) = (block for block in _blocks() if block.startswith(f"# {name}\n"))
    return found


def _blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
