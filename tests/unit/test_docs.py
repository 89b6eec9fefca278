"""The documents say what the code has: every setting, header, dead-letter code and exit code."""

import re
from pathlib import Path

import pytest
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_schemas import topic
from dicomcast_schemas.topic import DeadLetterHeader

from tests.settings_reference import reference

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")])


def test_the_settings_reference_is_that_of_the_settings() -> None:
    """Else: python -m tests.settings_reference > docs/settings.md"""
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == reference()


def test_every_setting_has_a_description() -> None:
    assert [line for line in reference().splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


@pytest.mark.parametrize("code", list(ExitCode))
def test_every_exit_code_is_in_the_readme(code: ExitCode) -> None:
    assert f"| {int(code)} | " in README


@pytest.mark.parametrize("header", DeadLetterHeader.ALL)
def test_every_dead_letter_header_is_in_the_readme(header: str) -> None:
    assert f"`{header}`" in README


def test_every_event_header_is_in_the_contract() -> None:
    contract = (ROOT / "schemas" / "README.md").read_text(encoding="utf-8")
    names = [
        value for name, value in vars(topic).items() if name.startswith("CE_") or name in ("CONTENT_TYPE", "METADATA")
    ]
    assert len(names) == 8
    assert [name for name in names if f"`{name}`" not in contract] == []


def test_every_dead_letter_code_is_in_the_readme() -> None:
    consumer = ROOT / "consumer" / "dicomcast_consumer"
    sources = [path for path in consumer.rglob("*.py") if path.parent.name != "doctor"]  # its checks have such names
    found = {c for path in sources for c in re.findall(r'"((?:decode|map|fhir|source)\.[a-z_]+)"', path.read_text())}
    assert len(found) > 10
    assert [code for code in sorted(found) if f"`{code}`" not in README] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_settings_named_in_documents_exist() -> None:
    known = set(re.findall(r"DICOMCAST_[A-Z0-9_]*[A-Z0-9]", reference()))
    free = re.compile(
        r"DICOMCAST_(KAFKA__|CONFIG$|SOURCES__[A-Z]+__|MAPPING__CODINGSCHEME__|MAPPING__[A-Z]+__ISSUERS__)"
    )
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    named = {name for text in texts for name in re.findall(r"DICOMCAST_[A-Z0-9_]*[A-Z0-9]", text)}
    sections = {name.split("__")[0] for name in known}
    assert {n for n in named if not {n, n.removesuffix("_FILE")} & (known | sections) and not free.match(n)} == set()
