"""A change feed event becomes an InstanceChange: metadata is parsed once, here, and only what is mapped is kept.

Nothing but RejectedError leaves this module, whatever the metadata holds.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from dicomcast_schemas import Action, DicomChangeEvent, State

from ..errors import RejectedError
from ..mapping_options import MappingOptions, SourceProfile
from .codes import identified_schemes
from .dates import Clock
from .dose_values import DoseReport
from .elements import DataSet, is_uid
from .filters import is_wanted
from .fragments import PatientIdentifier
from .header import Header, Readings
from .read_dose import is_dose_report, read_dose
from .read_instance import read_instance, read_series
from .read_patient import read_patient, read_patient_identifier
from .read_study import read_study
from .values import InstanceChange, Kind, Mark, PatientValues, SeriesValues, StudyValues

__all__ = ["in_partition", "read_event", "read_study_values"]

_LEADING_ZERO = re.compile(r"\.0[0-9]")
DEFAULT_PARTITION = "Microsoft.Default"


def in_partition(event: DicomChangeEvent, profile: SourceProfile) -> bool:
    """Whether the event belongs to the data partition that the profile serves. If not, the caller must stop."""
    return (event.partition_name or DEFAULT_PARTITION) == (profile.partition or DEFAULT_PARTITION)


def read_event(
    event: DicomChangeEvent, *, profile: SourceProfile, options: MappingOptions, metadata: str | None = None
) -> InstanceChange:
    """What the event says.

    `metadata` stands in for event.metadata when the caller had to fetch it. SKIP: a Create or Update of an instance
    that does not exist any more, a Delete of one that exists again, an instance that is filtered out. A Delete needs
    no metadata. Raises RejectedError, and nothing else.
    """
    if event.action is Action.UNKNOWN:
        raise RejectedError("decode", "decode.action_unknown", "the event's action is unknown to this release")
    uids = _Uids.of(event)
    if event.action is Action.DELETE:
        if event.state is State.REPLACED:
            return _change(event, uids, Kind.SKIP, skip_reason="delete-replaced")
        return _change(event, uids, Kind.REMOVE)
    if event.state is State.DELETED:
        return _change(event, uids, Kind.SKIP, skip_reason="create-already-deleted")
    text = metadata if metadata is not None else event.metadata
    if text is None:
        raise RejectedError("source", "source.metadata_missing", "the event has no metadata")
    if len(text) > options.max_metadata_chars:
        raise RejectedError("map", "map.metadata_too_large", "the metadata is longer than mapping.max_metadata_chars")
    header = Header(text, uids.instance)
    if not is_wanted(header, options):
        return _change(event, uids, Kind.SKIP, skip_reason="excluded")
    change = _with_values(event, uids, header, profile, options)
    left_out = [omission for omission in change.omissions if not omission.is_mapped] if options.strict else ()
    if left_out:
        names = ", ".join(f"{omission.attribute} ({omission.reason})" for omission in left_out)
        raise RejectedError("map", "map.strict", f"strict: left out would be {names}")
    return change


def read_study_values(
    metadata: str, study_instance_uid: str, *, profile: SourceProfile, options: MappingOptions
) -> tuple[StudyValues, PatientIdentifier | None]:
    """What a data set, of an instance or a search's result, says of its study; and by what it identifies the patient,
    None when it does not. Raises RejectedError when it is no data set.
    """
    header = Header(metadata, "")
    known = _with_schemes(header, options)
    study = read_study(header, _clock(header, profile, known), profile, known)
    try:
        return study, read_patient_identifier(header, study_instance_uid, profile, known)
    except RejectedError:
        return study, None


class _Uids(NamedTuple):
    study: str
    series: str
    instance: str

    @classmethod
    def of(cls, event: DicomChangeEvent) -> "_Uids":
        return cls(
            _uid(event.study_instance_uid, "StudyInstanceUID"),
            _uid(event.series_instance_uid, "SeriesInstanceUID"),
            _uid(event.sop_instance_uid, "SOPInstanceUID"),
        )


def _change(event: DicomChangeEvent, uids: _Uids, kind: Kind, **values: Any) -> InstanceChange:
    return InstanceChange(
        mark=Mark(feed=event.feed, sequence=event.sequence, timestamp=event.timestamp),
        kind=kind,
        study_instance_uid=uids.study,
        series_instance_uid=uids.series,
        sop_instance_uid=uids.instance,
        **values,
    )


def _uid(value: str, attribute: str) -> str:
    uid = value.strip(" \x00")
    if not is_uid(uid):
        fault = "is not a DICOM UID" if uid else "is missing"
        raise RejectedError("map", "map.uid_invalid", f"{attribute} {fault}")
    return uid


def _with_values(
    event: DicomChangeEvent, uids: _Uids, header: Header, profile: SourceProfile, options: MappingOptions
) -> InstanceChange:
    _check_uid(header, "00080018", "SOPInstanceUID", uids.instance)
    instance = read_instance(header, options)
    shared = _read_shared(event.timestamp, uids, header, profile, options)
    return _change(
        event,
        uids,
        Kind.UPSERT,
        is_update=event.action is Action.UPDATE,
        instance=instance,
        patient=shared.patient,
        study=shared.study,
        series=shared.series,
        dose=_read_dose(header, shared.study, profile, options),
        omissions=tuple(header.omissions),
    )


@dataclass(frozen=True, slots=True)
class _Shared:
    """What the instances of a series mostly say alike."""

    patient: PatientValues
    study: StudyValues
    series: SeriesValues


_READINGS: Final = Readings[_Shared]()
_AHEAD: Final = timedelta(hours=14)


def _today(timestamp: datetime) -> date:
    """When the event was, anywhere on earth. Input of `map` that has no time of its own is of 1970: any day then.

    Of the last year that there is: any day as well, for no later one can be written.
    """
    return (timestamp + _AHEAD).date() if 1970 < timestamp.year < date.max.year else date.max


def _read_shared(
    timestamp: datetime, uids: _Uids, header: Header, profile: SourceProfile, options: MappingOptions
) -> _Shared:
    study, series, today = uids.study, uids.series, _today(timestamp)

    def read() -> _Shared:
        _check_uid(header, "0020000D", "StudyInstanceUID", study)
        _check_uid(header, "0020000E", "SeriesInstanceUID", series)
        known = _with_schemes(header, options)
        clock = _clock(header, profile, known)
        return _Shared(
            patient=read_patient(header, study, profile, known, today=today),
            study=read_study(header, clock, profile, known),
            series=read_series(header, clock, known),
        )

    return _READINGS.read(header, read, key=(study, series, today), context=(profile, options))


def _with_schemes(header: Header, options: MappingOptions) -> MappingOptions:
    schemes = identified_schemes(header)
    return options.model_copy(update={"codingscheme": schemes | options.codingscheme}) if schemes else options


def _clock(header: Header, profile: SourceProfile, options: MappingOptions) -> Clock:
    assume_utc = options.unknown_tz == "assume-utc"
    return Clock(header, timezone=profile.timezone, assume_utc=assume_utc, leap_second=options.leap_second)


def _read_dose(
    header: Header, study: StudyValues, profile: SourceProfile, options: MappingOptions
) -> DoseReport | None:
    if options.observations != "dose" or not is_dose_report(header):
        return None
    known = _with_schemes(header, options)
    return read_dose(header, _clock(header, profile, known), study, profile, known)


def _check_uid(data_set: DataSet, tag: str, attribute: str, expected: str) -> None:
    uid = data_set.text(tag, attribute)
    if uid is not None and uid != expected:
        raise RejectedError("map", "map.uid_mismatch", f"{attribute} of the data set is not that of the event")
    if ".0" in expected and _LEADING_ZERO.search(expected):
        data_set.doubt(attribute, "uid_leading_zero")
