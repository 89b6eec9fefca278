"""THE LOOP of `verify`: both servers asked, study by study.

1. list     the studies of the DICOM server (QIDO-RS), or those named
2. compare  a batch at a time: each study's instances (QIDO-RS), the ImagingStudy resources of all (one search);
            then its values and subject, and where a search says others than FHIR, the instances' own (WADO-RS)
3. again    what differs is compared once more after a while: a change may have been on its way
4. extra    with everything listed: ImagingStudy resources of ours whose study the DICOM server does not have
"""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Final, TypeVar

import httpx
from dicomcast_runtime.backoff import full_jitter, retry_after_s
from dicomcast_runtime.dicomweb_client import (
    ANY_SOURCE,
    DicomWebError,
    InstanceGoneError,
    MetadataTooLargeError,
    read_metadata,
)
from dicomcast_runtime.errors import ConfigurationError, DependencyError

from .errors import ConflictError, RejectedError, RetryableError, SystemicError
from .fhir_client import FhirClient
from .fhir_reader import FhirReader
from .mapping import TAG_CODE, TAG_SYSTEM, MappingOptions, PatientIdentifier, Resource, token
from .mapping.identity import DICOM_UID_SYSTEM, same_source
from .qido import Place, study_attributes, study_instances, study_uids
from .verify import Finding, StudyVerdict, compare
from .verify_values import SUBJECT, Held, Said, bears_out, doubts

__all__ = ["Verifier"]

T = TypeVar("T")

_BATCH: Final = 25
_AT_ONCE: Final = 8
_WITNESSES: Final = 100
"""Instances of a study that are asked whether one of them says what FHIR says."""
_REFUSALS: Final = frozenset({301, 302, 303, 307, 308, 401, 403, 404})
"""What a DICOM server says to whom it does not know, and what stands in its place at a wrong address."""
_URN: Final = "urn:oid:"


