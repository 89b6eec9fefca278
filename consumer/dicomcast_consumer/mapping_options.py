"""Settings of the mapping. The descriptions are the documentation: docs are generated from them."""

import re
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

__all__ = [
    "AbsoluteUri",
    "AccessionOptions",
    "FilterOptions",
    "MappingOptions",
    "ModalityOptions",
    "PatientOptions",
    "SeriesOptions",
    "SourceProfile",
    "StudyOptions",
    "ZoneName",
]

_ABSOLUTE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")


def _absolute(value: str) -> str:
    if not _ABSOLUTE_URI.fullmatch(value):
        raise ValueError("is not an absolute URI such as urn:oid:1.2.3 or https://hospital.example/mrn")
    return value


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{value!r} is not a name of the IANA time zone database, such as Europe/Berlin") from None
    return value


AbsoluteUri = Annotated[str, AfterValidator(_absolute)]
ZoneName = Annotated[str, AfterValidator(_known_zone)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PatientOptions(_Section):
    """How Patient is identified and what may be changed on it."""

    system: AbsoluteUri | None = Field(
        default=None,
        description="Identifier.system of PatientID. Without one the identifier has no system, and the bare record "
        "numbers of two sites collide. A source's own patient_system comes first.",
    )
    use_issuer: bool = Field(
        default=False,
        description="Take the system from IssuerOfPatientID (0010,0021) and its qualifiers (0010,0024) where the data "
        "set has them.",
    )
    issuers: dict[str, AbsoluteUri] = Field(
        default={},
        description="With use_issuer: the URI of each IssuerOfPatientID, or UniversalEntityID of its qualifiers, that "
        "is no URI, OID or UUID itself. The events of an issuer that is named and not listed are dead letters "
        "(map.patient_issuer_unknown).",
    )
    identifier_type: Literal["none", "MR", "PI"] = Field(
        default="none",
        description="Identifier.type (v2-0203) of PatientID on Patients that are created, with use usual.",
    )
    other_ids: bool = Field(
        default=False,
        description="Add OtherPatientIDsSequence (0010,1002) as identifiers with use secondary, each with the system "
        "that its own issuer has (issuers apply). No Patient is searched for by them.",
    )
    other_ids_system: AbsoluteUri | None = Field(
        default=None,
        description="With other_ids: Identifier.system of those that name no issuer, and of the retired "
        "OtherPatientIDs (0010,1000). Without it these are left out.",
    )
    update: Literal["owned", "dicom-wins", "fill-missing", "create-only"] = Field(
        default="owned",
        description="What DICOM may change on a Patient that exists. owned: everything mapped on Patients with our "
        "tag, only what is missing on any other. dicom-wins: everything mapped on all. fill-missing: only what is "
        "missing, on all. create-only: nothing.",
    )
    mismatch: Literal["report", "reject"] = Field(
        default="report",
        description="When birth date and family name of the Patient found both differ from DICOM, nothing is written "
        "to it. report: the study is linked to it all the same, and the case is reported. reject: the events are "
        "dead-lettered.",
    )


class AccessionOptions(_Section):
    """How accession numbers are identified."""

    issuers: dict[str, AbsoluteUri] = Field(
        default={},
        description="The URI of each local namespace of IssuerOfAccessionNumberSequence (0008,0051) > (0040,0031). "
        "Only an accession number with a system becomes basedOn.",
    )


class ModalityOptions(_Section):
    """Which modalities ImagingStudy.modality lists."""

    acquisition_only: bool = Field(
        default=False,
        description="List only acquisition modalities (DICOM CID 29), as the text of R4 says, not SR, KO, PR, SEG …. "
        "series.modality is not affected.",
    )


class StudyOptions(_Section):
    """What else ImagingStudy takes from DICOM."""

    study_id: bool = Field(
        default=False, description="StudyID (0020,0010) as an identifier of type `Study ID`; it is not unique."
    )
    interpreter: bool = Field(
        default=False,
        description="NameOfPhysiciansReadingStudy (0008,1060) and its identification (0008,1062) as interpreter.",
    )
    location: bool = Field(
        default=False,
        description="PerformedLocation (0040,0243), else InstitutionalDepartmentName (0008,1040), else InstitutionName "
        "(0008,0080) as location.",
    )


class SeriesOptions(_Section):
    """What else ImagingStudy.series takes from DICOM."""

    performers: bool = Field(
        default=False,
        description="PerformingPhysicianName (0008,1050) and OperatorsName (0008,1070), with their identification, as "
        "performer with function PRF.",
    )
    device: bool = Field(
        default=False,
        description="Manufacturer, model and DeviceUID (0018,1002) or DeviceSerialNumber (0018,1000) as performer with "
        "function DEV.",
    )
    specimen: bool = Field(
        default=False, description="SpecimenDescriptionSequence (0040,0560) as specimen: identifiers, no resource."
    )
    acquisition_date: bool = Field(
        default=False,
        description="Where there is no SeriesDate, the date of AcquisitionDateTime (0008,002A) or AcquisitionDate "
        "(0008,0022) as started.",
    )


class FilterOptions(_Section):
    """Which instances are left alone. What is filtered is counted, not dead-lettered."""

    modalities: frozenset[str] = Field(
        default=frozenset(), description="Values of Modality (0008,0060), in upper case."
    )
    sop_classes: frozenset[str] = Field(default=frozenset(), description="SOP Class UIDs.")
    patient_id: str | None = Field(
        default=None, description="A regular expression that the whole PatientID (0010,0020) must match."
    )

    @field_validator("patient_id")
    @classmethod
    def _pattern_compiles(cls, value: str | None) -> str | None:
        if value is not None:
            re.compile(value)
        return value

    @property
    def empty(self) -> bool:
        """True when nothing is set."""
        return not (self.modalities or self.sop_classes or self.patient_id)


class MappingOptions(_Section):
    """Every choice of the mapping; the defaults are safe for a FHIR server that others write to as well."""

    patient: PatientOptions = Field(default=PatientOptions(), description="How Patient is identified and changed.")
    accession: AccessionOptions = Field(default=AccessionOptions(), description="How accession numbers are identified.")
    modality: ModalityOptions = Field(default=ModalityOptions(), description="What ImagingStudy.modality lists.")
    study: StudyOptions = Field(default=StudyOptions(), description="What else ImagingStudy takes.")
    series: SeriesOptions = Field(default=SeriesOptions(), description="What else ImagingStudy.series takes.")
    include: FilterOptions = Field(
        default=FilterOptions(), description="Map only instances that match every criterion set here."
    )
    exclude: FilterOptions = Field(
        default=FilterOptions(), description="Do not map instances that match any criterion set here."
    )
    observations: Literal["none", "dose"] = Field(
        default="none",
        description="Which Observations are made. dose: of each radiation dose SR a dose summary, and one per "
        "irradiation event in it.",
    )
    missing_patient_id: Literal["reject", "placeholder"] = Field(
        default="reject",
        description="What an instance without PatientID becomes. reject: a dead letter. placeholder: a Patient that is "
        "identified by the Study Instance UID.",
    )
    patient_conflict: Literal["reject", "report"] = Field(
        default="reject",
        description="What a new instance becomes whose PatientID differs from that of its study. reject: a dead "
        "letter. report: it is added to the study, its patient attributes are not used.",
    )
    unknown_tz: Literal["date-only", "assume-utc"] = Field(
        default="date-only",
        description="What a time becomes when neither (0008,0201) nor the source's time zone gives its UTC offset. "
        "date-only: the date. assume-utc: +00:00, as DICOM Cast does.",
    )
    leap_second: Literal["keep", "clamp"] = Field(
        default="keep", description="What the second 60 becomes. keep: 60, which R4 allows. clamp: 59."
    )
    instances: Literal["all", "none"] = Field(
        default="all",
        description="Whether series list their instances. none: for studies that are too large for the FHIR server "
        "(fhir.413): an extension of ours has a digest of each UID, so that counts and deletions are still right. It "
        "holds for what is written from then on.",
    )
    uncertain_period: bool = Field(
        default=False,
        description="Say of a study or series time without a UTC offset between which instants it lies, as extension "
        "uncertainPeriod of started.",
    )
    sop_class_display: bool = Field(
        default=False, description="Give sopClass its name in DICOM's dictionary as display."
    )
    profile: Literal["none", "eu", "mado"] = Field(
        default="none",
        description="What an implementation guide adds. eu: HL7 Europe Imaging. mado: IHE RAD MADO. Both: type 110180 "
        "of the study's identifier, type 121022 of basedOn, anatomical regions, numbers of frames. mado: the Endpoint "
        "of each series as well.",
    )
    strict: bool = Field(
        default=False,
        description="Dead-letter an instance of which a mapped attribute had to be left out, instead of reporting it.",
    )
    max_metadata_chars: int = Field(
        default=16 * 1024 * 1024,
        ge=100_000,
        description="Longest metadata (DICOM JSON) that is read; longer ones become dead letters.",
    )
    codingscheme: dict[str, AbsoluteUri] = Field(
        default={},
        description="The URI of each local coding scheme designator (0008,0102), as codingscheme.<designator>=<uri>.",
    )


class SourceProfile(_Section):
    """One DICOM server as the mapping sees it."""

    feed: str = Field(description="The feed's name, as the producer has it.")
    dicomweb_url: str = Field(
        description="The public DICOMweb root, which becomes Endpoint.address: no /studies, no query, no final slash."
    )
    timezone: ZoneName | None = Field(
        default=None,
        description="IANA name of the zone that the server's dates and times are in, where the data set has no "
        "(0008,0201). Without one a time without offset is reduced to its date.",
    )
    patient_system: AbsoluteUri | None = Field(
        default=None, description="Identifier.system of this source's PatientIDs; comes before patient.system."
    )
    accession_system: AbsoluteUri | None = Field(
        default=None, description="Identifier.system of this source's accession numbers when they name no issuer."
    )
    partition: str | None = Field(
        default=None,
        description="The data partition of the server that this FHIR target serves. Without one: Microsoft.Default, "
        "and events that name none.",
    )

    @field_validator("dicomweb_url")
    @classmethod
    def _root_of_the_service(cls, value: str) -> str:
        _absolute(value)
        if "?" in value or "#" in value:
            raise ValueError("has a query or a fragment; give the DICOMweb root alone")
        return value.rstrip("/")
