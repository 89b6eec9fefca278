"""HL7v2 hierarchic designators: who issued an identifier, and the URI that stands for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .elements import DataSet, is_uid
from .identity import urn_oid

__all__ = ["Issuer", "read_issuer", "universal_system"]

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Issuer:
    """Either a system, or only a name."""

    system: str | None
    assigner: str | None


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
    qualifiers = data_set.item("00100024")
    system = universal_system(qualifiers, "IssuerOfPatientIDQualifiersSequence") if qualifiers else None
    name = data_set.text("00100021", "IssuerOfPatientID")
    if system is None and name is not None:
        system = local.get(name) or (name if _URI.fullmatch(name) else None)
        if system is None and is_uid(name) and "." in name:
            system = urn_oid(name)
    if system is None and name is None:
        return None
    return Issuer(system, None if system else name)
