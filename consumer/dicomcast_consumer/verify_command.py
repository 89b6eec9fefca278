"""`dicomcast-consumer verify`: a DICOM server and a FHIR server held against each other."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
from dicomcast_runtime.dicomweb_client import DicomWebError, read_metadata
from dicomcast_runtime.errors import ConfigurationError, DependencyError
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.peer_settings import PeerSettings
from dicomcast_runtime.settings import ProcessSettings, load_settings
from pydantic import Field

from .apply import StudyApplier
from .breaker import Breaker
from .config import SourceSection
from .fhir_client import FhirClient
from .fhir_reader import FhirReader
from .gate import Gate
from .mapping import MappingOptions, SourceProfile, read_study_values
from .metrics import ConsumerMetrics
from .output_file import require_writable
from .progress import progress
from .qido import Place, study_instances
from .reader import EventReader, FeedSource
from .rejection_guard import RejectionGuard
from .verify import StudyVerdict
from .verify_arguments import Wanted
from .verify_check import Verifier
from .verify_outcome import Outcome, tell
from .verify_repair import Repair, StudyServer
from .verify_values import Said

__all__ = ["run_verify"]


class VerifySettings(ProcessSettings):
    """What it takes to read both servers and to apply what is missing."""

    fhir: PeerSettings
    sources: dict[str, SourceSection] = Field(min_length=1, description="The change feeds, by name.")
    mapping: MappingOptions = MappingOptions()


def run_verify(wanted: Wanted, *, config: Path | None) -> None:
    """Compares, and repairs where that is wanted; tells the outcome, raising what verify_outcome.tell does."""
    settings = load_settings(VerifySettings, config=config)
    if wanted.report is not None:
        require_writable("--report", wanted.report)
    outcome = asyncio.run(_Command(settings, _source(settings, wanted.source), wanted).run())
    tell(outcome, repair=wanted.repair, report=wanted.report)


class _Command:
    """One run of the command."""

    def __init__(self, settings: VerifySettings, feed: str, wanted: Wanted) -> None:
        self._settings = settings
        self._feed = feed
        self._section = settings.sources[feed]
        self._wanted = wanted

    async def run(self) -> Outcome:
        """Compares, compares again what differed, repairs."""
        async with contextlib.AsyncExitStack() as stack:
            fhir = FhirClient(await stack.enter_async_context(peer_client(self._settings.fhir)))
            dicom = await stack.enter_async_context(peer_client(self._section.peer()))
            profile = self._section.profile(self._feed)
            verifier = Verifier(
                dicom=dicom,
                fhir=fhir,
                dicomweb_url=profile.dicomweb_url,
                wait_s=self._wanted.wait_s,
                read_said=partial(_said, profile=profile, options=self._settings.mapping),
                dicom_settings=f"DICOMCAST_SOURCES__{self._feed.upper()}",
            )
            found = await self._compare(verifier)
            if not (self._wanted.repair and found.differing):
                return found
            refused = await self._repair(found.differing, verifier, dicom, fhir)
            left = await self._still(verifier, found.differing)
            repaired = len(found.differing) - len(left)
            return replace(found, differing=tuple(left), repaired=repaired, refused=refused)

    async def _compare(self, verifier: Verifier) -> Outcome:
        named = self._wanted.studies
        since = self._wanted.since
        query = {} if since is None else {"StudyDate": f"{since}-"}
        uids = list(dict.fromkeys(named)) or await verifier.studies(query)
        differing: list[StudyVerdict] = []
        nowhere: list[str] = []
        with progress("comparing studies", total=len(uids)) as advance:
            async for verdict in verifier.verdicts(uids):
                advance(1)
                if not verdict.same:
                    differing.append(verdict)
                elif named and verdict.on_dicom == verdict.on_fhir == 0:
                    nowhere.append(verdict.study_instance_uid)
        if self._wanted.everything:
            differing += [verdict async for verdict in verifier.unknown_to_dicom(frozenset(uids))]
        if differing and self._wanted.again_after_s:
            await asyncio.sleep(self._wanted.again_after_s)
            differing = await self._still(verifier, differing)
        return Outcome(compared=len(uids), differing=tuple(differing), nowhere=tuple(nowhere), repaired=0, refused={})

    async def _still(self, verifier: Verifier, differing: Sequence[StudyVerdict]) -> list[StudyVerdict]:
        uids = [verdict.study_instance_uid for verdict in differing]
        return [verdict async for verdict in verifier.verdicts(uids) if not verdict.same]

    async def _repair(
        self, differing: Sequence[StudyVerdict], verifier: Verifier, dicom: httpx.AsyncClient, fhir: FhirClient
    ) -> dict[str, Counter[str]]:
        server = StudyServer(
            instances=lambda uid: verifier.again(partial(study_instances, dicom, uid)),
            metadata=lambda uid, place: verifier.again(partial(_metadata, dicom, uid, place)),
        )
        refused: dict[str, Counter[str]] = {}
        with progress("repairing studies", total=len(differing)) as advance:
            for verdict in differing:
                repair = Repair(feed=self._feed, partition_name=self._section.partition, server=server)
                # That an instance is refused again is no sign of a wrong setting: the guard never gets suspicious.
                gate = Gate(Breaker(), RejectionGuard(studies=1, least=2))
                try:
                    missing = await self._missing(verdict, server)
                    applier = self._applier(repair, gate, dicom, fhir)
                    await asyncio.wait_for(
                        repair.repair(applier, verdict.study_instance_uid, missing), self._wanted.wait_s + len(missing)
                    )
                except (DicomWebError, DependencyError, TimeoutError) as error:
                    reason = str(error) or gate.closed_by or "a server is away"
                    raise DependencyError(
                        f"study {verdict.study_instance_uid} could not be repaired ({reason}): what was written stays; "
                        "verify again"
                    ) from None
                if repair.rejections:
                    codes = Counter(error.code for error in repair.rejections.values())
                    refused[verdict.study_instance_uid] = codes
                advance(1)
        return refused

    async def _missing(self, verdict: StudyVerdict, server: StudyServer) -> frozenset[Place]:
        found = verdict.of("missing")
        if any(finding.place is None for finding in found):
            return await server.instances(verdict.study_instance_uid)
        return frozenset(finding.place for finding in found if finding.place is not None)

    def _applier(self, repair: Repair, gate: Gate, dicom: httpx.AsyncClient, fhir: FhirClient) -> StudyApplier:
        feed = FeedSource(profile=self._section.profile(self._feed), dicomweb=dicom, ignored_partitions=frozenset())
        options = self._settings.mapping
        return StudyApplier(
            events=EventReader(feeds={self._feed: feed}, options=options, schema_by_id=None),
            fhir=FhirReader(fhir, options),
            letters=repair,
            gate=gate,
            prove=repair.prove,
            options=options,
            metrics=ConsumerMetrics(),
        )


async def _metadata(dicom: httpx.AsyncClient, study_instance_uid: str, place: Place) -> str:
    return await read_metadata(
        dicom, study_instance_uid=study_instance_uid, series_instance_uid=place[0], sop_instance_uid=place[1]
    )


def _source(settings: VerifySettings, wanted: str | None) -> str:
    known = sorted(settings.sources)
    if wanted is None and len(known) == 1:
        return known[0]
    if wanted not in settings.sources:
        raise ConfigurationError(f"--source: one of {', '.join(known)}")
    return wanted


def _said(study_instance_uid: str, metadata: str, *, profile: SourceProfile, options: MappingOptions) -> Said:
    """Raises RejectedError when it is no data set."""
    return Said(*read_study_values(metadata, study_instance_uid, profile=profile, options=options))
