"""What the site takes from outside of docs/, so that it is whole by itself and each link in it leads somewhere.

On a git host a link from docs/web.md to ../README.md leads to that file. On the site there is only docs/, so this hook
of mkdocs adds the rest under repository/: the documents of PAGES as pages, and every other file that a page links to as
it is. A link is rewritten to where its target went; one to a folder becomes plain text, since a site lists no folders.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
UNDER = "repository"
ICON = ROOT / "consumer" / "dicomcast_consumer" / "web" / "static" / "icon.svg"
PAGES = (
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "schemas/README.md",
    "examples/README.md",
    "producer/orthanc_plugin/README.md",
    "deploy/README.md",
)
"""Documents that stand in the navigation (mkdocs.yml)."""

# A link or image `[text](target#anchor)`.
_LINK = re.compile(r"(?P<head>!?\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\()(?P<target>[^)#\s:]+)(?P<anchor>#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds PAGES, what any page links to outside of docs/, and the icon of the page for people."""
    sources = {f"docs/{file.src_uri}": Path(str(file.abs_src_path)) for file in files.documentation_pages()}
    sources |= {name: ROOT / name for name in PAGES}
    linked = {target for name, path in sources.items() for target in _targets(name, path.read_text(encoding="utf-8"))}
    for name in sorted({*PAGES, *(t for t in linked if not t.startswith("docs/") and (ROOT / t).is_file())}):
        level = InclusionLevel.INCLUDED if name in PAGES else InclusionLevel.NOT_IN_NAV
        files.append(File.generated(config, f"{UNDER}/{name}", abs_src_path=str(ROOT / name), inclusion=level))
    files.append(File.generated(config, "images/favicon.svg", abs_src_path=str(ICON)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrites the links that are written for a git host."""
    here = page.file.src_uri
    name = here.removeprefix(f"{UNDER}/") if here.startswith(f"{UNDER}/") else f"docs/{here}"

    def rewritten(link: re.Match[str]) -> str:
        target = _resolved(name, link["target"])
        if (ROOT / target).is_dir():
            return link["text"]
        uri = target.removeprefix("docs/") if target.startswith("docs/") else f"{UNDER}/{target}"
        return f"{link['head']}{posixpath.relpath(uri, posixpath.dirname(here) or '.')}{link['anchor'] or ''})"

    return _LINK.sub(rewritten, markdown)


def _targets(name: str, markdown: str) -> Iterator[str]:
    return (_resolved(name, link["target"]) for link in _LINK.finditer(markdown))


def _resolved(name: str, target: str) -> str:
    """Path from the root of the repository of what the document `name` calls `target`."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
