"""Looking one study up: in its partition of the topic, in FHIR, on the DICOM servers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, TypeVar

import httpx
from dicomcast_runtime.errors import DependencyError, StopError
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas import SchemaById
from dicomcast_schemas.topic import partition_for

from ..errors import ConsumerError
from ..fhir_client import FhirClient
from ..group_admin import GroupAdmin
from ..mapping import study_token
from ..record import Record
from ..topic_reader import TopicReader
from ..verify_check import Verifier
from .study_view import Comparison, Held, Trace, held, traced

__all__ = ["StudyTopic", "compare_study", "held_studies"]

T = TypeVar("T")

_WINDOW: Final = 5_000
_MOST_EVENTS: Final = 50
_MOST_S: Final = 20.0
_WAIT_S: Final = 0.0
"""A person waits: a server that is away is not asked again."""


class StudyTopic:
    """Finds the last events of a study. Blocking. Raises StopError when Kafka stays away or refuses."""

    def __init__(self, kafka: KafkaSettings, *, topic: str, group: str, schema_by_id: SchemaById | None) -> None:
        self._kafka = kafka
        self._topic = topic
        self._group = group
        self._schema_by_id = schema_by_id
        self._admin = GroupAdmin(kafka, topic=topic, group=group)

    def trace(self, uid: str, *, depth: int | None) -> Trace:
        """Reads the partition backwards from its end, `depth` offsets or all of it, for some seconds at most."""
        log = self._admin.log_ends()
        partition = partition_for(uid.encode(), len(log))
        committed = self._admin.committed().get(partition)
        begin, end = log[partition].begin, log[partition].end
        least = begin if depth is None else max(begin, end - depth)
        found: list[Record] = []
        looked_from, until_s = end, time.monotonic() + _MOST_S
        with TopicReader(self._kafka, topic=self._topic, group=self._group) as reader:
            while looked_from > least and len(found) <= _MOST_EVENTS and time.monotonic() < until_s:
                start = max(least, looked_from - _WINDOW)
                window = [r for r in reader.read({partition: (start, looked_from)}) if r.key == uid.encode()]
                found += reversed(window)
                looked_from = start
        return Trace(
            partition=partition,
            committed=committed,
            begin=begin,
            end=end,
            looked_from=looked_from,
            events=tuple(
                traced(record, committed=committed, schema_by_id=self._schema_by_id) for record in found[:_MOST_EVENTS]
            ),
            more=len(found) > _MOST_EVENTS,
        )


async def held_studies(fhir: FhirClient, uid: str) -> tuple[tuple[Held, ...], str | None]:
    """The ImagingStudy resources with the study's identifier, or why they could not be read."""
    query = [("identifier", study_token(uid))]
    found, fault = await _tried(lambda: fhir.search("ImagingStudy", query, most=10), "DICOMCAST_FHIR__URL")
    return tuple(held(resource) for resource in found or ()), fault


async def compare_study(
    fhir: FhirClient, sources: Mapping[str, tuple[httpx.AsyncClient, str]], uid: str, feeds: Iterable[str]
) -> list[Comparison]:
    """FHIR against each of these DICOM servers; `sources` has client and DICOMweb root by feed."""
    known = [feed for feed in feeds if feed in sources]
    return list(await asyncio.gather(*(_compared(fhir, *sources[feed], uid, feed) for feed in known)))


async def _compared(fhir: FhirClient, dicom: httpx.AsyncClient, root: str, uid: str, feed: str) -> Comparison:
    verifier = Verifier(dicom=dicom, fhir=fhir, dicomweb_url=root, wait_s=_WAIT_S)

    async def one() -> Comparison:
        verdicts = [verdict async for verdict in verifier.verdicts([uid])]
        return Comparison(feed=feed, verdict=verdicts[0], fault=None)

    found, fault = await _tried(one, f"DICOMCAST_SOURCES__{feed.upper()}__… and DICOMCAST_FHIR__…")
    return found or Comparison(feed=feed, verdict=None, fault=fault)


async def _tried(call: Callable[[], Awaitable[T]], settings: str) -> tuple[T | None, str | None]:
    try:
        return await call(), None
    except DependencyError as error:
        return None, f"{str(error).partition('; it was waited for')[0]}. Is it up? It is asked again when you reload"
    except (ConsumerError, StopError) as error:
        return None, f"{error}. Check {settings}"