class Verifier:
    """Compares the studies of one DICOM server with one FHIR server. It only reads."""

    def __init__(
        self,
        *,
        dicom: httpx.AsyncClient,
        fhir: FhirClient,
        dicomweb_url: str,
        wait_s: float,
        read_said: Callable[[str, str], Said] | None = None,
        dicom_settings: str = ANY_SOURCE,
    ) -> None:
        """`dicomweb_url`: as in Endpoint.address. `wait_s`: how long a server that is away is waited for.

        `dicom_settings`: those of the DICOM server, such as DICOMCAST_SOURCES__MAIN, which an error names.

        `read_said`: what a data set says of the study with this UID, raising RejectedError; None compares no values.
        """
        self._dicom = dicom
        self._fhir = fhir
        self._dicomweb_url = dicomweb_url
        self._wait_s = wait_s
        self._read_said = read_said
        self._settings = dicom_settings
        self._reader = FhirReader(fhir, MappingOptions())
        self._at_once = asyncio.Semaphore(_AT_ONCE)

    async def studies(self, query: Mapping[str, str]) -> list[str]:
        """The studies of the DICOM server that match. Raises as `again` does."""

        async def listed() -> list[str]:
            return [uid async for uid in study_uids(self._dicom, query, self._settings)]

        return await self.again(listed)

    async def verdicts(self, uids: Iterable[str]) -> AsyncIterator[StudyVerdict]:
        """One verdict a study, in order. Raises DependencyError when a server stays away."""
        for batch in _batches(uids):
            for verdict in await self._compare(batch):
                yield verdict

    async def unknown_to_dicom(self, known: frozenset[str]) -> AsyncIterator[StudyVerdict]:
        """ImagingStudy resources that say they are of this DICOM server, and whose study it does not have.

        A study that was stored while this was read is asked for once more before it counts.
        """
        async for study in self._ours():
            for uid in _study_uids(study):
                if uid not in known and not await self.again(partial(self._instances, uid)):
                    listed = compare(uid, (), (study,))
                    yield StudyVerdict(
                        study_instance_uid=uid, on_dicom=0, on_fhir=listed.on_fhir, findings=(Finding("extra"),)
                    )

    async def again(self, call: Callable[[], Awaitable[T]]) -> T:
        """The answer; a server that is away is asked again for a while, then DependencyError is raised.

        What waiting does not help: InstanceGoneError and MetadataTooLargeError are raised as the call does, and a
        refusal of either server as ConfigurationError.
        """
        waited_s, attempt = 0.0, 0
        while True:
            try:
                return await call()
            except (InstanceGoneError, MetadataTooLargeError):
                raise
            except SystemicError as error:
                raise ConfigurationError(str(error)) from None
            except (ConflictError, RejectedError) as error:
                raise ConfigurationError(f"a search is refused ({error}): check DICOMCAST_FHIR__URL") from None
            except (DicomWebError, RetryableError) as error:
                if isinstance(error, DicomWebError) and error.status in _REFUSALS:
                    raise ConfigurationError(str(error)) from None
                asked_s = error.retry_after_s if isinstance(error, RetryableError) else retry_after_s(error.retry_after)
                wait_s = max(full_jitter(attempt, least_s=0.5, most_s=30.0, uniform=random.uniform), asked_s or 0.0)
                if waited_s + wait_s > self._wait_s:
                    raise DependencyError(f"{error}; it was waited for {self._wait_s:.0f} s: verify again") from None
                await asyncio.sleep(wait_s)
                waited_s, attempt = waited_s + wait_s, attempt + 1

    async def _compare(self, uids: Sequence[str]) -> list[StudyVerdict]:
        found = await self.again(lambda: self._reader.studies(uids))
        patients = {f"Patient/{one['id']}": one for one in found if one["resourceType"] == "Patient"}
        studies = [one for one in found if one["resourceType"] == "ImagingStudy"]
        verdicts = [
            self._verdict(uid, tuple(one for one in studies if uid in _study_uids(one)), patients) for uid in uids
        ]
        answers = await asyncio.gather(*verdicts, return_exceptions=True)  # all have ended when one has failed
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    async def _verdict(self, uid: str, found: tuple[Resource, ...], patients: Mapping[str, Resource]) -> StudyVerdict:
        places = await self.again(partial(self._instances, uid))
        verdict = compare(uid, places, found)
        if not places or len(found) != 1 or self._read_said is None:
            return verdict
        held = Held(found[0], await self.again(lambda: self._subject(found[0], patients)))
        return verdict.but_for(await self._wrong_values(uid, places, held, partial(self._read_said, uid)))

    async def _wrong_values(
        self, uid: str, places: frozenset[Place], held: Held, read: Callable[[str], Said]
    ) -> frozenset[str]:
        """The elements for which a search says something else, and none of the instances says what FHIR says."""
        searched = await self.again(partial(self._attributes, uid))
        if searched is None:
            return frozenset()
        said = read(searched)
        doubtful, patients = doubts(held, said), {said.patient}
        for place in _spread(sorted(places), _WITNESSES):
            if not doubtful:
                break
            try:
                said = read(await self.again(partial(self._metadata, uid, place)))
            except (InstanceGoneError, MetadataTooLargeError, RejectedError):
                continue  # it says nothing
            doubtful -= bears_out(held, said)
            patients.add(said.patient)
        if SUBJECT in doubtful and await self.again(lambda: self._took_the_place(held, patients)):
            doubtful -= {SUBJECT}
        return doubtful

    async def _subject(self, study: Resource, patients: Mapping[str, Resource]) -> Resource | None:
        """The Patient, by a read of its own where the search did not include it: not every server does."""
        reference = str((study.get("subject") or {}).get("reference", ""))
        if reference in patients or not reference.startswith("Patient/"):
            return patients.get(reference)
        return await self._fhir.read("Patient", reference.removeprefix("Patient/"))

    async def _took_the_place(self, held: Held, said: Iterable[PatientIdentifier | None]) -> bool:
        """Whether the subject took the place of a Patient with one of these identifiers (R4 Patient.link)."""
        wanted = {patient.token: patient for patient in said if patient is not None}
        found = await self._reader.patients(wanted)
        ids = {patient["id"] for patients in found.values() for patient in patients}
        return held.subject is not None and held.subject["id"] in ids

    async def _attributes(self, uid: str) -> str | None:
        async with self._at_once:
            return await study_attributes(self._dicom, uid, self._settings)

    async def _metadata(self, uid: str, place: Place) -> str:
        async with self._at_once:
            return await read_metadata(
                self._dicom,
                study_instance_uid=uid,
                series_instance_uid=place[0],
                sop_instance_uid=place[1],
                settings=self._settings,
            )

    async def _instances(self, uid: str) -> frozenset[Place]:
        async with self._at_once:
            return await study_instances(self._dicom, uid, self._settings)

    async def _ours(self) -> AsyncIterator[Resource]:
        query = [("_tag", token(TAG_SYSTEM, TAG_CODE)), ("_count", "100")]
        at: str | None = None
        seen: set[str | None] = {None}
        while True:
            studies, at = await self.again(partial(self._fhir.page, "ImagingStudy", query, at=at))
            for study in studies:
                if same_source(study, self._dicomweb_url):
                    yield study
            if at is None:
                return
            if at in seen:
                raise DependencyError("the FHIR server gives the pages of its ImagingStudy resources in a circle")
            seen.add(at)


def _batches(uids: Iterable[str]) -> Iterable[tuple[str, ...]]:
    rest = iter(uids)
    while batch := tuple(itertools.islice(rest, _BATCH)):
        yield batch


def _spread(places: Sequence[Place], most: int) -> Sequence[Place]:
    """At most so many of them, from all over."""
    return places[:: -(-len(places) // most)]


def _study_uids(study: Resource) -> list[str]:
    values = [str(i.get("value", "")) for i in study.get("identifier") or () if i.get("system") == DICOM_UID_SYSTEM]
    return [value.removeprefix(_URN) for value in values]
