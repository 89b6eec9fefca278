"""What FHIR has of the studies of a group: three searches, however many studies; a fourth where doses are mapped."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from .fhir_client import FhirClient
from .mapping import MappingOptions, PatientIdentifier, dose_study_token, endpoint_token, matches, study_token
from .mapping.dose_observation import STUDY_OF_DOSE_SYSTEM
from .mapping.endpoint import CONNECTION_TYPE, WADO_RS, endpoint_name
from .mapping.identity import DICOM_UID_SYSTEM, Resource, urn_oid
from .plan import FhirState, StudyWork

__all__ = ["FhirReader"]

_MAX_LINKS = 5
_MOST_ENDPOINTS = 100


class FhirReader:
    """Reads, fresh each time. It remembers only which Endpoints exist, so that their first writers alone queue up."""

    def __init__(self, client: FhirClient, options: MappingOptions) -> None:
        """`options` say whether the dose Observations of the studies are read as well, by a fourth search."""
        self.client = client
        self._with_doses = options.observations == "dose"
        self._endpoints_seen: set[str] = set()

    def shared(self, works: Sequence[StudyWork]) -> set[str]:
        """What must not be written by two bundles at once: the Patients, and an Endpoint that may have to be made."""
        new = {work.profile.dicomweb_url for work in works} - self._endpoints_seen
        return {identifier.token for work in works for identifier in work.patients} | new

    async def read(self, works: Sequence[StudyWork]) -> FhirState:
        """The studies with their subjects, the Patients by identifier, the Endpoints, the dose Observations."""
        addresses = sorted({work.profile.dicomweb_url for work in works})
        wanted = {identifier.token: identifier for work in works for identifier in work.patients}
        uids = sorted({work.study_instance_uid for work in works})
        found, observations, patients, endpoints = await asyncio.gather(
            self.studies(uids),
            self._observations(uids),
            self.patients(wanted),
            asyncio.gather(*(self._endpoint(address) for address in addresses)),
        )
        studies = [resource for resource in found if resource["resourceType"] == "ImagingStudy"]
        included = [resource for resource in found if resource["resourceType"] == "Patient"]
        known = [*included, *(patient for found in patients.values() for patient in found)]
        by_reference = {f"Patient/{patient['id']}": patient for patient in known}
        await self._add_subjects(studies, by_reference)
        return FhirState(
            studies={uid: _having(studies, study_key(uid)) for uid in uids},
            observations={uid: _having(observations, (STUDY_OF_DOSE_SYSTEM, urn_oid(uid))) for uid in uids},
            patients=patients,
            by_reference=by_reference,
            endpoints=dict(zip(addresses, endpoints, strict=True)),
        )

    async def studies(self, uids: Sequence[str]) -> list[Resource]:
        """The ImagingStudy resources with these identifiers, and their subjects where the server includes them."""
        identifiers = ",".join(study_token(uid) for uid in uids)
        return await self.client.search(
            "ImagingStudy",
            [("identifier", identifiers), ("_include", "ImagingStudy:subject")],
            most=2 * len(uids) + 10,
        )

    async def _observations(self, uids: Sequence[str]) -> list[Resource]:
        if not self._with_doses:
            return []
        identifiers = ",".join(dose_study_token(uid) for uid in uids)
        return await self.client.search("Observation", [("identifier", identifiers)], most=500)

    async def patients(self, wanted: Mapping[str, PatientIdentifier]) -> dict[str, tuple[Resource, ...]]:
        """By search token: the Patients that have the identifier, or took the place of one that has it."""
        if not wanted:
            return {}
        identifiers = ",".join(sorted(wanted))
        patients = await self.client.search("Patient", [("identifier", identifiers)], most=2 * len(wanted) + 10)
        found = [(patient, await self._surviving(patient)) for patient in patients]
        return {
            token: tuple(
                {
                    survivor["id"]: survivor
                    for patient, survivor in found
                    if identifier.names(patient.get("identifier") or ())
                }.values()
            )
            for token, identifier in wanted.items()
        }

    async def _surviving(self, patient: Resource) -> Resource:
        """The Patient that took this one's place, if it was merged away (R4 Patient.link replaced-by)."""
        merged = patient
        for _ in range(_MAX_LINKS):
            links: list[Resource] = [link for link in merged.get("link") or () if link.get("type") == "replaced-by"]
            reference = str((links[0].get("other") or {}).get("reference", "")) if links else ""
            if not reference.startswith("Patient/"):
                break
            target = await self.client.read("Patient", reference.removeprefix("Patient/"))
            if target is None:
                break
            merged = target
        return merged

    async def _endpoint(self, address: str) -> Resource | None:
        searches: tuple[list[tuple[str, str]], ...] = (
            [("identifier", f"{endpoint_token(address)},{endpoint_token(address + '/')}")],
            [("connection-type", f"{CONNECTION_TYPE}|{WADO_RS}"), ("name", _escaped_name(address))],
        )
        for parameters in searches:
            for endpoint in await self.client.search("Endpoint", parameters, most=_MOST_ENDPOINTS):
                if matches(endpoint, address):
                    self._endpoints_seen.add(address)
                    return endpoint
        self._endpoints_seen.discard(address)
        return None

    async def _add_subjects(self, studies: Iterable[Resource], by_reference: dict[str, Resource]) -> None:
        """Reads the subjects that the search did not include, not every server does, and follows those merged away."""
        for study in studies:
            reference = str((study.get("subject") or {}).get("reference", ""))
            patient = by_reference.get(reference)
            if patient is None and reference.startswith("Patient/"):
                patient = await self.client.read("Patient", reference.removeprefix("Patient/"))
            if patient is not None:
                by_reference[reference] = await self._surviving(patient)


def study_key(study_instance_uid: str) -> tuple[str, str]:
    """System and value of the study's identifier."""
    return DICOM_UID_SYSTEM, urn_oid(study_instance_uid)


def _having(resources: Iterable[Resource], key: tuple[str, str]) -> tuple[Resource, ...]:
    return tuple(
        r for r in resources if any((i.get("system"), i.get("value")) == key for i in r.get("identifier") or ())
    )


def _escaped_name(address: str) -> str:
    return endpoint_name(address).replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")
