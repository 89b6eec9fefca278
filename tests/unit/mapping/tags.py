"""Which attributes the mapping reads, taken from its source: every literal that is a tag."""

import re
from pathlib import Path

import dicomcast_consumer.mapping as mapping
from pydicom.datadict import keyword_for_tag

__all__ = ["tags_read"]

_TAG = re.compile(r'"([0-9A-F]{8})"')


def tags_read() -> list[str]:
    """The tags, sorted, each once."""
    (folder,) = mapping.__path__
    sources = [path.read_text(encoding="utf-8") for path in Path(folder).glob("*.py")]
    found = {tag for source in sources for tag in _TAG.findall(source)}
    return sorted(tag for tag in found if keyword_for_tag(int(tag, 16)))  # not the codes of SNOMED CT
