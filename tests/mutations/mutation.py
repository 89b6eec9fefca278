"""A bug to put back."""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Mutation"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """One bug."""

    name: str
    file: str
    old: str
    """Stands in the file once."""
    new: str
    tests: Sequence[str]
    """Each of them must fail with the bug, and pass without."""
    needs_kafka: bool = False
