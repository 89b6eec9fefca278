"""Change feed events and records for tests: small, valid, without a DICOM server."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from dicomcast_consumer.record import Record
from dicomcast_schemas import Action, DicomChangeEvent, State, encode
from dicomcast_schemas.topic import DEFAULT_TOPIC, event_headers, record_key

__all__ = ["create", "delete", "metadata", "record", "update"]

FEED = "main"
BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def metadata(study: str, series: str, instance: str, **attributes: Any) -> str:
    """A CT instance's data set; attributes by keyword-like names below override or, with None, leave out."""
    values: dict[str, tuple[str, Any]] = {
        "sop_class": ("00080016", {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]}),
        "sop_instance": ("00080018", {"vr": "UI", "Value": [instance]}),
        "study_date": ("00080020", {"vr": "DA", "Value": ["20260102"]}),
        "accession": ("00080050", {"vr": "SH", "Value": ["A1"]}),
        "modality": ("00080060", {"vr": "CS", "Value": ["CT"]}),
        "description": ("00081030", {"vr": "LO", "Value": ["CHEST"]}),
        "patient_name": ("00100010", {"vr": "PN", "Value": [{"Alphabetic": "Doe^Jane"}]}),
        "patient_id": ("00100020", {"vr": "LO", "Value": ["P1"]}),
        "sex": ("00100040", {"vr": "CS", "Value": ["F"]}),
        "study": ("0020000D", {"vr": "UI", "Value": [study]}),
        "series": ("0020000E", {"vr": "UI", "Value": [series]}),
        "number": ("00200013", {"vr": "IS", "Value": [1]}),
    }
    data_set = {tag: dict(element) for tag, element in values.values()}
    for name, value in attributes.items():
        tag = values[name][0]
        if value is None:
            del data_set[tag]
        else:
            data_set[tag]["Value"] = [value]
    return json.dumps(data_set)


def create(sequence: int, study: str, instance: str, *, series: str = "1.9", **attributes: Any) -> DicomChangeEvent:
    """An instance was stored."""
    return _event(sequence, Action.CREATE, State.CURRENT, study, series, instance, attributes)


def update(sequence: int, study: str, instance: str, *, series: str = "1.9", **attributes: Any) -> DicomChangeEvent:
    """An instance was changed."""
    return _event(sequence, Action.UPDATE, State.CURRENT, study, series, instance, attributes)


def delete(sequence: int, study: str, instance: str, *, series: str = "1.9") -> DicomChangeEvent:
    """An instance was deleted."""
    return _event(sequence, Action.DELETE, State.DELETED, study, series, instance, None)


def record(event: DicomChangeEvent, *, offset: int, partition: int = 0, value: bytes | None = None) -> Record:
    """The record as the producer writes it; `value` puts other bytes in its place."""
    return Record(
        topic=DEFAULT_TOPIC,
        partition=partition,
        offset=offset,
        key=record_key(event),
        value=encode(event) if value is None else value,
        headers=tuple((name, text.encode()) for name, text in event_headers(event).items()),
        timestamp_ms=1_700_000_000_000 + offset,
    )


def _event(
    sequence: int,
    action: Action,
    state: State,
    study: str,
    series: str,
    instance: str,
    attributes: Mapping[str, Any] | None,
) -> DicomChangeEvent:
    return DicomChangeEvent(
        feed=FEED,
        sequence=sequence,
        partition_name=None,
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=instance,
        action=action,
        state=state,
        timestamp=BEGIN + timedelta(seconds=sequence),
        file_path=None,
        metadata=None if attributes is None else metadata(study, series, instance, **attributes),
    )
