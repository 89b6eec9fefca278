"""Code Sequence macro (PS3.3 8.8) → R4 Coding and CodeableConcept: a system is a known URI, or absent."""

import re
from collections.abc import Mapping
from functools import lru_cache

from pydicom.sr._snomed_dict import mapping as snomed_by_scheme

from .elements import DataSet, is_uid
from .fragments import Coding, Concept
from .identity import URI_SYSTEM, urn_oid
from .snomed import SNOMED_CT_OF_RT
from .terminology import DCM, MODALITIES, SCHEME_URIS, SCT, SNOMED_RT_DESIGNATORS

__all__ = ["identified_schemes", "modality_coding", "read_coding", "read_concept"]

_CODE = re.compile(r"[^\s]+(\s[^\s]+)*")


@lru_cache(maxsize=1)
def _by_scheme() -> Mapping[str, str]:
    return snomed_by_scheme["SRT"]


def snomed_ct(snomed_rt: str) -> str | None:
    """The SNOMED CT concept of a SNOMED RT id: by PS3.16 annex L first, else by pydicom's table; None if unknown."""
    return SNOMED_CT_OF_RT.get(snomed_rt) or _by_scheme().get(snomed_rt)


def modality_coding(value: str) -> Coding | None:
    """R4 series.modality of a CS that is a defined term: a code of DCM; None for anything else."""
    return Coding(system=DCM, code=value) if value in MODALITIES else None


def identified_schemes(data_set: DataSet) -> dict[str, str]:
    """The URI of each coding scheme whose UID the data set itself tells (CodingSchemeIdentificationSequence)."""
    found: dict[str, str] = {}
    for item in data_set.items("00080110"):
        designator = item.text("00080102", "CodingSchemeIdentificationSequence")
        uid = item.text("0008010C", "CodingSchemeIdentificationSequence")
        if designator and uid and is_uid(uid):
            found[designator] = urn_oid(uid)
    return found


def _system(item: DataSet, designator: str | None, local: Mapping[str, str]) -> str | None:
    if designator in SCHEME_URIS:
        return SCHEME_URIS[designator]
    uid = item.text("0008010C", "CodingSchemeUID")
    if uid and is_uid(uid):
        return urn_oid(uid)
    if designator is None:
        return URI_SYSTEM if item.text("00080120", "CodeValue") else None
    return local.get(designator)


def read_coding(item: DataSet, attribute: str, local: Mapping[str, str]) -> Coding | None:
    """The Coding of one item. None when it has neither code nor meaning; `display` alone when its system is unknown."""
    value = item.text("00080100", attribute) or item.text("00080119", attribute) or item.text("00080120", attribute)
    display = item.text("00080104", attribute)
    code = " ".join(value.split()) if value else None
    designator = item.text("00080102", attribute)
    system = _system(item, designator, local)
    version = item.text("00080103", attribute)
    if designator in SNOMED_RT_DESIGNATORS:
        code, system, version = (snomed_ct(code) if code else None), SCT, None
    if code and system and _CODE.fullmatch(code):
        return Coding(system=system, version=version, code=code, display=display)
    if not (display or value):
        return None
    item.omit(attribute, "code_system_unknown")
    return Coding(display=display or value)


def read_concept(item: DataSet, attribute: str, local: Mapping[str, str]) -> Concept | None:
    """The CodeableConcept of one item: text is the code's meaning; without a system it is all there is."""
    coding = read_coding(item, attribute, local)
    if coding is None:
        return None
    if coding.code is None:
        return Concept(text=coding.display)
    return Concept(coding=coding, text=coding.display)
