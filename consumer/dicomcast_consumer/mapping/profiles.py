"""What implementation guides add to ImagingStudy: HL7 Europe Imaging (R4, 1.0.0 ballot) and IHE RAD MADO 1.0.0."""

from collections.abc import Iterable

from .identity import DICOM_UID_SYSTEM, Resource
from .snomed import body_part_coding
from .terminology import DCM, SCT

__all__ = ["NUMBER_OF_FRAMES", "set_regions", "type_study_identifier"]

_MADO = "https://profiles.ihe.net/RAD/MADO/StructureDefinition"
NUMBER_OF_FRAMES = {
    "eu": "http://hl7.eu/fhir/imaging/StructureDefinition/NumberOfFrames",
    "mado": f"{_MADO}/MadoNumberOfFrames",
}
_ANATOMICAL_REGION = {
    "eu": "http://hl7.eu/fhir/StructureDefinition/anatomical-region",
    "mado": f"{_MADO}/MadoAnatomicalRegionExtension",
}
_REGION_ID = "dicom-region-"
"""Begin of Extension.id, by which a region is known to be ours."""
_REGIONS = {
    ("63337009", "Lower trunk"): """
        LOWERTRUNK ABDOMEN ABDOMENPELVIS PELVIS ADRENAL APPENDIX ASCENDINGCOLON BILEDUCT BILIARYTRACT BLADDER
        BLADDERURETHRA CERVIX COLON COMMONBILEDUCT DESCENDINGCOLON DUODENUM ENDOMETRIUM EPIGASTRIC GALLBLADDER ILEUM
        JEJUNUM KIDNEY LARGEINTESTINE LIVER LLQ LUQ RLQ RUQ OVARY PANCREAS PANCREATICDUCT PROSTATE RECTUM
        RETROPERITONEUM SIGMOID SMALLINTESTINE SPLEEN STOMACH TRANSVERSECOLON URETER URETHRA UTERUS VAGINA
        CHESTABDOMEN CHESTABDPELVIS NECKCHESTABDOMEN NECKCHESTABDPELV PELVISLOWEXTREMT""",
    ("38266002", "Entire body as a whole"): "WHOLEBODY",
    ("53120007", "Upper limb"): """
        UPPERLIMB ACJOINT AXILLA ELBOW FINGER FOREARM HAND HUMERUS RADIUS RADIUSULNA SHOULDER THUMB ULNA UPPERARM
        WRIST""",
    ("61685007", "Lower limb"): """
        LOWERLIMB ANKLE CALCANEUS CALF FEMUR FIBULA FOOT KNEE LOWERLEG PATELLA POPLITEALFOSSA THIGH TIBIA TIBIAFIBULA
        TOE PELVISLOWEXTREMT""",
    ("67734004", "Upper trunk"): """
        UPPERTRUNK CHEST BRONCHUS LUNG MEDIASTINUM RIB STERNUM THYMUS TRACHEABRONCHUS CHESTABDOMEN CHESTABDPELVIS
        NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV""",
    ("774007", "Head and neck"): """
        HEADNECK HEAD NECK BRAIN CEREBELLUM EAR EYE FACE HYPOPHARYNX IAC JAW LARYNX MANDIBLE MASTOID MAXILLA MOUTH
        NASOPHARYNX NOSE ORBIT PAROTID PHARYNX PHARYNXLARYNX SELLA SKULL THYROID TMJ TONGUE ZYGOMA NECKCHEST
        NECKCHESTABDOMEN NECKCHESTABDPELV""",
    ("113257007", "Cardiovascular system"): "CARDIOVASCSYS AORTA AORTICARCH CAROTID CORONARYARTERY THORACICAORTA",
    ("80891009", "Heart"): "HEART LATRIUM RATRIUM LVENTRICLE RVENTRICLE",
    ("76752008", "Breast"): "BREAST",
    ("1141981001", "Vertebral column"): "SPINE CSPINE CTSPINE TSPINE TLSPINE LSPINE LSSPINE SSPINE COCCYX",
}
"""Regions of the value sets of both guides, each with body parts of PS3.16 annex L that surely lie in it."""


def _regions_by_code() -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for region, parts in _REGIONS.items():
        for part in parts.split():
            site = body_part_coding(part)
            assert site is not None, part
            regions = found.setdefault(str(site.code), [])
            if region not in regions:
                regions.append(region)
    return found


_REGIONS_BY_CODE = _regions_by_code()


def set_regions(study: Resource, profile: str, body_sites: Iterable[str]) -> None:
    """Say in which regions the body sites (SNOMED CT codes) of the series lie. Others' extensions stay, first."""
    url = _ANATOMICAL_REGION[profile]
    regions = sorted({region for code in body_sites for region in _REGIONS_BY_CODE.get(code, ())})
    theirs = [e for e in study.get("extension") or () if not _is_our_region(e, url)]
    said = {coding.get("code") for e in theirs if e.get("url") == url for coding in _codings(e)}
    ours = [_region(url, code, display) for code, display in regions if code not in said]
    extensions = theirs + ours
    if extensions:
        study["extension"] = extensions
    else:
        study.pop("extension", None)


def _region(url: str, code: str, display: str) -> Resource:
    concept = {"coding": [{"system": SCT, "code": code, "display": display}]}
    return {"id": f"{_REGION_ID}{code}", "url": url, "valueCodeableConcept": concept}


def _is_our_region(extension: Resource, url: str) -> bool:
    return extension.get("url") == url and str(extension.get("id") or "").startswith(_REGION_ID)


def _codings(extension: Resource) -> list[Resource]:
    return (extension.get("valueCodeableConcept") or {}).get("coding") or []


def type_study_identifier(study: Resource) -> None:
    """Say of the identifier that is the Study Instance UID that it is, where it says nothing."""
    kind = {"coding": [{"system": DCM, "code": "110180", "display": "Study Instance UID"}]}
    study["identifier"] = [
        {"type": kind, **entry} if entry.get("system") == DICOM_UID_SYSTEM and "type" not in entry else entry
        for entry in study["identifier"]
    ]
