"""`dicomcast-consumer dlq replay`: the parts of a replay, put together."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import typer
from dicomcast_runtime.errors import ConfigurationError, DependencyError, InputError
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.logs import configure_logs
from dicomcast_runtime.registry import SchemaRegistry
from dicomcast_runtime.settings import load_settings
from dicomcast_schemas import SchemaById

from .apply import StudyApplier
from .breaker import Breaker
from .config import ConsumerSettings
from .counted import counted
from .dlq import DeadLetter, Filters, LetterId
from .dlq_chunks import as_it_stood, letter_parts
from .dlq_done import KeptLetter, Outcome
from .dlq_later import LaterEvents
from .dlq_letters import LetterTopics
from .dlq_replay import Chosen, LetterReplay, Tally
from .dlq_replay_io import ResultProducer, SourceServers, TopicLog
from .dlq_verdict import verdict
from .fhir_client import FhirClient
from .fhir_reader import FhirReader
from .gate import Gate
from .group_admin import GroupAdmin
from .metrics import ConsumerMetrics
from .parts import feed_source, letter_producer_config, wait_for_fhir
from .progress import Advance, progress
from .reader import EventReader, FeedSource
from .record import Record
from .rejection_guard import RejectionGuard
from .table import print_table

__all__ = ["Wanted", "replay_letters"]

_COLUMNS = ("letter", "study", "code", "would be")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for."""

    filters: Filters
    everything: bool
    dry_run: bool
    wait_s: float
    json: bool


def replay_letters(wanted: Wanted, *, config: Path | None) -> None:
    """Replays, and prints what became of the letters. Raises StopError, or typer.Exit with 130 after Ctrl-C."""
    if not wanted.everything and wanted.filters == Filters():
        raise ConfigurationError(
            "say which letters: PARTITION:OFFSET, --study, --code, --since, --until, --source, --all"
        )
    settings = load_settings(ConsumerSettings, config=config)
    configure_logs(settings.log)
    command = _Command(settings, wanted)
    if not wanted.dry_run:
        command.check()
    kept = command.topics.kept()
    chosen = [each.letter for each in kept if each.pending and wanted.filters.match(each.letter)]
    _refuse_missing(wanted.filters, chosen, kept)
    if not chosen:
        typer.echo("no pending letter matches: see `dlq list --state all`", err=True)
        _report_would_be([], wanted) if wanted.dry_run else _report(Tally(), wanted)
        return
    asyncio.run(command.run(chosen, pending={i for each in kept if each.pending and (i := each.letter.id) is not None}))


