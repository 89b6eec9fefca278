"""Study attributes of a data set."""

from collections.abc import Iterable, Iterator

from ..mapping_options import MappingOptions, SourceProfile
from .codes import read_concept
from .dates import Clock
from .elements import DataSet
from .fragments import AccessionNumber, Concept
from .issuers import universal_system
from .people import read_interpreters, read_location, read_referrer
from .values import StudyValues

__all__ = ["read_study"]

_STARTED = ("00080020", "StudyDate", "00080030", "StudyTime")


def read_study(data_set: DataSet, clock: Clock, profile: SourceProfile, options: MappingOptions) -> StudyValues:
    """What the data set says of its study."""
    more = options.study
    accession = _accession(data_set, profile, options)
    requests = data_set.items("00400275")
    return StudyValues(
        started=clock.moment(*_STARTED),
        between=clock.between(*_STARTED) if options.uncertain_period else None,
        description=data_set.text("00081030", "StudyDescription"),
        study_id=data_set.text("00200010", "StudyID") if more.study_id else None,
        accession=accession,
        requests=_orders(data_set, requests, accession, profile, options),
        referrer=read_referrer(data_set, options),
        interpreters=read_interpreters(data_set, options) if more.interpreter else (),
        location=read_location(data_set) if more.location else None,
        procedure_codes=_procedures(data_set, options),
        reason_codes=_distinct(_reasons(data_set, requests, options)),
    )


def _accession(item: DataSet, profile: SourceProfile, options: MappingOptions) -> AccessionNumber | None:
    value = item.text("00080050", "AccessionNumber")
    if value is None:
        return None
    is_profiled = options.profile != "none"
    issuer = item.item("00080051")
    if issuer is None:
        return AccessionNumber(value=value, system=profile.accession_system, is_profiled=is_profiled)
    name = "IssuerOfAccessionNumberSequence"
    local = issuer.text("00400031", name)
    system = universal_system(issuer, name) or (options.accession.issuers.get(local) if local else None)
    return AccessionNumber(value=value, system=system, is_profiled=is_profiled)


def _orders(
    data_set: DataSet,
    requests: list[DataSet],
    accession: AccessionNumber | None,
    profile: SourceProfile,
    options: MappingOptions,
) -> tuple[AccessionNumber, ...]:
    """The orders it was made for; without the issuer's system an accession number could be anybody's."""
    items = (*requests, *data_set.items("0040A370"))
    found = (accession, *(_accession(item, profile, options) for item in items))
    return tuple(dict.fromkeys(number for number in found if number and number.system))


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


def _reasons(data_set: DataSet, requests: list[DataSet], options: MappingOptions) -> Iterator[Concept]:
    """Why it was requested, in codes or words, in the data set and in its requests, then why it was performed."""
    for request in (data_set, *requests):
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
