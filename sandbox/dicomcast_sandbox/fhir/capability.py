"""The CapabilityStatement at /metadata."""

from __future__ import annotations

from dicomcast_sandbox.fhir.json_text import JsonObject
from dicomcast_sandbox.fhir.search import parameters_of
from dicomcast_sandbox.fhir.shape import RESOURCE_TYPES

INTERACTIONS = ("read", "vread", "update", "delete", "history-instance", "create", "search-type")
_TYPES = {"token": "token", "string": "string", "reference": "reference", "id": "token"}


def capability_statement(base_url: str) -> JsonObject:
    """R4 (fhirVersion 4.0.1) with transactions, and what each type offers."""
    rest = {
        "mode": "server",
        "resource": [_resource(type_) for type_ in RESOURCE_TYPES],
        "interaction": [{"code": "transaction"}, {"code": "batch"}],
    }
    return {
        "resourceType": "CapabilityStatement",
        "name": "DicomcastSandbox",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "software": {"name": "dicomcast sandbox FHIR server"},
        "implementation": {"description": "A stand-in for demos and tests, in memory", "url": base_url},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [rest],
    }


def _resource(type_: str) -> JsonObject:
    parameters = parameters_of(type_).values()
    references = [one.name for one in parameters if one.kind == "reference"]
    statement: JsonObject = {
        "type": type_,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "conditionalUpdate": True,
        "conditionalDelete": "multiple",
        "searchParam": [{"name": one.name, "type": _TYPES[one.kind]} for one in parameters],
    }
    if references:
        statement["searchInclude"] = [f"{type_}:{name}" for name in references]
    return statement
