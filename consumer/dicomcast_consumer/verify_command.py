"""`dicomcast-consumer verify`: a DICOM server and a FHIR server held against each other."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
import typer
from dicomcast_runtime.dicomweb_client import DicomWebError, read_metadata
from dicomcast_runtime.errors import ConfigurationError, DependencyError
from dicomcast_runtime.exit_codes import ExitCode
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
from .progress import progress
from .qido import Place, study_instances, study_uids
from .reader import EventReader, FeedSource
from .rejection_guard import RejectionGuard
from .table import print_table
from .verify import Finding, Kind, StudyVerdict
from .verify_arguments import Wanted
from .verify_check import Verifier
from .verify_repair import Repair, StudyServer
from .verify_values import Said

__all__ = ["run_verify"]

_COLUMNS: Final = ("study", ">on DICOM", ">in FHIR", "what differs")
_SHOWN: Final = 50


class VerifySettings(ProcessSettings):
    """What it takes to read both servers and to apply what is missing."""

    fhir: PeerSettings
    sources: dict[str, SourceSection] = Field(min_length=1, description="The change feeds, by name.")
    mapping: MappingOptions = MappingOptions()


def run_verify(wanted: Wanted, *, config: Path | None) -> None:
    """Compares, and repairs where that is wanted; prints the outcome. Raises typer.Exit(1) when something differs."""
    settings = load_settings(VerifySettings, config=config)
    outcome = asyncio.run(_Command(settings, _source(settings, wanted.source), wanted).run())
    _tell(outcome, wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    compared: int
    differing: tuple[StudyVerdict, ...]
    repaired: int
    refused: dict[str, Counter[str]]
    """By study: how many of its instances cannot be applied, by dead-letter code."""


class _Command:
    """One run of the command."""

    def __init__(self, settings: VerifySettings, feed: str, wanted: Wanted) -> None:
        self._settings = settings
        self._feed = feed
        self._section = settings.sources[feed]
        self._wanted = wanted

    async def run(self) -> _Outcome:
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
            )
            compared, differing = await self._compare(verifier, dicom)
            if not (self._wanted.repair and differing):
                return _Outcome(compared=compared, differing=tuple(differing), repaired=0, refused={})
            refused = await self._repair(differing, verifier, dicom, fhir)
            left = await self._still(verifier, differing)
            repaired = len(differing) - len(left)
            return _Outcome(compared=compared, differing=tuple(left), repaired=repaired, refused=refused)

    async def _compare(self, verifier: Verifier, dicom: httpx.AsyncClient) -> tuple[int, list[StudyVerdict]]:
        uids = list(self._wanted.studies) or [uid async for uid in self._listed(dicom)]
        differing: list[StudyVerdict] = []
        with progress("comparing studies", total=len(uids)) as advance:
            async for verdict in verifier.verdicts(uids):
                advance(1)
                if not verdict.same:
                    differing.append(verdict)
        if self._wanted.everything:
            differing += [verdict async for verdict in verifier.unknown_to_dicom(frozenset(uids))]
        if differing and self._wanted.again_after_s:
            await asyncio.sleep(self._wanted.again_after_s)
            differing = await self._still(verifier, differing)
        return len(uids), differing

    async def _still(self, verifier: Verifier, differing: Sequence[StudyVerdict]) -> list[StudyVerdict]:
        uids = [verdict.study_instance_uid for verdict in differing]
        return [verdict async for verdict in verifier.verdicts(uids) if not verdict.same]

    async def _listed(self, dicom: httpx.AsyncClient) -> AsyncIterator[str]:
        since = self._wanted.since
        query = {} if since is None else {"StudyDate": f"{since}-"}
        try:
            async for uid in study_uids(dicom, query):
                yield uid
        except DicomWebError as error:
            raise DependencyError(f"the studies of the DICOM server could not be listed: {error}") from None

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


def _tell(outcome: _Outcome, wanted: Wanted) -> None:
    if wanted.report is not None:
        wanted.report.write_bytes(orjson.dumps(_document(outcome), option=orjson.OPT_INDENT_2) + b"\n")
    if outcome.differing:
        print_table(_COLUMNS, [_row(verdict) for verdict in outcome.differing[:_SHOWN]])
        more = len(outcome.differing) - _SHOWN
        if more > 0:
            typer.echo(f"... and {more} more: all of them with --report FILE")
    for study, codes in sorted(outcome.refused.items()):
        reasons = ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
        typer.echo(f"{study}: refused by the mapping or the FHIR server: {reasons} (see `dlq list --study {study}`)")
    repaired = f", {outcome.repaired} repaired" if wanted.repair else ""
    typer.echo(f"{outcome.compared} studies compared{repaired}, {len(outcome.differing)} differ")
    if outcome.differing:
        raise typer.Exit(ExitCode.DIFFERENCES)


def _row(verdict: StudyVerdict) -> tuple[str, ...]:
    kinds = dict.fromkeys(finding.kind for finding in verdict.findings)
    text = ", ".join(part for kind in kinds for part in _parts(kind, verdict.of(kind)))
    return verdict.study_instance_uid, str(verdict.on_dicom), str(verdict.on_fhir), text


def _parts(kind: Kind, findings: Sequence[Finding]) -> Iterator[str]:
    """Of one kind: the whole study, how many instances, which elements."""
    instances = sum(finding.place is not None for finding in findings)
    elements = [finding.element for finding in findings if finding.place is None and finding.element is not None]
    if len(findings) > instances + len(elements):
        yield f"{kind} (whole study)"
    if instances:
        yield f"{kind} {instances}"
    if elements:
        yield f"{kind} ({', '.join(elements)})"


def _document(outcome: _Outcome) -> dict[str, Any]:
    return {
        "studiesCompared": outcome.compared,
        "studiesRepaired": outcome.repaired,
        "studiesDiffering": [verdict.document() for verdict in outcome.differing],
        "refused": {study: dict(codes) for study, codes in outcome.refused.items()},
    }


def _said(study_instance_uid: str, metadata: str, *, profile: SourceProfile, options: MappingOptions) -> Said:
    """Raises RejectedError when it is no data set."""
    return Said(*read_study_values(metadata, study_instance_uid, profile=profile, options=options))
