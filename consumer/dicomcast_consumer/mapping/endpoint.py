"""Endpoint: the DICOMweb service that a study can be fetched from (R4 Endpoint, imagingstudy-notes)."""

from .identity import URI_SYSTEM, Resource, our_tag, token
from .validation import validate_new

__all__ = ["endpoint_resource", "endpoint_token", "matches"]

CONNECTION_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
PAYLOAD_TYPE = "http://terminology.hl7.org/CodeSystem/endpoint-payload-type"
WADO_RS = "dicom-wado-rs"


def endpoint_name(address: str) -> str:
    """The name by which DICOM Cast and we know the Endpoint of an address."""
    return f"DICOM WADO-RS endpoint {address}"


def endpoint_token(address: str) -> str:
    """The value of the search parameter `identifier` that finds our Endpoint; escaped, not percent-encoded."""
    return token(URI_SYSTEM, address)


def endpoint_resource(address: str) -> Resource:
    """A new Endpoint for a DICOMweb root without a final slash."""
    resource: Resource = {
        "resourceType": "Endpoint",
        "meta": {"tag": [our_tag()]},
        "identifier": [{"system": URI_SYSTEM, "value": address}],
        "status": "active",
        "connectionType": {"system": CONNECTION_TYPE, "code": WADO_RS},
        "name": endpoint_name(address),
        "payloadType": [{"coding": [{"system": PAYLOAD_TYPE, "code": "any"}], "text": "DICOM WADO-RS"}],
        "payloadMimeType": ["application/dicom"],
        "address": address,
    }
    validate_new(resource)
    return resource


def matches(existing: Resource, address: str) -> bool:
    """Whether an Endpoint that a search found is the one of `address`.

    It has our identifier, wherever a person has made its address lead to; or DICOM Cast's connection type and exact
    name, and the address. These are compared without final slash.
    """
    identified = any(
        identifier.get("system") == URI_SYSTEM and _bare(identifier.get("value")) == _bare(address)
        for identifier in existing.get("identifier") or ()
    )
    connection = existing.get("connectionType") or {}
    named = connection.get("code") == WADO_RS and _bare(existing.get("name")) == endpoint_name(_bare(address))
    return identified or (named and _bare(existing.get("address")) == _bare(address))


def _bare(value: object) -> str:
    return str(value or "").rstrip("/")
