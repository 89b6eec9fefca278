"""docs/log-events.md has every event that the processes log, with its level and fields, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEVELS = ("debug", "info", "warning", "error", "critical")
FATES = "(fates)"

Documented = dict[str, tuple[str, frozenset[str]]]


def documented(process: str) -> Documented:
    """Event → level and fields, from the process's table."""
    text = (ROOT / "docs" / "log-events.md").read_text(encoding="utf-8")
    table = text.partition(f"## {process.capitalize()}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (\w+) \| ([^|]*) \| [^|]+ \|$", table, flags=re.MULTILINE)
    return {event: (level, frozenset(filter(None, fields.strip().split(", ")))) for event, level, fields in rows}


def logged(process: str) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Pattern of the event, level and fields of each call of a logger in its own code, or in what both share."""
    package = {"both": "runtime"}.get(process, process)
    for path in sorted((ROOT / package / f"dicomcast_{package}").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_log(node.func):
                fields = frozenset(word.arg or FATES for word in node.keywords)
                for event in _names(node.args[0]):
                    yield _pattern(event), node.func.attr, fields


def _is_log(function: ast.Attribute) -> bool:
    return isinstance(function.value, ast.Name) and function.value.id in ("log", "_log") and function.attr in LEVELS


def _names(event: ast.expr) -> Iterator[ast.expr]:
    if isinstance(event, ast.IfExp):
        yield from (event.body, event.orelse)
    else:
        yield event


def _pattern(event: ast.expr) -> str:
    match event:
        case ast.Constant(value=str(text)):
            return re.escape(text)
        case ast.JoinedStr(values=parts):
            return "".join(_pattern(part) if isinstance(part, ast.Constant) else "[a-z]+" for part in parts)
    raise AssertionError(f"an event's name must stand where it is logged: {ast.dump(event)}")


@pytest.mark.parametrize("process", ["both", "consumer", "producer"])
def test_every_event_is_documented_as_it_is_logged(process: str) -> None:
    known = documented(process)
    for pattern, level, fields in logged(process):
        names = [event for event in known if re.fullmatch(pattern, event)]
        assert names, f"{pattern} is not documented"
        for name in names:
            assert known[name][0] == level, name
            assert fields <= known[name][1], name


@pytest.mark.parametrize("process", ["both", "consumer", "producer"])
def test_nothing_is_documented_that_is_not_logged(process: str) -> None:
    found = list(logged(process))
    for name, (_, fields) in documented(process).items():
        said = [names for pattern, _, names in found if re.fullmatch(pattern, name)]
        assert said, f"{name} is never logged"
        assert fields == frozenset().union(*said), name


@pytest.mark.parametrize("process", ["both", "consumer", "producer"])
def test_an_event_is_named_by_area_and_what_happened(process: str) -> None:
    names = list(documented(process))
    assert names
    assert [name for name in names if not re.fullmatch(r"[a-z_]+\.[a-z_]+", name)] == []
