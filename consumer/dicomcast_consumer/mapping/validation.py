"""Validation of what the mapping made, by fhir.resources R4B (its elements are R4's for these resources).

Only new parts are validated: a resource that a server sent is never pushed through it (it drops and rewrites).
"""

from fhir.resources.R4B.endpoint import Endpoint
from fhir.resources.R4B.imagingstudy import ImagingStudy, ImagingStudySeries, ImagingStudySeriesInstance
from fhir.resources.R4B.patient import Patient
from pydantic import BaseModel, ValidationError

from ..errors import RejectedError
from .identity import Resource

__all__ = ["validate_instance", "validate_new", "validate_series"]

_TYPES: dict[str, type[BaseModel]] = {"Patient": Patient, "Endpoint": Endpoint, "ImagingStudy": ImagingStudy}


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
    try:
        model.model_validate(element)
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in fault["loc"]) for fault in error.errors(include_input=False)})
        detail = f"the {model.__name__} made of it is not valid at {', '.join(places[:5])}"
        raise RejectedError("map", "map.invalid_resource", detail) from None
