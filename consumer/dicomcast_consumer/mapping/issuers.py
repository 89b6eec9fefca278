"""HL7v2 hierarchic designators: who issued an identifier, and the URI that stands for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .elements import DataSet, is_uid
from .identity import urn_oid

__all__ = ["Issuer", "read_issuer", "universal_system"]

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_QUALIFIERS = "IssuerOfPatientIDQualifiersSequence"


@dataclass(frozen=True, slots=True)
class Issuer:
    """Whoever issued an identifier."""

    system: str | None
    """None: the data set names somebody, and nothing says which URI stands for them."""


def universal_system(qualifiers: DataSet, attribute: str) -> str | None:
    """The URI of UniversalEntityID (0040,0032) by its type (0040,0033): ISO, URI or UUID. A DNS name is no URI."""
    value = qualifiers.text("00400032", attribute)
    kind = qualifiers.code_string("00400033", attribute)
    if value is None:
        return None
    if kind == "ISO" and is_uid(value.removeprefix("urn:oid:")):
        return urn_oid(value)
    if kind == "URI" and _URI.fullmatch(value):
        return value
    if kind == "UUID" and _UUID.fullmatch(value):
        return f"urn:uuid:{value.lower()}"
    return None


def read_issuer(data_set: DataSet, local: Mapping[str, str]) -> Issuer | None:
    """The issuer of a PatientID, or None when the data set names none. A bare word never becomes a system."""
    name = data_set.text("00100021", "IssuerOfPatientID")
    qualifiers = data_set.item("00100024")
    universal = None
    if qualifiers:
        system = universal_system(qualifiers, _QUALIFIERS)
        if system:
            return Issuer(system)
        universal = qualifiers.text("00400032", _QUALIFIERS)
    if name is None and universal is None:
        return None
    return Issuer(local.get(name or "") or local.get(universal or "") or _own_system(name or ""))


def _own_system(name: str) -> str | None:
    """The URI that the name is: as it stands, or as an OID."""
    if _URI.fullmatch(name):
        return name
    return urn_oid(name) if is_uid(name) and "." in name else None
