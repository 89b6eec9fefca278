"""DICOM → FHIR R4, from value to value: no client, clock, environment or logger in here.

    read_event            an event becomes an InstanceChange; raises RejectedError, nothing else
    fold                  a study's queued changes become runs, one per SOP instance
    patient_identifiers   which Patients to search for (`.token` of each)
    settle                whose study it is: the Patient to merge into, the changes that belong
    merge_patient         each of Settlement.patients as it is to be, from its .patient and .values
    merge_study           the ImagingStudy as it is to be
    endpoint_resource     the Endpoint of a source
    merge_dose            the Observations of its radiation dose reports, where options.observations asks for them

The order of the calls is that of this list: read the study (`study_token`), its subject and the Patients found, then
settle, then merge_patient, then merge_study with the reference to the Patient of Settlement.subject.
"""

from ..mapping_options import MappingOptions, SourceProfile
from .dose_observation import dose_study_token, dose_tokens, doses_to_delete
from .endpoint import endpoint_resource, endpoint_token, matches
from .fragments import PatientIdentifier
from .identity import (
    AS_OF_URL,
    BASE_URI,
    TAG_CODE,
    TAG_SYSTEM,
    Resource,
    escape_token,
    is_ours,
    study_identifier,
    study_token,
    token,
)
from .imaging_study import Outcome, StudyMerge, merge_study
from .marks import without_marks
from .merge_dose import DoseMerge, merge_dose
from .patient import PatientMerge, merge_patient
from .read import in_partition, read_event, read_study_values
from .settlement import SettledPatient, Settlement, patient_identifiers, settle
from .validation import validate_new
from .values import InstanceChange, InstanceRun, Kind, Mark, Omission, PatientValues, fold

__all__ = [
    "AS_OF_URL",
    "BASE_URI",
    "TAG_CODE",
    "TAG_SYSTEM",
    "DoseMerge",
    "InstanceChange",
    "InstanceRun",
    "Kind",
    "MappingOptions",
    "Mark",
    "Omission",
    "Outcome",
    "PatientIdentifier",
    "PatientMerge",
    "PatientValues",
    "Resource",
    "SettledPatient",
    "Settlement",
    "SourceProfile",
    "StudyMerge",
    "dose_study_token",
    "dose_tokens",
    "doses_to_delete",
    "endpoint_resource",
    "endpoint_token",
    "escape_token",
    "fold",
    "in_partition",
    "is_ours",
    "matches",
    "merge_dose",
    "merge_patient",
    "merge_study",
    "patient_identifiers",
    "read_event",
    "read_study_values",
    "settle",
    "study_identifier",
    "study_token",
    "token",
    "validate_new",
    "without_marks",
]
