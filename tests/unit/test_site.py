"""The site of docs/: each link in it leads somewhere, and no page loads anything from another host."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does, elsewhere."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    documents = [*(ROOT / "docs").glob("*.md")]
    assert len(documents) > 10
    assert [page.name for page in documents if not (site / f"{page.stem}.html").exists()] == []


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    loads = re.compile(r"""(?:<(?:script|img|iframe)[^>]*\ssrc|<link[^>]*\shref)=["'](?:https?:)?//[^"']*""")
    pages = [*site.rglob("*.html")]
    found = [(page.name, load) for page in pages for load in loads.findall(page.read_text(encoding="utf-8"))]
    assert found == []


def test_a_link_to_a_file_of_the_repository_leads_to_that_file(site: Path) -> None:
    assert (site / "repository" / "schemas" / "asyncapi.yaml").read_bytes() == (
        ROOT / "schemas" / "asyncapi.yaml"
    ).read_bytes()
    assert 'href="asyncapi.yaml"' in (site / "repository" / "schemas" / "index.html").read_text(encoding="utf-8")
