"""Validation of what the mapping made, by fhir.resources R4B (its elements are R4's for these resources).

Only new parts are validated: a resource that a server sent is never pushed through it (it drops and rewrites).

A resource costs it 300 µs and more, and what it says depends on the shape alone: which elements are there, and of which
kind each primitive is, a kind being all that its checks of primitives tell apart. So each shape is validated once.
"""

import re
from typing import Any, Final

from fhir.resources.R4B.endpoint import Endpoint
from fhir.resources.R4B.fhirtypes import DateTimeType
from fhir.resources.R4B.imagingstudy import ImagingStudy, ImagingStudySeries, ImagingStudySeriesInstance
from fhir.resources.R4B.observation import Observation
from fhir.resources.R4B.patient import Patient
from pydantic import BaseModel, TypeAdapter, ValidationError

from ..errors import RejectedError
from .identity import Resource

__all__ = ["validate_instance", "validate_new", "validate_series"]

_TYPES: dict[str, type[BaseModel]] = {
    "Patient": Patient,
    "Endpoint": Endpoint,
    "ImagingStudy": ImagingStudy,
    "Observation": Observation,
}

_MOST_SHAPES: Final = 4096
_MAX_INT: Final = 2**31 - 1
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_CODE: Final = re.compile(r"\S+(\s\S+)*")
_STRING: Final = re.compile(r"[ \r\n\t\S]")
_DATE: Final = re.compile(r"\d{4}(-\d\d(-\d\d(T.*)?)?)?")
_DATE_TIME: Final = TypeAdapter[Any](DateTimeType)

_valid: set[object] = set()
"""The shapes that have been found valid, each after its type."""


def validate_new(resource: Resource) -> None:
    """Raises RejectedError `map.invalid_resource`, naming the elements at fault, when the resource is not R4."""
    _validate(_TYPES[resource["resourceType"]], resource)


def validate_series(series: Resource) -> None:
    """Likewise for one ImagingStudy.series."""
    _validate(ImagingStudySeries, series)


def validate_instance(instance: Resource) -> None:
    """Likewise for one ImagingStudy.series.instance."""
    _validate(ImagingStudySeriesInstance, instance)


def _validate(model: type[BaseModel], element: Resource) -> None:
    shape = (model, *_shape(element))
    if shape in _valid:
        return
    try:
        model.model_validate(element)
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in fault["loc"]) for fault in error.errors(include_input=False)})
        detail = f"the {model.__name__} made of it is not valid at {', '.join(places[:5])}"
        raise RejectedError("map", "map.invalid_resource", detail) from None
    if len(_valid) >= _MOST_SHAPES:
        _valid.clear()
    _valid.add(shape)


def _shape(element: Resource) -> list[object]:
    """Equal for elements that are valid or not together. A list's length is noted below zero."""
    shape: list[object] = []
    nodes: list[Any] = [element]
    for node in nodes:  # it grows while it is walked, level by level
        kind = type(node)
        if kind is str:
            shape.append(_kinds[node])
        elif kind is dict:
            shape.append(len(node))
            shape += node
            nodes += node.values()
        elif kind is list:
            shape.append(-1 - len(node))
            nodes += node
        elif kind is int:
            shape.append((node < 0, node > 0, node > _MAX_INT))
        else:
            shape.append(kind)
    return shape


class _Kinds(dict[str, str]):
    """Kinds by text, the ones seen kept: a bounded number."""

    def __missing__(self, text: str) -> str:
        if len(self) >= _MOST_SHAPES:
            self.clear()
        kind = self[text] = _kind(text)
        return kind


_kinds: Final = _Kinds()


def _kind(text: str) -> str:
    """Of which of R4's primitive types a text can be (R4 datatypes); a date must be one of the calendar."""
    kinds = (
        _STRING.search(text) is not None,
        _ID.fullmatch(text) is not None,
        _CODE.fullmatch(text) is not None,
        *(_DATE.fullmatch(text) is not None and _is_date(text), len(text) > 4, len(text) > 7, len(text) > 10),
    )
    return "".join("01"[kind] for kind in kinds)


def _is_date(text: str) -> bool:
    try:
        _DATE_TIME.validate_python(text)
    except ValidationError:
        return False
    return True
