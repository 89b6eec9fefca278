"""A group member in this process: the real loop, applier and mapping, between a fake Kafka and a FHIR server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from dicomcast_consumer.apply import StudyApplier
from dicomcast_consumer.breaker import Breaker
from dicomcast_consumer.fhir_client import FhirClient
from dicomcast_consumer.fhir_reader import FhirReader
from dicomcast_consumer.gate import Gate
from dicomcast_consumer.mapping import MappingOptions, SourceProfile
from dicomcast_consumer.metrics import ConsumerMetrics
from dicomcast_consumer.outbox import Outbox
from dicomcast_consumer.reader import EventReader, FeedSource
from dicomcast_consumer.rejection_guard import RejectionGuard
from dicomcast_consumer.worker import Limits, Worker
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.peer_settings import AuthSettings, PeerSettings
from dicomcast_schemas import SchemaById

from tests.fakes.events import FEED
from tests.fakes.kafka_source import FakeSource

__all__ = ["DICOMWEB", "Member", "eventually", "running_member"]

DICOMWEB = "http://127.0.0.1:9/dicom-web"


@dataclass(slots=True)
class Member:
    """What a test holds of a running member."""

    source: FakeSource
    worker: Worker
    fhir: httpx.AsyncClient
    task: "asyncio.Task[None]"
    metrics: ConsumerMetrics

    async def committed(self, offset: int, partition: int = 0) -> None:
        """Waits until the group's offset has come to `offset`."""
        await eventually(lambda: self.source.committed.get(partition) == offset, self.task)

    async def studies(self) -> list[dict[str, Any]]:
        """All ImagingStudy resources."""
        return await self.found("ImagingStudy")

    async def found(self, resource_type: str) -> list[dict[str, Any]]:
        """All resources of a type."""
        page = (await self.fhir.get(resource_type, params={"_count": "500"})).json()
        return [entry["resource"] for entry in page.get("entry", [])]


async def eventually(condition: Callable[[], bool], task: "asyncio.Task[None] | None" = None) -> None:
    """Polls until the condition holds; the member's own error ends the wait. Fails after 30 s."""
    for _ in range(3_000):
        if condition():
            return
        if task is not None and task.done():
            task.result()
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about within 30 s")


@contextlib.asynccontextmanager
async def running_member(
    base_url: str,
    *,
    options: MappingOptions | None = None,
    limits: Limits | None = None,
    dicomweb: str = DICOMWEB,
    other_feed: SourceProfile | None = None,
    partitions: int = 1,
    assign: bool = True,
    stuck_after_s: float = 900.0,
    timeout_s: float = 60.0,
    auth: AuthSettings | None = None,
    dicom_auth: AuthSettings | None = None,
    schema_by_id: SchemaById | None = None,
) -> AsyncIterator[Member]:
    """Runs a member for the block, then drains it; an error that ended it is raised at the end."""
    metrics = ConsumerMetrics()
    source = FakeSource(metrics=metrics, limits=limits, partitions=partitions)
    options = options or MappingOptions()
    async with (
        peer_client(PeerSettings(url=base_url, auth=auth or AuthSettings(), timeout_s=timeout_s)) as fhir,
        peer_client(PeerSettings(url=dicomweb, auth=dicom_auth or AuthSettings(), timeout_s=timeout_s)) as dicom,
    ):
        profiles = [SourceProfile(feed=FEED, dicomweb_url=dicomweb), *([other_feed] if other_feed else [])]
        feeds = {
            profile.feed: FeedSource(profile=profile, dicomweb=dicom, ignored_partitions=frozenset({"ignored"}))
            for profile in profiles
        }
        applier = StudyApplier(
            events=EventReader(feeds=feeds, options=options, schema_by_id=schema_by_id),
            fhir=FhirReader(FhirClient(fhir), options),
            letters=Outbox(sink=source, answer=source.worker.letter_answer, group="g", least_wait_s=0.01),
            gate=Gate(Breaker(least_s=0.01, most_s=0.05), RejectionGuard()),
            prove=source.worker.commits.prove,
            options=options,
            metrics=metrics,
            max_in_flight=(limits or Limits()).max_in_flight,
            least_wait_s=0.01,
            stuck_after_s=stuck_after_s,
        )
        task = asyncio.create_task(source.worker.run(applier))
        if assign:
            source.assign(*range(partitions))
        try:
            yield Member(source, source.worker, fhir, task, metrics)
        finally:
            source.worker.stop()
            await asyncio.wait_for(task, 30)