class _Command:
    """One run of the command."""

    def __init__(self, settings: ConsumerSettings, wanted: Wanted) -> None:
        self._settings = settings
        self._wanted = wanted
        self._names = {"topic": settings.topic.name, "group": settings.consumer.group}
        self.topics = LetterTopics(settings.kafka, **self._names)

    def check(self) -> None:
        """Raises ConfigurationError when done letters could not be marked."""
        if not self.topics.has_done_topic():
            raise ConfigurationError(
                f"the topic {self.topics.done}, which says what letters are done, does not exist, or this client may "
                f"not see it: `dicomcast-producer topics apply --group {self._names['group']}` creates it"
            )

    async def run(self, letters: Sequence[DeadLetter], *, pending: set[LetterId]) -> None:
        """Reads the topic of changes, then replays or shows what would be done."""
        ours = [letter for letter in letters if letter.id is not None and letter.id.topic == self._names["topic"]]
        later = LaterEvents(self._names["topic"], ours)
        log = TopicLog(self._settings.kafka, **self._names, later=later)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(log.close)
            await asyncio.to_thread(self._read, log, ours)
            if self._wanted.dry_run:
                self._show(ours, later, pending)
                return
            tally = await self._replay(stack, ours, LetterReplayParts(later, log, pending))
        tally.blocked += len(letters) - len(ours)
        _report(tally, self._wanted)

    def _read(self, log: TopicLog, letters: Sequence[DeadLetter]) -> None:
        ends = GroupAdmin(self._settings.kafka, **self._names).log_ends()
        starts: dict[int, int] = {}
        for id in (each.id for each in letters if each.id is not None):
            starts[id.partition] = min(starts.get(id.partition, id.offset), id.offset)
        total = sum(max(0, ends[p].end - max(start, ends[p].begin)) for p, start in starts.items() if p in ends)
        with progress("reading later events", total=total, lines=not self._wanted.json) as advance:
            log.read(ends, starts, advance)

    async def _replay(
        self, stack: contextlib.AsyncExitStack, letters: Sequence[DeadLetter], parts: "LetterReplayParts"
    ) -> Tally:
        settings = self._settings
        registry = SchemaRegistry(settings.registry) if settings.registry.url else None
        if registry is not None:
            stack.callback(registry.close)
        schema_by_id = registry.schema_by_id if registry else None
        fhir = FhirClient(await stack.enter_async_context(peer_client(settings.fhir)))
        feeds = {name: feed_source(settings, name) for name in settings.sources}
        for feed in feeds.values():
            await stack.enter_async_context(feed.dicomweb)
        try:
            await asyncio.wait_for(wait_for_fhir(fhir, self._settings.mapping), self._wanted.wait_s)
        except TimeoutError:
            raise DependencyError(f"the FHIR server was away for {self._wanted.wait_s:.0f} s: replay again") from None
        results = ResultProducer(
            letter_producer_config(settings),
            letters=self.topics.letters,
            done=self.topics.done,
            group=settings.consumer.group,
        )
        replay = LetterReplay(
            later=parts.later,
            log=parts.log,
            dicom=SourceServers(feeds, schema_by_id=schema_by_id),
            results=results,
            pending=parts.pending,
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, replay.stop)
        applier = self._applier(replay, fhir=fhir, feeds=feeds, schema_by_id=schema_by_id)
        with progress("replaying dead letters", total=len(letters), lines=not self._wanted.json) as advance:
            return await replay.run(applier, self._chunks(letters, advance), wait_s=self._wanted.wait_s)

    def _applier(
        self,
        replay: LetterReplay,
        *,
        fhir: FhirClient,
        feeds: dict[str, FeedSource],
        schema_by_id: SchemaById | None,
    ) -> StudyApplier:
        return StudyApplier(
            events=EventReader(feeds=feeds, options=self._settings.mapping, schema_by_id=schema_by_id),
            fhir=FhirReader(fhir, self._settings.mapping),
            letters=replay,
            # That most letters are refused again is no sign of a wrong setting: the guard never gets suspicious.
            gate=Gate(Breaker(), RejectionGuard(studies=1, least=2)),
            prove=replay.prove,
            options=self._settings.mapping,
            metrics=ConsumerMetrics(),  # counted and not asked for: the command prints its own tally
        )

    async def _chunks(self, letters: Sequence[DeadLetter], advance: Advance) -> AsyncIterator[list[Chosen]]:
        for part in letter_parts(letters):
            offsets = {letter.offset: letter for letter in part}
            records = await asyncio.to_thread(self.topics.records, part[0].partition, offsets)
            yield [
                Chosen(letter, id, as_it_stood(record, id))
                for record in records
                if (id := (letter := offsets[record.offset]).id) is not None
            ]
            advance(len(part))

    def _show(self, letters: Sequence[DeadLetter], later: LaterEvents, pending: set[LetterId]) -> None:
        profiles = {name: section.profile(name) for name, section in self._settings.sources.items()}
        registry = SchemaRegistry(self._settings.registry) if self._settings.registry.url else None

        def would_be(letter: DeadLetter, record: Record) -> str:
            newest = later.newest(letter, pending)
            if newest is not None:
                return f"superseded by the event at offset {newest}, unless the settings pass that over"
            now = verdict(
                record,
                profiles=profiles,
                options=self._settings.mapping,
                schema_by_id=registry.schema_by_id if registry else None,
            )
            return now if later.is_on_the_topic(letter) else f"{now}, if the DICOM server bears it out"

        rows = [
            (letter.position, letter.study, letter.code, would_be(letter, record))
            for part in letter_parts(letters)
            for letter, record in self._with_records(part)
        ]
        _report_would_be(rows, self._wanted)

    def _with_records(self, part: Sequence[DeadLetter]) -> Iterator[tuple[DeadLetter, Record]]:
        by_offset = {letter.offset: letter for letter in part}
        for record in self.topics.records(part[0].partition, by_offset):
            yield by_offset[record.offset], record


@dataclass(frozen=True, slots=True)
class LetterReplayParts:
    """What the first pass has found."""

    later: LaterEvents
    log: TopicLog
    pending: set[LetterId]


def _refuse_missing(filters: Filters, chosen: Sequence[DeadLetter], kept: Sequence[KeptLetter]) -> None:
    missing = (filters.positions or frozenset()) - {(letter.partition, letter.offset) for letter in chosen}
    if not missing:
        return
    done = {(each.letter.partition, each.letter.offset) for each in kept if not each.pending}
    texts = [
        f"{p}:{o} ({'done already' if (p, o) in done else 'not there, or overtaken: `dlq show` says by which'})"
        for p, o in sorted(missing)
    ]
    raise InputError(f"no pending letter at {', '.join(texts)}: see `dlq list --state all`. Nothing was replayed")


def _report_would_be(rows: Sequence[tuple[str | None, ...]], wanted: Wanted) -> None:
    if wanted.json:
        names = ("position", "study_instance_uid", "code", "would_be")
        typer.echo(orjson.dumps({"letters": [dict(zip(names, row, strict=True)) for row in rows]}).decode())
        return
    print_table(_COLUMNS, [tuple(cell or "-" for cell in row) for row in rows])
    typer.echo(f"{counted(len(rows), 'letter')}; nothing was written (--dry-run)")


def _report(tally: Tally, wanted: Wanted) -> None:
    counts = {outcome.value: tally.done[outcome] for outcome in Outcome}
    counts |= {"rejected_again": tally.rejected, "blocked": tally.blocked, "left": tally.left}
    if wanted.json:
        typer.echo(orjson.dumps(counts).decode())
    else:
        typer.echo(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()))
    if tally.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if tally.left:
        raise DependencyError(
            f"{_stay(tally.left)}: the FHIR or the DICOM server did not let them through within "
            f"{wanted.wait_s:.0f} s. Replay again once it does"
        )
    if tally.rejected or tally.blocked:
        raise InputError(
            f"{_stay(tally.rejected + tally.blocked)}: `dlq list` has the reason of each. Blocked are "
            "those whose instance has a later event that these settings reject, and letters of another topic"
        )


def _stay(number: int) -> str:
    return f"{counted(number, 'letter')} {'stays' if number == 1 else 'stay'} pending"
