"""Series and instance attributes of a data set."""

from pydicom._uid_dict import UID_dictionary

from ..errors import RejectedError
from ..mapping_options import MappingOptions
from .codes import modality_coding, read_coding
from .dates import Clock
from .elements import DataSet, is_uid
from .fragments import Coding, Frames
from .people import read_performers, read_specimens
from .profiles import NUMBER_OF_FRAMES
from .snomed import body_part_coding
from .terminology import LATERALITY
from .values import InstanceValues, SeriesValues

__all__ = ["read_instance", "read_series"]

_STARTED = ("00080021", "SeriesDate", "00080031", "SeriesTime")
_STRUCTURED = "1.2.840.10008.5.1.4.1.1.88."
_ENCAPSULATED = "1.2.840.10008.5.1.4.1.1.104."
_PRESENTATION = "1.2.840.10008.5.1.4.1.1.11."


def read_series(data_set: DataSet, clock: Clock, options: MappingOptions) -> SeriesValues:
    """What the data set says of its series."""
    more = options.series
    return SeriesValues(
        number=data_set.unsigned("00200011", "SeriesNumber"),
        modality=_modality(data_set),
        description=data_set.text("0008103E", "SeriesDescription"),
        body_site=_body_site(data_set, options),
        laterality=_side(data_set, "00200060", "Laterality"),
        image_laterality=_side(data_set, "00200062", "ImageLaterality"),
        started=clock.moment(*_STARTED) or (clock.acquisition_day() if more.acquisition_date else None),
        between=clock.between(*_STARTED) if options.uncertain_period else None,
        performers=read_performers(data_set, options) if more.performers or more.device else (),
        specimens=read_specimens(data_set) if more.specimen else (),
    )


def _modality(data_set: DataSet) -> Coding | None:
    value = data_set.code_string("00080060", "Modality")
    if value is None:
        data_set.omit("Modality", "missing")
        return None
    return modality_coding(value) or _as_it_is(data_set, "00080060", "Modality")


def _as_it_is(data_set: DataSet, tag: str, attribute: str) -> Coding:
    """What no code is known for, as a display: spaces and case are the data set's."""
    data_set.omit(attribute, "code_unknown")
    return Coding(display=data_set.text(tag, attribute))


def _body_site(data_set: DataSet, options: MappingOptions) -> Coding | None:
    """The anatomic region's code, else that of the body part examined."""
    region = data_set.item("00082218")
    coding = read_coding(region, "AnatomicRegionSequence", options.codingscheme) if region else None
    if coding is not None and coding.code is not None:
        return coding
    value = data_set.code_string("00180015", "BodyPartExamined")
    part = body_part_coding(value) if value else None
    if part is None and value and coding is None:
        return _as_it_is(data_set, "00180015", "BodyPartExamined")
    return part or coding


def _side(data_set: DataSet, tag: str, attribute: str) -> str | None:
    """R, L or B; U and an empty one say nothing."""
    value = data_set.code_string(tag, attribute)
    if value is None or value == "U":
        return None
    if value not in LATERALITY:
        data_set.omit(attribute, "code_unknown")
        return None
    return value


def read_instance(data_set: DataSet, options: MappingOptions) -> InstanceValues:
    """What the data set says of itself. Raises RejectedError without a SOPClassUID, which R4 requires."""
    sop_class_uid = data_set.text("00080016", "SOPClassUID")
    if sop_class_uid is None or not is_uid(sop_class_uid):
        fault = "missing" if sop_class_uid is None else "invalid"
        raise RejectedError("map", f"map.sop_class_uid_{fault}", f"SOPClassUID (0008,0016) is {fault}")
    return InstanceValues(
        sop_class_uid=sop_class_uid,
        sop_class_display=_sop_class_name(sop_class_uid) if options.sop_class_display else None,
        number=data_set.unsigned("00200013", "InstanceNumber"),
        title=_title(data_set, sop_class_uid),
        frames=_frames(data_set, options.profile) if options.profile != "none" else None,
    )


def _sop_class_name(uid: str) -> str | None:
    entry = UID_dictionary.get(uid)
    return entry[0] if entry else None


def _frames(data_set: DataSet, profile: str) -> Frames | None:
    count = data_set.unsigned("00280008", "NumberOfFrames")
    return Frames(url=NUMBER_OF_FRAMES[profile], count=count) if count else None


def _title(data_set: DataSet, sop_class_uid: str) -> str | None:
    """What a document calls itself; images have no title."""
    if sop_class_uid.startswith(_PRESENTATION):
        return data_set.text("00700080", "ContentLabel")
    if not sop_class_uid.startswith((_STRUCTURED, _ENCAPSULATED)):
        return None
    title = data_set.text("00420010", "DocumentTitle") if sop_class_uid.startswith(_ENCAPSULATED) else None
    concept = data_set.item("0040A043")
    return title or (concept.text("00080104", "ConceptNameCodeSequence") if concept else None)
