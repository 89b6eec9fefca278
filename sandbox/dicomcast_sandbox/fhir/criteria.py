"""Search values of R4 search.html: token, string and reference, with their escapes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from dicomcast_sandbox.fhir.json_text import JsonObject
from dicomcast_sandbox.fhir.references import literal_key
from dicomcast_sandbox.fhir.store import Key, Version

Kind = Literal["token", "string", "reference", "id"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParameter:
    """One search parameter of one type: where its values are and how they compare."""

    name: str
    kind: Kind
    path: tuple[str, ...]
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """`parameter` has one of `values` (comma = OR, R4 3.1.1.5); several criteria of a query must all hold."""

    parameter: SearchParameter
    modifier: str
    values: tuple[str, ...]
    """Still escaped."""

    def holds(self, version: Version) -> bool:
        """Whether the resource matches."""
        if self.parameter.kind == "id":
            return any(version.key.id == id_of(value, version.key.type) for value in self.values)
        found = list(values_at(version.content(), self.parameter.path))
        return any(self._matches(item, value) for value in self.values for item in found)

    def _matches(self, found: Any, value: str) -> bool:
        match self.parameter.kind:
            case "token":
                return _token_matches(found, value)
            case "string":
                return _string_matches(str(found), unescaped(value), exact=self.modifier == "exact")
            case _:
                return self._reference_matches(found, unescaped(value))

    def _reference_matches(self, found: Any, value: str) -> bool:
        key = literal_key(str(found.get("reference", ""))) if isinstance(found, dict) else None
        if key is None or (self.modifier and key.type != self.modifier):
            return False
        return key in {literal_key(value), *(Key(type_, value) for type_ in self.parameter.targets)}


def split_values(text: str) -> tuple[str, ...]:
    """At the commas that no backslash escapes; the parts keep their escapes."""
    return tuple(part for part in _split(text, ",") if part)


def unescaped(text: str) -> str:
    r"""`\,` `\|` `\$` `\\` without their backslash; any other backslash stands for itself."""
    return re.sub(r"\\([,|$\\])", r"\1", text)


def token_parts(text: str) -> tuple[str | None, str]:
    """System (None: any; "": none) and code of a token (R4 3.1.1.4.10)."""
    parts = _split(text, "|")
    if len(parts) == 1:
        return None, unescaped(text)
    return unescaped(parts[0]), unescaped("|".join(parts[1:]))


def id_of(value: str, type_: str) -> str:
    """`1` of `1` or `Patient/1`."""
    return value.removeprefix(f"{type_}/")


def values_at(node: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """What is at `path`, through every array on the way."""
    if isinstance(node, list):
        for item in node:
            yield from values_at(item, path)
    elif not path:
        yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from values_at(node[path[0]], path[1:])


def _split(text: str, separator: str) -> list[str]:
    parts, escaped = [""], False
    for character in text:
        if character == separator and not escaped:
            parts.append("")
        else:
            parts[-1] += character
        escaped = character == "\\" and not escaped
    return parts


def _token_matches(found: Any, value: str) -> bool:
    system, code = token_parts(value)
    return any(
        (not code or code == of_code) and (system is None or system == of_system)
        for of_system, of_code in _codes(found)
    )


def _codes(found: Any) -> Iterator[tuple[str, str]]:
    """(system, code) of a code, Coding, CodeableConcept or Identifier."""
    if not isinstance(found, dict):
        yield "", str(found)
        return
    for coding in _codings(found):
        yield str(coding.get("system", "")), str(coding.get("code", coding.get("value", "")))


def _codings(found: JsonObject) -> list[JsonObject]:
    codings = found.get("coding")
    return codings if isinstance(codings, list) else [found]


def _string_matches(found: str, value: str, *, exact: bool) -> bool:
    return found == value if exact else _folded(found).startswith(_folded(value))


def _folded(text: str) -> str:
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return plain.casefold()
