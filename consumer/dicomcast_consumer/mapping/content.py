"""The content tree of a Structured Report (PS3.3 C.17.3), read with bounds: an absurd one is cut, never an error."""

from collections.abc import Iterator, Set
from dataclasses import dataclass, field

from .elements import DataSet

__all__ = ["ContentItem", "code_of", "read_content"]

MAX_DEPTH = 40
"""Levels below the root; templates have less than ten."""
MAX_ITEMS = 100_000
"""A long interventional procedure has about 7,000."""


@dataclass(frozen=True, slots=True, eq=False)
class ContentItem:
    """One content item: its data set, the code of its concept name, how it belongs to its parent, what is below it."""

    data_set: DataSet
    code: str | None
    relationship: str | None
    children: list["ContentItem"] = field(default_factory=list)

    def below(self, *, without: Set[str]) -> Iterator["ContentItem"]:
        """All items below, each before its own; not what has a code of `without`, nor what is below that."""
        for child in self.children:
            if child.code not in without:
                yield child
                yield from child.below(without=without)


def code_of(item: DataSet | None) -> str | None:
    """The code value of an item of a code sequence, whatever its scheme."""
    value = item.first("00080100") if item is not None else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip(" \x00") or None if isinstance(value, str) else None


def read_content(data_set: DataSet) -> ContentItem:
    """The tree under the data set's root. What is beyond the bounds is left out and noted."""
    root = _item(data_set)
    level, count = [root], 0
    for depth in range(MAX_DEPTH + 1):
        following: list[ContentItem] = []
        for parent in level:
            for found in parent.data_set.items("0040A730"):
                child = _item(found)
                parent.children.append(child)
                following.append(child)
        count += len(following)
        if not following:
            return root
        if depth == MAX_DEPTH or count > MAX_ITEMS:
            for parent in level:
                parent.children.clear()
            data_set.omit("ContentSequence", "too_deep" if depth == MAX_DEPTH else "too_many_items")
            return root
        level = following
    return root


def _item(data_set: DataSet) -> ContentItem:
    relationship = data_set.first("0040A010")
    return ContentItem(
        data_set,
        code_of(data_set.item("0040A043")),
        relationship.strip().upper() if isinstance(relationship, str) else None,
    )
