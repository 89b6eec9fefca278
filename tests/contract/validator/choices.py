"""Every choice that the mapping's settings offer, found in the settings themselves: a new one is judged unasked."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from dicomcast_consumer.mapping import MappingOptions, SourceProfile
from pydantic import BaseModel

__all__ = ["choices", "everything", "profile"]

_URIS: dict[str, Any] = {
    "patient.system": "https://hospital.example/mrn",
    "patient.issuers": {"LOCAL": "https://hospital.example/local"},
    "patient.other_ids_system": "https://hospital.example/other",
    "accession.issuers": {"LOCAL": "https://hospital.example/accession"},
    "codingscheme": {"99HOSP": "https://hospital.example/codes"},
}
_REJECTS = {"strict", "patient.mismatch=reject"}
"""Choices that make nothing, but refuse what another makes."""


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {**one, **other}
    for name in one.keys() & other.keys():
        if isinstance(one[name], dict) and isinstance(other[name], dict):
            both[name] = _merged(one[name], other[name])
    return both


def _others(path: str, annotation: Any, default: Any) -> Iterator[Any]:
    """The values of a setting that are not its default."""
    if path in _URIS:
        yield _URIS[path]
    elif annotation is bool:
        yield not default
    elif get_origin(annotation) is Literal:
        yield from (value for value in get_args(annotation) if value != default)


def _of(section: type[BaseModel], path: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in section.model_fields.items():
        here = (*path, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _of(field.annotation, here)
            continue
        dotted = ".".join(here)
        for value in _others(dotted, field.annotation, field.default):
            nested: Any = value
            for part in reversed(here):
                nested = {part: nested}
            label = dotted if value is True or dotted in _URIS else f"{dotted}={value}"
            yield label, nested


def choices() -> dict[str, MappingOptions]:
    """By name: each choice alone; where it is not about PatientID, with placeholders, so that more is mapped."""
    placeholder = {"missing_patient_id": "placeholder"}
    found = {
        label: MappingOptions.model_validate(_merged(placeholder, nested)) for label, nested in _of(MappingOptions, ())
    }
    return {"default": MappingOptions(), **found}


def everything() -> MappingOptions:
    """Every choice that adds something, at once; of several values of one setting the last."""
    chosen: dict[str, Any] = {}
    for label, nested in _of(MappingOptions, ()):
        if label not in _REJECTS:
            chosen = _merged(chosen, nested)
    return MappingOptions.model_validate(chosen)


def profile(**settings: str) -> SourceProfile:
    """A DICOM server."""
    return SourceProfile.model_validate({"feed": "pacs", "dicomweb_url": "https://pacs.example/dicom-web", **settings})
