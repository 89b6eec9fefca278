"""Searches: from a query to the resources that match it, and those that they include."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from dicomcast_sandbox.fhir.criteria import (
    Criterion,
    Kind,
    SearchParameter,
    id_of,
    split_values,
    token_parts,
    values_at,
)
from dicomcast_sandbox.fhir.outcome import FhirError
from dicomcast_sandbox.fhir.references import literal_key
from dicomcast_sandbox.fhir.store import Key, Store, Version

Pairs = Sequence[tuple[str, str]]
RESULT_PARAMETERS = frozenset({"_count", "_include", "_format", "_pretty", "_total", "_summary"})
_MODIFIERS = {"string": ("", "exact"), "reference": ("",), "token": ("",), "id": ("",)}


def _param(name: str, kind: Kind, path: str, *targets: str) -> SearchParameter:
    return SearchParameter(name=name, kind=kind, path=tuple(path.split(".")), targets=targets)


_ANY_TYPE = (
    _param("_id", "id", "id"),
    _param("_tag", "token", "meta.tag"),
    _param("identifier", "token", "identifier"),
)
_OF_TYPE = {
    "ImagingStudy": (
        _param("subject", "reference", "subject", "Patient", "Group", "Device"),
        _param("patient", "reference", "subject", "Patient"),
        _param("endpoint", "reference", "endpoint", "Endpoint"),
        _param("status", "token", "status"),
    ),
    "Endpoint": (
        _param("name", "string", "name"),
        _param("connection-type", "token", "connectionType"),
        _param("status", "token", "status"),
    ),
    "Observation": (
        _param("subject", "reference", "subject", "Patient", "Group", "Device", "Location"),
        _param("patient", "reference", "subject", "Patient"),
        _param("part-of", "reference", "partOf", "ImagingStudy"),
        _param("focus", "reference", "focus", "ImagingStudy"),
        _param("derived-from", "reference", "derivedFrom", "ImagingStudy"),
        _param("code", "token", "code"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A parsed search of one type."""

    type: str
    criteria: tuple[Criterion, ...]
    includes: tuple[SearchParameter, ...]
    count: int | None
    """Of matches on a page; 0: only the total."""


def parameters_of(type_: str) -> dict[str, SearchParameter]:
    """The search parameters of a type by name."""
    return {one.name: one for one in (*_ANY_TYPE, *_OF_TYPE.get(type_, ()))}


def parse_query(type_: str, pairs: Pairs) -> Query:
    """FhirError 400 for what the server does not know, 405 for a modifier that it does not offer.

    As HAPI, a parameter with an empty value is no criterion: `identifier=` finds everything.
    """
    criteria = tuple(_criterion(type_, name, value) for name, value in pairs if value and _is_criterion(name))
    includes = tuple(one for name, value in pairs if name == "_include" for one in _included(type_, value))
    counts = [value for name, value in pairs if name == "_count" and value]
    only_total = ("_summary", "count") in [*pairs]
    return Query(type=type_, criteria=criteria, includes=includes, count=0 if only_total else _count(counts))


def match_query(type_: str, text: str) -> Query:
    """The query of If-None-Exist, of a conditional update or of a reference: `identifier=…`, `?…` or `Type?…`.

    It must be percent-encoded: a bare + is a space, a bare space or a character beyond ASCII is refused.
    """
    before, _, after = text.rpartition("?")
    if before not in ("", type_):
        raise FhirError(400, "Invalid match URL - URL has no search parameters")
    if " " in after or not after.isascii():
        raise FhirError(400, "Failed to parse match URL - it must be percent-encoded")
    query = parse_query(type_, parse_qsl(after, keep_blank_values=True))
    if not query.criteria:
        raise FhirError(400, "Invalid match URL - URL has no search parameters")
    return query


def find(store: Store, query: Query) -> list[Version]:
    """The matches in the order of their creation."""
    candidates = _candidates(store, query)
    return [one for one in candidates if all(criterion.holds(one) for criterion in query.criteria)]


def matches(version: Version, query: Query) -> bool:
    """Whether one resource would be found."""
    return all(criterion.holds(version) for criterion in query.criteria)


def included(store: Store, query: Query, page: Iterable[Version]) -> list[Version]:
    """What the page's matches refer to by the query's _include, each once."""
    found: dict[Key, Version] = {}
    for version in page:
        for parameter in query.includes:
            for holder in values_at(version.content(), parameter.path):
                key = literal_key(str(holder.get("reference", ""))) if isinstance(holder, dict) else None
                target = store.live(key) if key is not None and key.type in parameter.targets else None
                if target is not None:
                    found[target.key] = target
    return list(found.values())


def _candidates(store: Store, query: Query) -> Iterable[Version]:
    for criterion in query.criteria:
        if criterion.parameter.kind == "id":
            keys = dict.fromkeys(Key(query.type, id_of(value, query.type)) for value in criterion.values)
            return [live for key in keys if (live := store.live(key)) is not None]
        codes = [token_parts(value)[1] for value in criterion.values]
        if criterion.parameter.name == "identifier" and all(codes):
            found = {one.key: one for code in codes for one in store.with_identifier(query.type, code)}
            return list(found.values())
    return store.all(query.type)


def _is_criterion(name: str) -> bool:
    return name not in RESULT_PARAMETERS


def _criterion(type_: str, name: str, value: str) -> Criterion:
    base, _, modifier = name.partition(":")
    parameter = parameters_of(type_).get(base)
    if parameter is None:
        raise FhirError(400, f'Unknown search parameter for resource type "{type_}": {sorted(parameters_of(type_))}')
    if modifier not in (*_MODIFIERS[parameter.kind], *parameter.targets):
        raise FhirError(405, f"This modifier of {base} is not offered by this server")
    return Criterion(parameter=parameter, modifier=modifier, values=split_values(value))


def _included(type_: str, value: str) -> list[SearchParameter]:
    references = [one for one in parameters_of(type_).values() if one.kind == "reference"]
    if value == "*":
        return references
    base, *rest = value.split(":")
    chosen = [one for one in references if rest and one.name == rest[0]]
    if base != type_ or not chosen:
        raise FhirError(400, f"Invalid _include parameter value, known are: {[one.name for one in references]}")
    targets = tuple(rest[1:]) or chosen[0].targets
    return [SearchParameter(name=chosen[0].name, kind="reference", path=chosen[0].path, targets=targets)]


def _count(values: list[str]) -> int | None:
    if not values:
        return None
    if not values[-1].isdecimal():
        raise FhirError(400, "Invalid _count value")
    return int(values[-1])
