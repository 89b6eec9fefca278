"""The original's algorithm, DICOM Cast's, ported for comparison: one event at a time, three searches, one transaction.

What it sends and asks is its; the values are mapped by its rules, those that cost nothing left out. No retries.
"""

import uuid
from collections.abc import Sequence
from typing import Any

import httpx
import orjson
from dicomcast_schemas import Action, DicomChangeEvent

from .topic import DICOMWEB

__all__ = ["Original"]

Resource = dict[str, Any]

_CONNECTION = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
_NAME = f"DICOM WADO-RS endpoint {DICOMWEB}"


class Original:
    """One worker."""

    def __init__(self, fhir_url: str) -> None:
        self._fhir = httpx.Client(base_url=fhir_url + "/", timeout=120, headers={"Accept": "application/fhir+json"})
        self._url = fhir_url

    def close(self) -> None:
        """Closes its connection."""
        self._fhir.close()

    def apply(self, events: Sequence[DicomChangeEvent]) -> None:
        """All events, in their order."""
        for event in events:
            self._apply(event)

    def _apply(self, event: DicomChangeEvent) -> None:
        data_set = orjson.loads(event.metadata) if event.metadata else None
        entries: list[Resource] = []
        patient = self._patient(data_set, entries) if data_set else ""
        endpoint = self._endpoint(entries)
        self._study(event, data_set, patient, endpoint, entries)
        if entries:
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            answer = self._fhir.post(
                self._url, content=orjson.dumps(bundle), headers={"Content-Type": "application/fhir+json"}
            )
            answer.raise_for_status()

    def _found(self, resource_type: str, **parameters: str) -> Resource | None:
        answer = self._fhir.get(resource_type, params=parameters)
        answer.raise_for_status()
        entries = orjson.loads(answer.content).get("entry", [])
        return entries[0]["resource"] if entries else None

    def _patient(self, data_set: Resource, entries: list[Resource]) -> str:
        identifier = str(_value(data_set, "00100020"))
        found = self._found("Patient", identifier=f"|{identifier}")
        patient = dict(found or {"resourceType": "Patient", "identifier": [{"value": identifier}]})
        names = (_value(data_set, "00100010") or {}).get("Alphabetic", "").split("^")
        patient["name"] = [{"use": "usual", "family": names[0], **({"given": names[1:2]} if names[1:2] else {})}]
        sex = {"M": "male", "F": "female", "O": "other"}.get(_value(data_set, "00100040") or "")
        if sex:
            patient["gender"] = sex
        return _put(found, patient, f"identifier=|{identifier}", entries)

    def _endpoint(self, entries: list[Resource]) -> str:
        found = self._found("Endpoint", **{"name": _NAME, "connection-type": f"{_CONNECTION}|dicom-wado-rs"})
        endpoint = {
            "resourceType": "Endpoint",
            "status": "active",
            "name": _NAME,
            "connectionType": {"system": _CONNECTION, "code": "dicom-wado-rs"},
            "payloadType": [{"text": "DICOM WADO-RS"}],
            "payloadMimeType": ["application/dicom"],
            "address": DICOMWEB,
        }
        criteria = f"name={_NAME}&connection-type={_CONNECTION}|dicom-wado-rs"
        return _put(found, found or endpoint, criteria, entries)

    def _study(
        self,
        event: DicomChangeEvent,
        data_set: Resource | None,
        patient: str,
        endpoint: str,
        entries: list[Resource],
    ) -> None:
        identifier = f"urn:oid:{event.study_instance_uid}"
        found = self._found("ImagingStudy", identifier=f"urn:dicom:uid|{identifier}")
        if event.action is Action.DELETE:
            _remove(found, event, entries)
        elif data_set is not None:
            study = orjson.loads(orjson.dumps(found)) if found else _new_study(identifier, patient)
            _merge(study, event, data_set, endpoint)
            _put(found, study, f"identifier=urn:dicom:uid|{identifier}", entries)


def _new_study(identifier: str, patient: str) -> Resource:
    return {
        "resourceType": "ImagingStudy",
        "meta": {"source": DICOMWEB},
        "identifier": [{"system": "urn:dicom:uid", "value": identifier}],
        "status": "available",
        "subject": {"reference": patient},
    }


def _merge(study: Resource, event: DicomChangeEvent, data_set: Resource, endpoint: str) -> None:
    if {"reference": endpoint} not in study.setdefault("endpoint", []):
        study["endpoint"].append({"reference": endpoint})
    study["started"] = _started(data_set, "00080020", "00080030")
    description = _value(data_set, "00081030")
    if description and all(note["text"] != description for note in study.get("note", [])):
        study.setdefault("note", []).append({"text": description})
    all_series = study.setdefault("series", [])
    series = next((s for s in all_series if s["uid"] == event.series_instance_uid), None)
    if series is None:
        series = {"uid": event.series_instance_uid, "instance": []}
        all_series.append(series)
    series["number"] = _value(data_set, "00200011")
    series["modality"] = {
        "system": "http://dicom.nema.org/resources/ontology/DCM",
        "code": _value(data_set, "00080060"),
    }
    series["started"] = _started(data_set, "00080021", "00080031")
    instance = next((i for i in series["instance"] if i["uid"] == event.sop_instance_uid), None)
    if instance is None:
        instance = {"uid": event.sop_instance_uid}
        series["instance"].append(instance)
    instance["sopClass"] = {"system": "urn:ietf:rfc:3986", "code": f"urn:oid:{_value(data_set, '00080016')}"}
    instance["number"] = _value(data_set, "00200013")
    for element in (study, series):
        for name in [name for name, value in element.items() if value is None]:
            del element[name]


def _remove(found: Resource | None, event: DicomChangeEvent, entries: list[Resource]) -> None:
    if found is None:
        return
    study = orjson.loads(orjson.dumps(found))
    for series in study.get("series", []):
        series["instance"] = [i for i in series["instance"] if i["uid"] != event.sop_instance_uid]
    study["series"] = [series for series in study.get("series", []) if series["instance"]]
    if study["series"]:
        _put(found, study, "", entries)
    else:
        entries.append({"request": {"method": "DELETE", "url": f"ImagingStudy/{found['id']}"}})


def _put(found: Resource | None, resource: Resource, criteria: str, entries: list[Resource]) -> str:
    """The entry that is needed, and the reference to the resource."""
    kind = resource["resourceType"]
    if found is None:
        full_url = f"urn:uuid:{uuid.uuid4()}"
        request = {"method": "POST", "url": kind, "ifNoneExist": criteria}
        entries.append({"fullUrl": full_url, "resource": resource, "request": request})
        return full_url
    reference = f"{kind}/{found['id']}"
    if resource != found:
        request = {"method": "PUT", "url": reference, "ifMatch": f'W/"{found["meta"]["versionId"]}"'}
        entries.append({"fullUrl": reference, "resource": resource, "request": request})
    return reference


def _value(data_set: Resource, tag: str) -> Any:
    values = data_set.get(tag, {}).get("Value")
    return values[0] if values else None


def _started(data_set: Resource, date_tag: str, time_tag: str) -> str | None:
    day, time = _value(data_set, date_tag), _value(data_set, time_tag)
    if not day or not time:
        return None
    return f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:6]}+00:00"
