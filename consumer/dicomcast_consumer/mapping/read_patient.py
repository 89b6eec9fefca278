"""Patient attributes of a data set."""

from datetime import date

from ..errors import RejectedError
from ..mapping_options import MappingOptions, PatientOptions, SourceProfile
from .dates import read_date
from .elements import DataSet
from .fragments import PatientIdentifier
from .identity import DICOM_UID_SYSTEM, urn_oid
from .issuers import read_issuer
from .names import read_name
from .values import PatientValues

__all__ = ["read_patient", "read_patient_identifier"]

_GENDERS = {"M": "male", "F": "female", "O": "other", "U": "unknown"}
_ISSUER_UNKNOWN = (
    "nothing says which URI stands for the issuer of the PatientID, IssuerOfPatientID (0010,0021) or its qualifiers "
    "(0010,0024): list it in mapping.patient.issuers (DICOMCAST_MAPPING__PATIENT__ISSUERS__<NAME>)"
)
_EARLIEST_BIRTH = "1850"
_UNKNOWN_DATES = ("00010101", "0001-01-01", "0001.01.01")


def read_patient(
    data_set: DataSet, study_instance_uid: str, profile: SourceProfile, options: MappingOptions, *, today: date
) -> PatientValues:
    """What the data set says of the patient; nobody is born after `today`.

    Raises RejectedError without a PatientID if none may be made up, and where its issuer is unknown.
    """
    return PatientValues(
        identifier=read_patient_identifier(data_set, study_instance_uid, profile, options),
        name=read_name(data_set, "00100010", "PatientName"),
        gender=_gender(data_set),
        birth_date=_birth_date(data_set, today),
        other_identifiers=_other_identifiers(data_set, options.patient) if options.patient.other_ids else (),
    )


def read_patient_identifier(
    data_set: DataSet, study_instance_uid: str, profile: SourceProfile, options: MappingOptions
) -> PatientIdentifier:
    """By what the data set identifies the patient. Raises RejectedError as read_patient does."""
    value = data_set.text("00100020", "PatientID")
    if value is None:
        if options.missing_patient_id == "placeholder":
            return PatientIdentifier(system=DICOM_UID_SYSTEM, value=urn_oid(study_instance_uid), placeholder=True)
        raise RejectedError("map", "map.patient_id_missing", "the data set has no PatientID (0010,0020)")
    kind = None if options.patient.identifier_type == "none" else options.patient.identifier_type
    system = _system(data_set, profile, options.patient)
    return PatientIdentifier(value=value, system=system, use="usual" if kind else None, type_code=kind)


def _system(data_set: DataSet, profile: SourceProfile, options: PatientOptions) -> str | None:
    """The system of PatientID. An issuer that is named and not known is a rejection: with none, or with another's
    system, the number would be that of somebody else.
    """
    issuer = read_issuer(data_set, options.issuers) if options.use_issuer else None
    if issuer is None:
        return profile.patient_system or options.system
    if issuer.system is None:
        raise RejectedError("map", "map.patient_issuer_unknown", _ISSUER_UNKNOWN)
    return issuer.system


def _other_identifiers(data_set: DataSet, options: PatientOptions) -> tuple[PatientIdentifier, ...]:
    """What else the patient is known by, each with its system: a bare number would be taken for ours."""
    found: dict[str, PatientIdentifier] = {}
    for item in data_set.items("00101002"):
        value = item.text("00100020", "OtherPatientIDsSequence")
        kind = item.code_string("00100022", "OtherPatientIDsSequence") or "TEXT"
        issuer = read_issuer(item, options.issuers)
        _add(found, item, value if kind == "TEXT" else None, issuer.system if issuer else options.other_ids_system)
    for one in data_set.values("00101000"):
        value = data_set.clean(one, "OtherPatientIDs") if one is not None else None
        _add(found, data_set, value, options.other_ids_system)
    return tuple(found[token] for token in sorted(found))


def _add(found: dict[str, PatientIdentifier], item: DataSet, value: str | None, system: str | None) -> None:
    if value and system:
        identifier = PatientIdentifier(value=value, system=system, use="secondary")
        found[identifier.token] = identifier
    elif value:
        item.omit("OtherPatientIDsSequence", "issuer_unknown")


def _gender(data_set: DataSet) -> str | None:
    """R4 administrative-gender of PatientSex; what is no M, F, O or U is left out."""
    value = data_set.code_string("00100040", "PatientSex")
    if value is None:
        return None
    gender = _GENDERS.get(value)
    if gender is None:
        data_set.omit("PatientSex", "code_unknown")
    return gender


def _birth_date(data_set: DataSet, today: date) -> str | None:
    """R4 date of PatientBirthDate; never shifted by a time zone."""
    text = data_set.text("00100030", "PatientBirthDate")
    if text is None or text in _UNKNOWN_DATES:
        return None
    day = read_date(text)
    if day is None:
        data_set.omit("PatientBirthDate", "date_invalid")
    elif not _EARLIEST_BIRTH <= day <= today.isoformat():
        data_set.doubt("PatientBirthDate", "date_implausible")
    return day
