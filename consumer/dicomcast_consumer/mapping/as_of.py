"""The one rule by which a shared value is taken: newest wins, never emptier, never less precise, older ones fill."""

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson

from .. import exact_json
from .dates import is_refinement
from .identity import Resource
from .marks import Marks
from .values import Mark

__all__ = ["digest", "is_vaguer_code", "is_vaguer_coding", "is_vaguer_date", "merge_list", "offer", "offer_single"]


def digest(element: Resource) -> str:
    """A name for the content of an element: in the marks it says that the element is ours as it stands."""
    return _digest(_sort_key(element))


@lru_cache(maxsize=1024)
def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def is_vaguer_date(value: Any, than: Any) -> bool:
    """The same date with less of it."""
    return is_refinement(than, value)


def is_vaguer_code(value: Any, than: Any) -> bool:
    """`unknown` beside a code that says something."""
    return bool(value == "unknown" and than != value)


def is_vaguer_coding(value: Any, than: Any) -> bool:
    """A display beside a code, nothing beside a display."""
    return _precision(value) < _precision(than)


def _precision(coding: Resource) -> int:
    return 2 if coding.get("code") else 1 if coding.get("display") else 0


def _never(value: Any, than: Any) -> bool:
    return False


def offer(
    target: Resource,
    element: str,
    value: Any,
    *,
    name: str,
    mark: Mark,
    marks: Marks,
    is_vaguer: Callable[[Any, Any], bool] = _never,
) -> None:
    """Set target[element] to `value` if the rule says so. `name` is the value's name in the marks."""
    if value is None:
        return
    known = target.get(element)
    if known is not None and known != value:
        if is_vaguer(value, known):
            return
        if is_vaguer(known, value):
            marks.drop(name)  # the vaguer value's mark says nothing about the exact one
        elif marks.is_older(mark, name):
            return
    target[element] = value
    marks.take(name, mark)


def offer_single(target: Resource, element: str, value: Resource | None, *, mark: Mark, marks: Marks) -> None:
    """Set a single element that others may have written: only if it is absent, or still as we wrote it."""
    if value is None:
        return
    known = target.get(element)
    if known is not None and known != value:
        name = f"{element}/{digest(known)}"
        if marks.get(name) is None or marks.is_older(mark, name):
            return
        marks.drop(name)
    target[element] = value
    marks.take(f"{element}/{digest(value)}", mark)


def merge_list(
    target: Resource,
    element: str,
    entries: list[Resource],
    *,
    is_same: Callable[[Resource, Resource], bool],
    replaces: bool,
    mark: Mark,
    marks: Marks,
) -> None:
    """Add entries to a list that others write to as well: theirs stay first and untouched, ours come sorted after.

    An entry that is there already, by `is_same`, is not added. With `replaces` (an update, or a re-store) entries that
    are not there yet take the place of ours; an event older than such a replacement adds nothing.
    """
    known = target.get(element) or []
    if marks.get(element) is None and all(entry in known for entry in entries):
        _confirm(element, entries, mark, marks)
        return
    fresh = [entry for entry in entries if not any(is_same(entry, other) for other in known)]
    ours = {f"{element}/{digest(entry)}": entry for entry in known}
    ours = {name: entry for name, entry in ours.items() if marks.get(name) is not None}
    if ours and marks.is_older(mark, element):
        return
    if fresh and replaces and ours:
        for name in [name for name in ours if not marks.is_older(mark, name)]:
            known = [entry for entry in known if entry is not ours[name]]
            del ours[name]
            marks.drop(name)
        fresh = [entry for entry in entries if not any(is_same(entry, other) for other in known)]
        marks.take(element, mark)
    for entry in entries:
        name = f"{element}/{digest(entry)}"
        if entry in fresh or name in ours:
            marks.take(name, mark)
    if fresh:
        theirs = [entry for entry in known if all(entry is not other for other in ours.values())]
        target[element] = theirs + sorted([*ours.values(), *fresh], key=_sort_key)


def _confirm(element: str, entries: list[Resource], mark: Mark, marks: Marks) -> None:
    """Entries that are there as they are: those that are ours are now of this mark."""
    for entry in entries:
        name = f"{element}/{digest(entry)}"
        if marks.get(name) is not None:
            marks.take(name, mark)


def _sort_key(entry: Resource) -> bytes:
    return exact_json.dumps(entry, option=orjson.OPT_SORT_KEYS)
