"""The order of elements in what we write: R4's own, so that equal content is equal text."""

from .identity import Resource

__all__ = ["INSTANCE_ORDER", "SERIES_ORDER", "arranged", "ordered"]

_RESOURCE = ("resourceType", "id", "meta", "implicitRules", "language", "text", "contained", "extension")
_PATIENT = (*_RESOURCE, "identifier", "active", "name", "telecom", "gender", "birthDate")
_STUDY = (
    *_RESOURCE,
    *("identifier", "status", "modality", "subject", "encounter", "started", "_started", "basedOn", "referrer"),
    *("interpreter", "endpoint", "numberOfSeries", "numberOfInstances", "procedureReference", "procedureCode"),
    *("location", "reasonCode", "reasonReference", "note", "description", "series"),
)
_OBSERVATION = (
    *_RESOURCE,
    *("identifier", "basedOn", "partOf", "status", "category", "code", "subject", "focus", "encounter"),
    *("effectiveDateTime", "issued", "performer", "valueString", "dataAbsentReason", "interpretation", "note"),
    *("bodySite", "method", "specimen", "device", "referenceRange", "hasMember", "derivedFrom", "component"),
)
SERIES_ORDER = (
    *("id", "extension", "uid", "number", "modality", "description", "numberOfInstances", "endpoint", "bodySite"),
    *("laterality", "specimen", "started", "_started", "performer", "instance"),
)
INSTANCE_ORDER = ("id", "extension", "uid", "sopClass", "number", "title")
_ORDERS = {"Patient": _PATIENT, "ImagingStudy": _STUDY, "Observation": _OBSERVATION}


def arranged(element: Resource, order: tuple[str, ...]) -> Resource:
    """The element with its members in this order; those that the order does not name come last, as they were."""
    first = {name: element[name] for name in order if name in element}
    return first if len(first) == len(element) else {**first, **element}


def ordered(resource: Resource) -> Resource:
    """The resource with its elements in the order of R4."""
    return arranged(resource, _ORDERS.get(resource["resourceType"], _RESOURCE))
