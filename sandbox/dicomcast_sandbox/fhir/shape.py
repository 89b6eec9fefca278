"""What the server refuses in a body: little, as HAPI does without a validating interceptor."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from dicomcast_sandbox.fhir.json_text import JsonObject, parse_object
from dicomcast_sandbox.fhir.outcome import FhirError

RESOURCE_TYPES = (
    "Device",
    "Encounter",
    "Endpoint",
    "Group",
    "ImagingStudy",
    "Location",
    "Observation",
    "Organization",
    "Patient",
    "Practitioner",
    "Provenance",
    "ServiceRequest",
)
_CODES: Mapping[tuple[str, str], frozenset[str]] = {
    ("Patient", "gender"): frozenset({"male", "female", "other", "unknown"}),
    ("ImagingStudy", "status"): frozenset({"registered", "available", "cancelled", "entered-in-error", "unknown"}),
    ("Endpoint", "status"): frozenset({"active", "suspended", "error", "off", "entered-in-error", "test"}),
}
_DATES = (("Patient", "birthDate"), ("ImagingStudy", "started"))
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|[+-](0\d|1[0-4]):[0-5]\d))?)?)?"
)
_ID = re.compile(r"[A-Za-z0-9.\-]{1,64}")


def parse_resource(body: bytes, expected: str) -> JsonObject:
    """The resource of type `expected` in the body; FhirError 400 when it is none."""
    try:
        resource = parse_object(body)
    except ValueError:
        raise FhirError(400, "Failed to parse request body as JSON resource") from None
    return checked_resource(resource, expected)


def checked_resource(resource: JsonObject, expected: str) -> JsonObject:
    """The resource itself; FhirError 400 for another type, an unknown code of a required binding or an invalid date."""
    found = resource.get("resourceType")
    if found is None:
        raise FhirError(400, "Invalid JSON content detected, missing required element: 'resourceType'")
    if found != expected:
        raise FhirError(400, f'Incorrect resource type found, expected "{expected}"')
    for (type_, name), codes in _CODES.items():
        if type_ == found and name in resource and resource[name] not in codes:
            raise FhirError(400, f'[element="{name}"] Unknown code')
    for type_, name in _DATES:
        if type_ == found and name in resource and not _is_date_time(str(resource[name])):
            raise FhirError(400, f'[element="{name}"] Invalid date/time format')
    return resource


def check_type(type_: str) -> None:
    """FhirError 404 for a resource type that this server does not keep."""
    if type_ not in RESOURCE_TYPES:
        raise FhirError(404, f"Unknown resource type - Server knows how to handle: {list(RESOURCE_TYPES)}")


def check_id(id_: str) -> None:
    """FhirError 400 for what is not an R4 id."""
    if not _ID.fullmatch(id_):
        raise FhirError(400, "Can not process entity with this ID, this is not a valid FHIR ID")


def _is_date_time(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    try:
        date(int(match[1]), int(match[2] or 1), int(match[3] or 1))
    except ValueError:
        return False
    return True
