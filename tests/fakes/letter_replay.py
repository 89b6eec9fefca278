"""`dlq replay` in this process: the real loop, applier and mapping, between a topic in memory and a FHIR server."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import httpx
from dicomcast_consumer.apply import StudyApplier
from dicomcast_consumer.breaker import Breaker
from dicomcast_consumer.dead_letter import letter_headers
from dicomcast_consumer.dlq import DeadLetter, LetterId, read_letter
from dicomcast_consumer.dlq_chunks import as_it_stood
from dicomcast_consumer.dlq_done import Outcome
from dicomcast_consumer.dlq_later import LaterEvents
from dicomcast_consumer.dlq_replay import Chosen, LetterReplay, Tally
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.fhir_client import FhirClient
from dicomcast_consumer.fhir_reader import FhirReader
from dicomcast_consumer.gate import Gate
from dicomcast_consumer.mapping import MappingOptions, SourceProfile
from dicomcast_consumer.metrics import ConsumerMetrics
from dicomcast_consumer.reader import EventReader, FeedSource
from dicomcast_consumer.record import Record
from dicomcast_consumer.rejection_guard import RejectionGuard
from dicomcast_schemas import DicomChangeEvent

from tests.fakes.events import FEED, record

__all__ = ["FakeTopic", "letter_of", "replayed", "replaying"]

DICOMWEB = "http://127.0.0.1:9/dicom-web"


@dataclass(slots=True)
class FakeTopic:
    """Partition 0 of the topic, the group's letters and marks, and the DICOM server's word."""

    records: list[Record] = field(default_factory=list)
    letters: list[Record] = field(default_factory=list)
    done: dict[LetterId, Outcome] = field(default_factory=dict)
    back: list[tuple[Record, RejectedError]] = field(default_factory=list)
    later: LaterEvents | None = None
    looks: int = 0
    at_look: Callable[[int], None] = lambda _: None
    """Called before each look with its number, from 1."""
    said_by_dicom: Outcome | None = None
    asked: int = 0

    def publish(self, *events: DicomChangeEvent) -> None:
        """Appends events."""
        for event in events:
            self.records.append(record(event, offset=self.records[-1].offset + 1 if self.records else 0))

    def reject(self, offset: int, code: str = "map.patient_id_missing") -> None:
        """A letter of the event at the offset."""
        (source,) = (one for one in self.records if one.offset == offset)
        self.letters.append(letter_of(source, code=code, offset=len(self.letters)))

    def expire(self, before: int) -> None:
        """Retention takes everything before the offset."""
        self.records = [one for one in self.records if one.offset >= before]

    @property
    def pending(self) -> list[DeadLetter]:
        """The letters without a mark."""
        return [letter for one in self.letters if (letter := read_letter(one)).id not in self.done]

    async def chunks(self, only: Sequence[int] | None = None, *, a_chunk_each: bool) -> AsyncIterator[list[Chosen]]:
        """Pending letters, all or those of the events at these offsets."""
        found = [
            Chosen(letter, letter.id, as_it_stood(self.letters[letter.offset], letter.id))
            for letter in self.pending
            if letter.id is not None and (only is None or letter.id.offset in only)
        ]
        for part in [[one] for one in found] if a_chunk_each else [found]:
            yield part

    async def look(self, partition: int) -> None:
        self.looks += 1
        self.at_look(self.looks)
        assert self.later is not None
        for one in self.records:
            self.later.note(one)

    async def record(self, partition: int, offset: int) -> Record:
        (found,) = (one for one in self.records if one.offset == offset)
        return found

    async def verdict(self, record: Record) -> Outcome | None:
        self.asked += 1
        return self.said_by_dicom

    async def write(
        self, done: Sequence[tuple[DeadLetter, Outcome]], back: Sequence[tuple[Record, RejectedError]]
    ) -> None:
        self.done |= {letter.id: outcome for letter, outcome in done if letter.id is not None}
        self.back += back


def letter_of(source: Record, *, code: str, offset: int) -> Record:
    """As the consumer writes it."""
    error = RejectedError(code.split(".")[0], code, "a sentence")
    headers = letter_headers(source, error, group="g", failed_at=datetime(2026, 5, 1, 6, tzinfo=UTC))
    return replace(source, topic=f"{source.topic}.g.dlq", offset=offset, headers=headers)


@contextlib.asynccontextmanager
async def replaying(
    topic: FakeTopic, base_url: str, *, options: MappingOptions | None = None
) -> AsyncIterator[tuple[LetterReplay, StudyApplier]]:
    """The parts of a replay of all pending letters."""
    options = options or MappingOptions()
    async with httpx.AsyncClient(base_url=base_url + "/") as fhir, httpx.AsyncClient(base_url=DICOMWEB + "/") as dicom:
        profile = SourceProfile(feed=FEED, dicomweb_url=DICOMWEB)
        feeds = {FEED: FeedSource(profile=profile, dicomweb=dicom, ignored_partitions=frozenset({"ignored"}))}
        topic.later = LaterEvents("dicom.changes.v1", topic.pending)
        ids = {letter.id for letter in topic.pending if letter.id is not None}
        replay = LetterReplay(later=topic.later, log=topic, dicom=topic, results=topic, pending=ids)
        applier = StudyApplier(
            events=EventReader(feeds=feeds, options=options, schema_by_id=None),
            fhir=FhirReader(FhirClient(fhir), options),
            letters=replay,
            gate=Gate(Breaker(least_s=0.01, most_s=0.05), RejectionGuard(studies=1, least=2)),
            prove=replay.prove,
            options=options,
            metrics=ConsumerMetrics(),
            least_wait_s=0.01,
        )
        yield replay, applier


async def replayed(
    topic: FakeTopic,
    base_url: str,
    *,
    only: Sequence[int] | None = None,
    options: MappingOptions | None = None,
    wait_s: float = 30.0,
    a_chunk_each: bool = False,
) -> Tally:
    """Replays pending letters, all or those of the events at these offsets."""
    async with replaying(topic, base_url, options=options) as (replay, applier):
        return await replay.run(applier, topic.chunks(only, a_chunk_each=a_chunk_each), wait_s=wait_s)
