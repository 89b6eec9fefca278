"""Where FHIR servers differ within R4, and the two sets of answers that the tests use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """The choices of one server."""

    stale_status: Literal[409, 412] = 409
    """To an If-Match that names another version (R4 http.html#concurrency: 412; HAPI: 409)."""
    weak_entry_etag: bool = False
    """A transaction entry's etag is W/"1" (R4's examples) instead of 1 (HAPI)."""
    delete_honours_if_match: bool = False
    """HAPI deletes whatever the version."""
    merge_equal_creates: bool = True
    """HAPI answers two equal conditional creates of one transaction with one entry, so that later positions shift."""
    cached_history_total: bool = True
    """HAPI lists as many versions as the resource had when its history was first asked for, the newest."""
    page_size: int = 20
    """Matches on a page when `_count` is absent (HAPI's starter project: 20)."""
    page_size_limit: int = 200


HAPI = Dialect()
STRICT = Dialect(
    stale_status=412,
    weak_entry_etag=True,
    delete_honours_if_match=True,
    merge_equal_creates=False,
    cached_history_total=False,
)
