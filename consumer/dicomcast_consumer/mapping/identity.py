"""Identifiers, systems and search tokens: how our resources are found again, and how one sees that they are ours."""

from functools import lru_cache
from typing import Any, TypeAlias

__all__ = [
    "AS_OF_URL",
    "BASE_URI",
    "TAG_CODE",
    "TAG_SYSTEM",
    "Resource",
    "escape_token",
    "is_ours",
    "is_reference_to",
    "our_tag",
    "same_source",
    "study_identifier",
    "study_token",
    "token",
]

Resource: TypeAlias = dict[str, Any]
"""A FHIR resource, or a part of one, as plain JSON."""

BASE_URI = "https://dicomcast.org/fhir"
"""The one place that says under which URI our own codes and extensions live."""
TAG_SYSTEM = f"{BASE_URI}/CodeSystem/origin"
TAG_CODE = "dicom-derived"
"""meta.tag {TAG_SYSTEM, TAG_CODE}: this resource was made by dicomcast."""
AS_OF_URL = f"{BASE_URI}/StructureDefinition/as-of"
"""meta.extension: the change feed event that each shared value stems from (see marks)."""

ACCESSION_CODE = "ACSN"
V2_0203 = "http://terminology.hl7.org/CodeSystem/v2-0203"
DATA_ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
DICOM_UID_SYSTEM = "urn:dicom:uid"
URI_SYSTEM = "urn:ietf:rfc:3986"


def urn_oid(uid: str) -> str:
    """`urn:oid:` + uid; unchanged where it has the prefix."""
    return uid if uid.startswith("urn:oid:") else f"urn:oid:{uid}"


def study_identifier(study_instance_uid: str) -> Resource:
    """R4 ImagingStudy.identifier of a study (imagingstudy-notes)."""
    return {"system": DICOM_UID_SYSTEM, "value": urn_oid(study_instance_uid)}


def study_token(study_instance_uid: str) -> str:
    """The value of the search parameter `identifier` that finds the study; escaped, not percent-encoded."""
    return token(DICOM_UID_SYSTEM, urn_oid(study_instance_uid))


def escape_token(value: str) -> str:
    r"""`value` with `\ , | $` escaped (R4 search, "Escaping Search Parameters"); percent-encoding comes after."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")


@lru_cache(maxsize=1024)
def token(system: str | None, value: str) -> str:
    """`system|value`, escaped. Without a system `|value`, which finds only identifiers that have none."""
    return f"{escape_token(system or '')}|{escape_token(value)}"


def our_tag() -> Resource:
    """A new meta.tag of ours."""
    return {"system": TAG_SYSTEM, "code": TAG_CODE}


def is_ours(resource: Resource) -> bool:
    """Whether the resource has our tag."""
    for tag in (resource.get("meta") or {}).get("tag") or ():
        if tag.get("system") == TAG_SYSTEM and tag.get("code") == TAG_CODE:
            return True
    return False


def is_reference_to(known: Resource, reference: str) -> bool:
    """Whether a Reference is to `Type/id`, relative or absolute."""
    found = str(known.get("reference") or "")
    return found == reference or found.endswith(f"/{reference}")


def same_source(resource: Resource, dicomweb_url: str) -> bool:
    """Whether meta.source names this DICOM server. HAPI appends `#` and its request id; DICOM Cast adds a slash."""
    source = (resource.get("meta") or {}).get("source") or ""
    return str(source).partition("#")[0].rstrip("/") == dicomweb_url.rstrip("/")
