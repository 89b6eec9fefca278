"""Tests that a document names: `[text](path/to/test_file.py) ` followed by one name in backticks, or several."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = ["NamedTest", "missing", "named_tests"]

NamedTest = tuple[str, str]
"""The file, relative to the document's folder, and the name in it."""

_LINK = re.compile(r"\]\(([^)]*test_\w+\.py)\)((?:,? `\w+`)*)")


def named_tests(text: str) -> list[NamedTest]:
    """What the text names; a link without a name has an empty one."""
    return list(_named(text))


def _named(text: str) -> Iterator[NamedTest]:
    for file, names in _LINK.findall(text):
        for name in re.findall(r"`(\w+)`", names) or [""]:
            yield file, name


def missing(found: NamedTest, folder: Path) -> str:
    """Why there is no such test; empty when there is. `folder`: the document's."""
    path, name = folder / found[0], found[1]
    if not path.is_file():
        return f"{found[0]} does not exist"
    return "" if name in _defined(path) else f"{found[0]} has no test {name or 'named'}"


def _defined(path: Path) -> set[str]:
    """Names of test functions, and of state machines as tests (`TestCore = Core.TestCase`)."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in names if name.lower().startswith("test")}
