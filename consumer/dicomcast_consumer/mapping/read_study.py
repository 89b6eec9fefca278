"""Study attributes of a data set."""

from collections.abc import Iterable, Iterator

from ..mapping_options import MappingOptions, SourceProfile
from .codes import read_coding, read_concept
from .dates import Clock
from .elements import DataSet
from .fragments import AccessionNumber, Concept, Physician
from .issuers import universal_system
from .names import read_name
from .values import StudyValues

__all__ = ["read_study"]


def read_study(data_set: DataSet, clock: Clock, profile: SourceProfile, options: MappingOptions) -> StudyValues:
    """What the data set says of its study."""
    return StudyValues(
        started=clock.moment("00080020", "StudyDate", "00080030", "StudyTime"),
        description=data_set.text("00081030", "StudyDescription"),
        accession=_accession(data_set, profile, options),
        referrer=_referrer(data_set, options),
        procedure_codes=_procedures(data_set, options),
        reason_codes=_distinct(_reasons(data_set, options)),
    )


def _accession(data_set: DataSet, profile: SourceProfile, options: MappingOptions) -> AccessionNumber | None:
    value = data_set.text("00080050", "AccessionNumber")
    if value is None:
        return None
    issuer = data_set.item("00080051")
    if issuer is None:
        return AccessionNumber(value=value, system=profile.accession_system)
    name = "IssuerOfAccessionNumberSequence"
    local = issuer.text("00400031", name)
    system = universal_system(issuer, name) or (options.accession.issuers.get(local) if local else None)
    return AccessionNumber(value=value, system=system)


def _referrer(data_set: DataSet, options: MappingOptions) -> Physician | None:
    name = read_name(data_set, "00080090", "ReferringPhysicianName")
    if name is None:
        return None
    identification = data_set.item("00080096")
    code = identification.item("00401101") if identification else None
    coding = read_coding(code, "ReferringPhysicianIdentificationSequence", options.codingscheme) if code else None
    if coding is None or coding.code is None:
        return Physician(display=name.display())
    return Physician(display=name.display(), identifier_system=coding.system, identifier_value=coding.code)


def _procedures(data_set: DataSet, options: MappingOptions) -> tuple[Concept, ...]:
    found = _distinct(
        concept
        for item in data_set.items("00081032")
        if (concept := read_concept(item, "ProcedureCodeSequence", options.codingscheme))
    )
    if found:
        return found
    text = data_set.text("00321060", "RequestedProcedureDescription")
    return (Concept(text=text),) if text else ()


def _reasons(data_set: DataSet, options: MappingOptions) -> Iterator[Concept]:
    """Why it was requested, in codes or words, in the data set and in its requests, then why it was performed."""
    for request in (data_set, *data_set.items("00400275")):
        for item in request.items("0040100A"):
            concept = read_concept(item, "ReasonForRequestedProcedureCodeSequence", options.codingscheme)
            if concept:
                yield concept
        text = request.text("00401002", "ReasonForTheRequestedProcedure")
        if text:
            yield Concept(text=text)
    for item in data_set.items("00401012"):
        concept = read_concept(item, "ReasonForPerformedProcedureCodeSequence", options.codingscheme)
        if concept:
            yield concept


def _distinct(concepts: Iterable[Concept]) -> tuple[Concept, ...]:
    """One per system and code, and one per text that no code means."""
    found: dict[object, Concept] = {}
    for concept in concepts:
        coding = concept.coding
        found.setdefault((coding.system, coding.code) if coding else concept.text, concept)
    meant = {concept.text for concept in found.values() if concept.coding}
    return tuple(concept for concept in found.values() if concept.coding or concept.text not in meant)
