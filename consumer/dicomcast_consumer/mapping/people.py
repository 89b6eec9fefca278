"""Who took part in a study or series, with what, where and of which specimen: logical references, no resources."""

from collections.abc import Iterator

from ..mapping_options import MappingOptions
from .codes import read_coding
from .elements import DataSet, is_uid
from .fragments import LogicalReference, Performer, PersonName
from .identity import DICOM_UID_SYSTEM, urn_oid
from .issuers import universal_system
from .names import read_name, read_names

__all__ = ["read_interpreters", "read_location", "read_performers", "read_referrer", "read_specimens"]


def read_referrer(data_set: DataSet, options: MappingOptions) -> LogicalReference | None:
    """ReferringPhysicianName, with its identification."""
    name = read_name(data_set, "00080090", "ReferringPhysicianName")
    if name is None:
        return None
    identification = data_set.item("00080096")
    return _person(name, identification, "ReferringPhysicianIdentificationSequence", options)


def read_interpreters(data_set: DataSet, options: MappingOptions) -> tuple[LogicalReference, ...]:
    """NameOfPhysiciansReadingStudy."""
    kind = "PhysiciansReadingStudyIdentificationSequence"
    names = read_names(data_set, "00081060", "NameOfPhysiciansReadingStudy")
    return tuple(_people(names, data_set.items("00081062"), kind, options))


def read_performers(data_set: DataSet, options: MappingOptions) -> tuple[Performer, ...]:
    """Physicians, operators and the device, as far as they are wanted."""
    found: list[Performer] = []
    if options.series.performers:
        found += [Performer(function="PRF", actor=actor) for actor in _staff(data_set, options)]
    device = _device(data_set) if options.series.device else None
    if device is not None:
        found.append(Performer(function="DEV", actor=device))
    return tuple(found)


def _staff(data_set: DataSet, options: MappingOptions) -> list[LogicalReference]:
    physicians = read_names(data_set, "00081050", "PerformingPhysicianName")
    operators = read_names(data_set, "00081070", "OperatorsName")
    found = [
        *_people(physicians, data_set.items("00081052"), "PerformingPhysicianIdentificationSequence", options),
        *_people(operators, data_set.items("00081072"), "OperatorIdentificationSequence", options),
    ]
    return list(dict.fromkeys(found))


def _people(
    names: list[PersonName | None], identifications: list[DataSet], attribute: str, options: MappingOptions
) -> Iterator[LogicalReference]:
    """Names and identifications belong together by position, where there are as many of both (PS3.3 10.1)."""
    pairs = identifications if len(identifications) == len(names) else [None] * len(names)
    for name, identification in zip(names, pairs, strict=True):
        if name is not None:
            yield _person(name, identification, attribute, options)


def _person(
    name: PersonName, identification: DataSet | None, attribute: str, options: MappingOptions
) -> LogicalReference:
    code = identification.item("00401101") if identification else None
    coding = read_coding(code, attribute, options.codingscheme) if code else None
    display = name.display() or None
    if coding is None or coding.code is None:
        return LogicalReference(kind="Practitioner", display=display)
    return LogicalReference(kind="Practitioner", display=display, system=coding.system, value=coding.code)


def _device(data_set: DataSet) -> LogicalReference | None:
    """Who made the device and which model it is; DeviceUID, else the serial number, says which one."""
    names = (data_set.text("00080070", "Manufacturer"), data_set.text("00081090", "ManufacturerModelName"))
    display = " ".join(name for name in names if name) or data_set.text("00081010", "StationName")
    uid = data_set.text("00181002", "DeviceUID")
    serial = data_set.text("00181000", "DeviceSerialNumber")
    if uid and is_uid(uid):
        return LogicalReference(kind="Device", display=display, system=DICOM_UID_SYSTEM, value=urn_oid(uid))
    if serial:
        return LogicalReference(kind="Device", display=display, value=serial, value_type="SNO")
    return LogicalReference(kind="Device", display=display) if display else None


def read_location(data_set: DataSet) -> LogicalReference | None:
    """Where it was done, as narrowly as DICOM says."""
    for tag, attribute in (
        ("00400243", "PerformedLocation"),
        ("00081040", "InstitutionalDepartmentName"),
        ("00080080", "InstitutionName"),
    ):
        display = data_set.text(tag, attribute)
        if display:
            return LogicalReference(kind="Location", display=display)
    return None


def read_specimens(data_set: DataSet) -> tuple[LogicalReference, ...]:
    """SpecimenIdentifier of each specimen, with the system of its issuer."""
    found: list[LogicalReference] = []
    for item in data_set.items("00400560"):
        value = item.text("00400551", "SpecimenIdentifier")
        issuer = item.item("00400562")
        system = universal_system(issuer, "IssuerOfTheSpecimenIdentifierSequence") if issuer else None
        if value:
            found.append(LogicalReference(kind="Specimen", system=system, value=value))
    return tuple(dict.fromkeys(found))
