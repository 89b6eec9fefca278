"""Code lists that DICOM defines: modalities, coding schemes, laterality; here, so that a mapping is repeatable."""

__all__ = ["ACQUISITION_MODALITIES", "LATERALITY", "MODALITIES", "SCHEME_URIS", "SNOMED_RT_DESIGNATORS"]

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"

_MODALITIES_TERMS = """
ANN AR ASMT AU BDUS BI BMD CFM CR CT CTPROTOCOL DG DMS DOC DX ECG EEG EMG EOG EPS ES FID GM HC HD IO IOL IVOCT IVUS
KER KO LEN LS M3D MG MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RG RTDOSE
RTIMAGE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF STAIN TEXTUREMAP TG US VA XA
XAPROTOCOL XC AS CD CF CP CS DD DF DM DS EC FA FS LP MA MS OPR ST VF
"""
MODALITIES = frozenset(_MODALITIES_TERMS.split())
"""Defined terms of Modality, PS3.3 C.7.3.1.1.1 (2024), from AS on its retired ones."""

_ACQUISITION_MODALITIES_TERMS = """
AR BI BMD CR CT CFM DMS DG DX ES XC GM IO IVOCT IVUS KER LS LEN MR MG NM OAM OPM OP OPT OPTBSV OPTENF OPV OCT OSS PX
PA PT RF RG RTIMAGE SM SRF TG US BDUS VA XA AU ECG EEG EMG EOG EPS HD RESP
"""
ACQUISITION_MODALITIES = frozenset(_ACQUISITION_MODALITIES_TERMS.split())
"""PS3.16 CID 29, and from AU on the waveforms of CID 34."""

SCHEME_URIS = {
    "DCM": DCM,
    "SCT": SCT,
    "LN": "http://loinc.org",
    "UCUM": UCUM,
    "RADLEX": "http://radlex.org",
    "RPID": "http://radlex.org",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "C4": "http://www.ama-assn.org/go/cpt",
    "RFC5646": "urn:ietf:bcp:47",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "NDC": "http://hl7.org/fhir/sid/ndc",
    "MDC": "urn:iso:std:iso:11073:10101",
}
"""Coding Scheme Designator (PS3.16 chapter 8) → code system URI of R4."""

SNOMED_RT_DESIGNATORS = frozenset({"SRT", "SNM3", "99SDM"})
"""Designators whose codes are SNOMED RT ids, to be converted to SNOMED CT (PS3.16 8.1)."""

LATERALITY = {"R": "24028007", "L": "7771000", "B": "51440002"}
"""Laterality (0020,0060) → SNOMED CT (PS3.16 CID 244)."""

LATERALITY_DISPLAY = {"R": "Right", "L": "Left", "B": "Right and left"}
