"""Validation of what the mapping made, by fhir.resources R4B (its elements are R4's for these resources).

Only new parts are validated: a resource that a server sent is never pushed through it (it drops and rewrites).
"""

from fhir.resources.R4B.endpoint import Endpoint
from fhir.resources.R4B.imagingstudy import ImagingStudy
from fhir.resources.R4B.patient import Patient
from pydantic import ValidationError

from ..errors import RejectedError
from .identity import Resource

__all__ = ["validate_new"]

_TYPES: dict[str, type[Patient] | type[Endpoint] | type[ImagingStudy]] = {
    "Patient": Patient,
    "Endpoint": Endpoint,
    "ImagingStudy": ImagingStudy,
}


def validate_new(resource: Resource) -> None:
    """Raises RejectedError `map.invalid_resource`, naming the elements at fault, when the resource is not R4."""
    try:
        _TYPES[resource["resourceType"]].model_validate(resource)
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in fault["loc"]) for fault in error.errors(include_input=False)})
        detail = f"the {resource['resourceType']} made of it is not valid at {', '.join(places[:5])}"
        raise RejectedError("map", "map.invalid_resource", detail) from None
