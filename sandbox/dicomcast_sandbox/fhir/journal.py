"""The journal of requests: what a test counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One request and the status it got (0: the connection ended without an answer)."""

    method: str
    path: str
    query: str
    status: int
    request_size: int
    """Bytes of the body."""


class Journal:
    """The requests in the order of their answers; a faulted one is among them with the fault's status."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []

    def of(self, path_part: str = "", method: str | None = None) -> list[JournalEntry]:
        """Those whose path contains `path_part`."""
        return [one for one in list(self.entries) if path_part in one.path and method in (None, one.method)]

    def writes(self) -> list[JournalEntry]:
        """Those that may have changed something: no reads, no searches."""
        methods = ("POST", "PUT", "DELETE", "PATCH")
        return [one for one in list(self.entries) if one.method in methods and not one.path.endswith("/_search")]

    def clear(self) -> None:
        self.entries.clear()
