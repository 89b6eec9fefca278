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

__all__ = [
    "canonical",
    "digest",
    "digest_of",
    "is_vaguer_code",
    "is_vaguer_coding",
    "is_vaguer_date",
    "offer",
    "offer_single",
]


def digest(element: Resource) -> str:
    """A name for the content of an element: in the marks it says that the element is ours as it stands."""
    return digest_of(canonical(element))


@lru_cache(maxsize=1024)
def digest_of(content: bytes) -> str:
    """The same, of the text by `canonical`."""
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


def canonical(entry: Resource) -> bytes:
    """The element as text, whatever the order of its members."""
    return exact_json.dumps(entry, option=orjson.OPT_SORT_KEYS)
