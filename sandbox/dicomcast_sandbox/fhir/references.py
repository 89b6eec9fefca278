"""References between resources: found, resolved, rewritten."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dicomcast_sandbox.fhir.json_text import JsonObject
from dicomcast_sandbox.fhir.outcome import FhirError
from dicomcast_sandbox.fhir.store import Key

_LITERAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/[A-Za-z0-9.\-]{1,64})?")
_SUBJECTS = frozenset({"Patient", "Group", "Device", "Location"})
_TARGETS: Mapping[str, frozenset[str]] = {
    "ImagingStudy.subject": _SUBJECTS - {"Location"},
    "ImagingStudy.endpoint": frozenset({"Endpoint"}),
    "ImagingStudy.series.endpoint": frozenset({"Endpoint"}),
    "Observation.subject": _SUBJECTS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One Reference.reference; `holder` is the element that carries it, to be changed in place."""

    path: str
    text: str
    holder: JsonObject


def references_of(resource: JsonObject) -> Iterator[Reference]:
    """Every literal reference in the resource, but those to contained resources (#id)."""
    yield from _walk(resource, str(resource.get("resourceType", "")))


def literal_key(text: str) -> Key | None:
    """`Patient/1` and `Patient/1/_history/2` name Patient/1; anything else is not a literal of this server."""
    match = _LITERAL.fullmatch(text)
    return Key(match[1], match[2]) if match else None


def checked_key(reference: Reference) -> Key:
    """What the reference names. FhirError 400 when it is no literal, 422 when the element does not allow the type."""
    key = literal_key(reference.text)
    if key is None and "://" in reference.text:
        raise FhirError(400, f"{reference.path} is an external reference and this server does not allow them")
    if key is None:
        raise FhirError(400, f"Invalid resource reference found at path[{reference.path}]")
    allowed = _TARGETS.get(reference.path)
    if allowed is not None and key.type not in allowed:
        raise FhirError(422, f"Resource type '{key.type}' is not valid for the reference at '{reference.path}'")
    return key


def _walk(node: JsonObject, path: str) -> Iterator[Reference]:
    text = node.get("reference")
    if isinstance(text, str) and not text.startswith("#"):
        yield Reference(path=path, text=text, holder=node)
    for name, value in node.items():
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, dict) and name != "contained":
                yield from _walk(child, f"{path}.{name}")
