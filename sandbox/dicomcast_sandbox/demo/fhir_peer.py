"""The demo as a reader of the FHIR server: what it holds of the run's studies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from dicomcast_runtime.errors import DependencyError

__all__ = ["FhirPeer", "Snapshot", "StudySeen"]

_DICOM_UID: Final = "urn:dicom:uid"
_REFUSED: Final = (400, 401, 403, 404, 405)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySeen:
    """One ImagingStudy as FHIR has it."""

    uid: str
    resource: str
    """`ImagingStudy/<id>`."""
    version: int
    modality: str
    started: str
    series: int
    instances: int
    patient: str
    """Reference of the subject; nothing of the Patient itself."""
    content: Mapping[str, Any]
    """The resource without what the server itself writes in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All studies of the run, and the version of every resource they refer to."""

    studies: Mapping[str, StudySeen]
    """By Study Instance UID."""
    others: Mapping[str, int]
    """Version of each Patient and Endpoint, by `<type>/<id>`."""
    patients: Mapping[str, str] = field(repr=False)
    """Identifier and name of each Patient, by reference: shown only to who asks."""

    def instances(self) -> int:
        """Of all studies together."""
        return sum(study.instances for study in self.studies.values())


class FhirPeer:
    """Reads; DependencyError for an answer that will not change."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def read(self, uids: Sequence[str]) -> Snapshot:
        """What there is of these studies now; nothing at all while the server is away."""
        params: list[tuple[str, str | int | float | bool | None]] = [
            ("identifier", ",".join(f"{_DICOM_UID}|urn:oid:{uid}" for uid in uids)),
            ("_include", "ImagingStudy:subject"),
            ("_include", "ImagingStudy:endpoint"),
            ("_count", "200"),
        ]
        try:
            answer = await self._client.get("ImagingStudy", params=params, headers={"Cache-Control": "no-cache"})
        except httpx.TransportError:
            return _NOTHING
        if answer.status_code in _REFUSED:
            raise DependencyError(f"the FHIR server answers {answer.status_code} to a search for ImagingStudy")
        if not answer.is_success:
            return _NOTHING
        resources = [entry["resource"] for entry in answer.json().get("entry", ())]
        seen = [_study(one) for one in resources if one["resourceType"] == "ImagingStudy"]
        others = {
            f"{one['resourceType']}/{one['id']}": int(one["meta"]["versionId"])
            for one in resources
            if one["resourceType"] in ("Patient", "Endpoint")
        }
        patients = {f"Patient/{one['id']}": _who(one) for one in resources if one["resourceType"] == "Patient"}
        return Snapshot(studies={study.uid: study for study in seen}, others=others, patients=patients)


_NOTHING: Final = Snapshot(studies={}, others={}, patients={})


def _who(patient: Mapping[str, Any]) -> str:
    identifiers = [one.get("value", "") for one in patient.get("identifier", [])]
    names = [" ".join((*one.get("given", []), one.get("family", ""))) for one in patient.get("name", [])]
    return ", ".join((*identifiers, *names))


def _study(resource: Mapping[str, Any]) -> StudySeen:
    series = resource.get("series", [])
    uids = [one["value"] for one in resource["identifier"] if one.get("system") == _DICOM_UID]
    return StudySeen(
        uid=uids[0].removeprefix("urn:oid:"),
        resource=f"ImagingStudy/{resource['id']}",
        version=int(resource["meta"]["versionId"]),
        modality=", ".join(one.get("code", "") for one in resource.get("modality", [])),
        started=resource.get("started", ""),
        series=len(series),
        instances=sum(len(one.get("instance", [])) for one in series),
        patient=resource.get("subject", {}).get("reference", ""),
        content={name: value for name, value in resource.items() if name not in ("meta", "text")},
    )
