"""docs/mapping.md says what the mapping does: attributes, settings and their defaults, reasons, reports, an example."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dicomcast_consumer.mapping as mapping
import pytest
from dicomcast_consumer.__main__ import app
from dicomcast_consumer.mapping import MappingOptions
from pydantic import BaseModel
from pydicom.datadict import keyword_for_tag
from typer.testing import CliRunner

from tests.unit.mapping.tags import tags_read

DOCUMENT = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text(encoding="utf-8")
ATTRIBUTES = DOCUMENT.split("\n## Patient\n")[1].split("\n## Never mapped\n")[0]
EXAMPLE = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)]


def _first_cells() -> list[str]:
    return [line.split(" | ")[0] for line in ATTRIBUTES.splitlines() if line.startswith("| ")]


def test_the_tables_have_exactly_the_attributes_that_the_code_reads() -> None:
    named = {group + element for cell in _first_cells() for group, element in re.findall(r"\((\w{4}),(\w{4})\)", cell)}
    assert named == set(tags_read())


def test_every_attribute_goes_by_its_keyword() -> None:
    pairs = re.findall(r"\((\w{4}),(\w{4})\) ([A-Z]\w+)", DOCUMENT)
    assert len(pairs) > 70
    assert [pair for pair in pairs if keyword_for_tag(int(pair[0] + pair[1], 16)) != pair[2]] == []


def _settings(section: type[BaseModel], path: str) -> Iterator[tuple[str, str]]:
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _settings(field.annotation, f"{path}.{name}")
        else:
            empty = field.default is None or field.default in ({}, frozenset())
            shown = str(field.default).lower() if isinstance(field.default, bool) else field.default
            yield f"{path}.{name}", "none" if empty else f"`{shown}`"


def test_every_setting_is_named_and_no_other() -> None:
    named = set(re.findall(r"`(mapping\.[a-z_.]+)[`=]", DOCUMENT))
    sections = {"mapping.patient", "mapping.include", "mapping.exclude"}
    assert named - sections == {setting for setting, _ in _settings(MappingOptions, "mapping")}


def test_defaults_are_those_of_the_code() -> None:
    defaults = dict(_settings(MappingOptions, "mapping"))
    shown = re.findall(r"`(mapping\.[a-z_.]+)` \((`[^`]+`|none)\)", DOCUMENT)
    assert len(shown) > 20
    assert [pair for pair in shown if defaults[pair[0]] != pair[1]] == []


def _slugs(*functions: str) -> set[str]:
    """The constants that the mapping gives these functions as their last argument."""
    (folder,) = mapping.__path__
    found: set[str] = set()
    for path in Path(folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", None) in functions and node.args:
                strings = [n.value for n in ast.walk(node.args[-1]) if isinstance(n, ast.Constant)]
                found |= {text for text in strings if isinstance(text, str)}
    return found


@pytest.mark.parametrize(
    ("functions", "heading", "end"),
    [
        (("omit",), "| reason |", "Mapped all the same"),
        (("doubt",), "Mapped all the same", "What a person should look at"),
        (("_say",), "What a person should look at", "\n## "),
    ],
)
def test_every_reason_is_explained_and_no_other(functions: tuple[str, ...], heading: str, end: str) -> None:
    rows = DOCUMENT.split(heading, 1)[1].split(end)[0]
    cells = " ".join(line.split(" | ")[0] for line in rows.splitlines() if line.startswith("| `"))
    explained = set(re.findall(r"`([a-z_]+)`", cells))
    assert explained == _slugs(*functions)


def test_the_example_is_what_the_command_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_set, patient, study, report = EXAMPLE
    file = tmp_path / "study.json"
    file.write_text(json.dumps(data_set), encoding="utf-8")
    command = re.search(r"^dicomcast-consumer (map .*) study\.json$", DOCUMENT, re.MULTILINE)
    setting = re.search(r"^export (\w+)=(\S+)$", DOCUMENT, re.MULTILINE)
    assert command is not None
    assert setting is not None
    monkeypatch.setenv(setting[1], setting[2])
    result = CliRunner().invoke(app, [*command[1].split(), str(file)], catch_exceptions=False)
    found: dict[str, Any] = {e["resource"]["resourceType"]: e["resource"] for e in json.loads(result.stdout)["entry"]}
    assert found.keys() == {"Endpoint", "Patient", "ImagingStudy"}
    for shown in (patient, study):
        resource = found[shown["resourceType"]]
        bare = {name: value for name, value in resource.items() if name != "meta"}
        assert json.dumps(shown, indent=2) == json.dumps(bare, indent=2)
    assert json.loads(result.stderr) == report
