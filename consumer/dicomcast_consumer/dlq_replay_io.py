"""The I/O of `dlq replay`: the topic of changes, the DICOM server, and where results are written."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from dicomcast_runtime.dicomweb_client import DicomWebError, InstanceGoneError, read_metadata
from dicomcast_runtime.errors import BrokenContractError, StopError
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas import Action, ContractError, SchemaById, decode

from .dead_letter import letter_headers, letter_producer
from .dlq import DeadLetter, read_letter
from .dlq_done import Outcome, mark_key, mark_value
from .dlq_later import LaterEvents
from .errors import RejectedError
from .group_admin import LogEnds
from .kafka_errors import stop_error
from .progress import Advance
from .reader import FeedSource
from .record import Record
from .topic_reader import TopicReader

__all__ = ["ResultProducer", "SourceServers", "TopicLog"]

_END = 2**62
"""Beyond every log: reading ends at the end of what is committed."""
_ASK_AGAIN_S = 2.0
_FLUSH_S = 60.0


class TopicLog:
    """Reads the topic of changes on and on, and notes the events of the instances that count."""

    def __init__(self, kafka: KafkaSettings, *, topic: str, group: str, later: LaterEvents) -> None:
        self._reader = TopicReader(kafka, topic=topic, group=group)
        self._topic = topic
        self._later = later
        self._next: dict[int, int] = {}
        self._lock = threading.Lock()  # a look that was given up may still be reading

    def close(self) -> None:
        """Closes the connections."""
        with self._lock, self._reader:
            pass

    def read(self, log: Mapping[int, LogEnds], starts: Mapping[int, int], advance: Advance) -> None:
        """The first pass: from `starts` (moved into the log) to the end. Blocking."""
        for partition, start in starts.items():
            ends = log.get(partition, LogEnds(begin=0, end=0))
            self._next[partition] = start if ends.begin <= start < ends.end else ends.begin
        self._read(dict(self._next), advance)

    async def look(self, partition: int) -> None:
        """See dlq_replay.ChangeLog."""
        await asyncio.to_thread(self._read, {partition: self._next.get(partition, 0)}, lambda _: None)

    async def record(self, partition: int, offset: int) -> Record:
        """See dlq_replay.ChangeLog."""
        return await asyncio.to_thread(self._one, partition, offset)

    def _read(self, starts: Mapping[int, int], advance: Advance) -> None:
        with self._lock:
            for record in self._reader.read({partition: (start, _END) for partition, start in starts.items()}):
                self._next[record.partition] = record.offset + 1
                self._later.note(record)
                advance(1)

    def _one(self, partition: int, offset: int) -> Record:
        with self._lock:
            for record in self._reader.read({partition: (offset, offset + 1)}):
                return record
        place = f"offset {offset} of {self._topic}[{partition}]"
        raise BrokenContractError(f"{place} was there and is gone: retention passed it meanwhile. Replay again")


class SourceServers:
    """The DICOM servers of the configured feeds."""

    def __init__(self, feeds: Mapping[str, FeedSource], *, schema_by_id: SchemaById | None) -> None:
        self._feeds = feeds
        self._schema_by_id = schema_by_id

    async def verdict(self, record: Record) -> Outcome | None:
        """See dlq_replay.DicomServer: a create or update stands while the server has its instance (WADO-RS), a delete
        while it has not. Waits for a server that is away."""
        try:
            event = await asyncio.to_thread(decode, record.value, schema_by_id=self._schema_by_id)
        except ContractError:
            return None
        source = self._feeds.get(event.feed)
        if source is None or event.action is Action.UNKNOWN:
            return None
        has = await self._has(
            source,
            study_instance_uid=event.study_instance_uid,
            series_instance_uid=event.series_instance_uid,
            sop_instance_uid=event.sop_instance_uid,
        )
        if event.action is Action.DELETE:
            return Outcome.SUPERSEDED if has else None
        return None if has else Outcome.GONE

    async def _has(self, source: FeedSource, **uids: str) -> bool:
        while True:
            try:
                await read_metadata(source.dicomweb, **uids)
            except InstanceGoneError:
                return False
            except DicomWebError:
                await asyncio.sleep(_ASK_AGAIN_S)
                continue
            return True


class ResultProducer:
    """Writes marks and letters that go back."""

    def __init__(
        self,
        config: Mapping[str, Any],
        *,
        letters: str,
        done: str,
        group: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._producer = letter_producer({**config, "log_level": 2})
        self._servers = str(config["bootstrap.servers"])
        self._letters = letters
        self._done = done
        self._group = group
        self._now = now

    async def write(
        self, done: Sequence[tuple[DeadLetter, Outcome]], back: Sequence[tuple[Record, RejectedError]]
    ) -> None:
        """See dlq_replay.Results."""
        await asyncio.shield(asyncio.to_thread(self._write, done, back))

    def _write(self, done: Sequence[tuple[DeadLetter, Outcome]], back: Sequence[tuple[Record, RejectedError]]) -> None:
        refused: list[KafkaError] = []

        def answer(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                refused.append(error)

        try:
            for record, rejection in back:
                attempts = read_letter(record).attempts + 1
                headers = letter_headers(record, rejection, group=self._group, failed_at=self._now(), attempts=attempts)
                self._producer.produce(
                    self._letters,
                    key=record.key,
                    value=record.value,
                    headers=list(headers),
                    partition=record.partition,
                    on_delivery=answer,
                )
            for letter, outcome in done:
                if letter.id is not None:
                    value = mark_value(letter, outcome, self._now())
                    self._producer.produce(self._done, key=mark_key(letter.id), value=value, on_delivery=answer)
            waiting = self._producer.flush(_FLUSH_S)
        except KafkaException as error:
            raise self._stop(error.args[0]) from None
        if refused or waiting:
            raise self._stop(refused[0] if refused else KafkaError(KafkaError._TIMED_OUT))

    def _stop(self, error: KafkaError) -> StopError:
        return stop_error(
            f"writing results to {self._done} and {self._letters} (the letters stay pending)",
            error,
            servers=self._servers,
            topic=f"Write on topic {self._letters} and on topic {self._done}",
        )
