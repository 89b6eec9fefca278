"""Events and cursor into Kafka, in one transaction. Blocking: every call is made from one thread, but for `interrupt`.

Every producer of a topic has the same transactional id, so that a newer instance fences an older one (KIP-98).

A commit is believed once it can be seen: see `stable_offsets`. What it left open on a partition is closed before
anything else is published, as it was meant: a later transaction that ends there would end it as well, and if that one
is aborted, events would be gone that the cursor counts.
"""

import threading
import time
from collections.abc import Callable, Collection, Sequence
from typing import Final

import structlog
from confluent_kafka import KafkaError, KafkaException, Message
from dicomcast_runtime.client_errors import ClientErrors
from dicomcast_runtime.errors import BrokenContractError, ConfigurationError, DependencyError, FencedError, StopError
from dicomcast_runtime.kafka_clients import Producer
from dicomcast_runtime.kafka_refusal import property_error, refusal
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas.topic import CE_ID, METADATA_TOO_LARGE, PARTITIONER, cursor_topic, partition_for

from .cursor import CURSOR_KEY, CURSOR_PARTITION, Cursor, cursor_json
from .entry import FeedEntry
from .errors import ClientBrokenError, RetryableError, TransactionTimedOutError
from .metrics import ProducerMetrics
from .record import BATCH_OVERHEAD_BYTES, Record, record_of
from .served import served
from .stable_offsets import Place, StableOffsets

__all__ = ["KafkaPublisher", "transactional_id"]

_TRY_S: Final = 5.0
"""How long one call may wait for the broker before it is made again."""
_MARKERS_S: Final = 10.0
"""How long the markers of a transaction may take before it counts as left open."""
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.INVALID_PRODUCER_ID_MAPPING,
    }
)
_ABSENT: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})
_PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)
"""Of a record whose transaction had failed already: a consequence, never the reason."""
_TOO_LARGE: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD, KafkaError.RECORD_LIST_TOO_LARGE}
)

_log = structlog.get_logger()


def transactional_id(topic: str) -> str:
    """Of every producer of the topic: never of a host or a process, or nothing would fence an older one."""
    return f"dicomcast.{topic}"


class KafkaPublisher:
    """The transactional producer of one topic."""

    def __init__(
        self,
        kafka: KafkaSettings,
        topic: str,
        *,
        transaction_timeout_s: float,
        max_record_bytes: int,
        metrics: ProducerMetrics,
        schema_id: int | None = None,
    ) -> None:
        self._topic = topic
        self._metrics = metrics
        self._timeout_s = transaction_timeout_s
        self._max_record_bytes = max_record_bytes
        self._schema_id = schema_id
        self._config = kafka.client(
            transactional_id=transactional_id(topic),
            transaction_timeout_ms=int(transaction_timeout_s * 1000),
            partitioner=PARTITIONER,
            message_max_bytes=max_record_bytes + BATCH_OVERHEAD_BYTES,
            delivery_report_only_error=True,
        )
        self._config.setdefault("compression.type", "lz4")
        self._errors = ClientErrors()
        self._offsets = StableOffsets(kafka)
        self._producer: Producer | None = None
        self._ended: dict[Place, Record] = {}
        """Where the last transaction wrote, and what it wrote there last, until it was seen to be over."""
        self._was_committed = False
        self._deadline = float("inf")
        self._failed: KafkaError | None = None
        self._failed_topic: str | None = None
        self._begun_at = 0.0
        self.beat_at_s = 0.0
        """When a call that waits for Kafka last looked whether to go on."""
        self.waiting: str | None = None
        """Why Kafka is waited for inside of a call. Both are for any thread to read."""
        self._pause = threading.Event()

    def fence(self) -> None:
        """Ends every older instance's transactions for good. Call first, and to begin anew; then `close_older`."""
        self._producer = None
        producer = self._new_producer()
        self._begun_at = time.monotonic()
        self._again(producer, lambda: producer.init_transactions(_TRY_S))
        self._producer = producer
        # The cursor is read to its end next: not even a transaction of an older instance may be open there. Unless ours
        # is known to be committed, that cursor says whether it was, in `close_older`, as for any older one.
        cursor = _cursor_place(self._topic)
        if not (self._was_committed and cursor in self._ended):
            self._ended, self._was_committed = {cursor: _CLOSING}, False
        self._see()

    def close_older(self, cursor: Cursor | None) -> None:
        """Ends what an older instance left open among the events, as `cursor`, read after `fence`, says it ended.

        What the cursor counts is committed. What is after it is not, or the cursor would count it: it is aborted, and
        comes again. Where that cannot be told (no cursor; an entry of API v2 that was read late) it is committed: at
        worst these events come again after it, with the same `ce_id`. Raises as `publish` does.
        """
        found = self._offsets.behind(self._offsets.partitions(self._topic))
        try:
            last = {place: self._offsets.last_record(place, offset) for place, offset in found.items()}
        except ConfigurationError as error:
            _log.warning("transaction.left_open", partitions=_names(found), committed=None, reason=str(error))
            return
        records = {place: record for place, record in last.items() if record is not None}
        for committed in (False, True):
            self._ended = {place: record for place, record in records.items() if _is_after(record, cursor) != committed}
            self._was_committed = committed
            self._see()

    def publish(self, entries: Sequence[FeedEntry], cursor: Cursor) -> None:
        """The events in their order and the cursor, all or nothing; returns when they are committed.

        Raises RetryableError when the transaction was aborted: publish the same again. Raises FencedError,
        ConfigurationError, DependencyError.
        """
        records = [record_of(e, schema_id=self._schema_id, max_bytes=self._max_record_bytes) for e in entries]
        producer = self._fenced_producer()
        self._see()
        self._begin(producer)
        partitions = cursor.identity.partitions
        # The partition is computed, not left to the client: it would follow a changed partition count without a word.
        placed = [((self._topic, partition_for(record.key, partitions)), record) for record in records]
        placed.append((_cursor_place(self._topic), _cursor_record(cursor)))
        self._ended, self._was_committed = dict(placed), False
        try:
            for place, record in placed:
                self._produce(producer, place, record)
            # A commit that timed out may have happened: it is committed again, and nothing is produced again.
            self._again(producer, lambda: producer.commit_transaction(_TRY_S))
        except FencedError:
            raise
        except KafkaException as error:
            self._abort(producer)
            raise self._named(error.args[0]) from None
        except (RetryableError, StopError):
            self._abort(producer)
            raise
        self._was_committed = True
        self._metrics.note_transaction(time.monotonic() - self._begun_at)
        for entry, record in zip(entries, records, strict=True):
            omitted = METADATA_TOO_LARGE if record.metadata_too_large else entry.metadata_omitted
            self._metrics.note_event(entry.event.action, without_metadata=omitted)
            if record.metadata_too_large:
                _log.warning("entry.metadata_too_large", feed=entry.event.feed, sequence=entry.event.sequence)
        try:
            self._see()
        except RetryableError as error:  # it is committed: looked at again before the next one
            _log.warning("transaction.not_seen", reason=str(error))

    def interrupt(self, *, within_s: float) -> None:
        """Calls that wait for Kafka give up after this long. From any thread."""
        self._deadline = time.monotonic() + within_s

    def close(self) -> None:
        """Sends nothing more."""
        self._producer = None

    def _new_producer(self) -> Producer:
        try:
            return Producer(self._errors.config(self._config))
        except KafkaException as error:
            raise property_error(error.args[0]) from None

    def _fenced_producer(self) -> Producer:
        assert self._producer is not None, "fence() comes first"
        return self._producer

    def _begin(self, producer: Producer) -> None:
        self._failed = self._failed_topic = None
        self._begun_at = time.monotonic()
        self._again(producer, producer.begin_transaction)

    def _see(self) -> None:
        """Returns once the last transaction is over on every partition it wrote to. Raises RetryableError."""
        open_places = self._open_places()
        if open_places:
            names = _names(open_places)
            _log.warning("transaction.left_open", partitions=names, committed=self._was_committed)
            self._close(open_places)
            if self._open_places():
                raise RetryableError(f"a transaction is still open on {', '.join(names)}")
            _log.info("transaction.closed", partitions=names)
        self._ended = {}

    def _open_places(self) -> dict[Place, int]:
        """Where the last transaction is open even after `_MARKERS_S`, with the last stable offset there."""
        until, pause_s = time.monotonic() + _MARKERS_S, 0.005
        while self._ended:
            found = self._offsets.behind(self._ended)
            if not found or time.monotonic() > until:
                return found
            self._give_up_in_time()
            self._pause.wait(pause_s)
            pause_s = min(pause_s * 2, 0.2)
        return {}

    def _close(self, open_places: dict[Place, int]) -> None:
        """Ends what is open there as it was meant to end: the next transaction's markers end it as well.

        To have markers there it must write there: the last record again, which stays, with its `ce_id`, only where that
        is what makes the others seen.
        """
        producer = self._fenced_producer()
        self._begin(producer)
        try:
            for place in open_places:
                self._produce(producer, place, self._ended[place])
            self._flush(producer)
            # This transaction was let begin, so the one before is over for the coordinator: no marker of it will come.
            now = self._offsets.behind(open_places)
            if self._was_committed and any(now.get(place) == offset for place, offset in open_places.items()):
                self._again(producer, lambda: producer.commit_transaction(_TRY_S))
            else:
                self._abort(producer)
        except KafkaException as error:
            self._abort(producer)
            raise self._named(error.args[0]) from None
        except RetryableError:
            self._abort(producer)
            raise

    def _flush(self, producer: Producer) -> None:
        """Returns when everything is delivered."""
        while served(lambda: producer.flush(_TRY_S)):
            self._give_up_in_time()
        if self._failed is not None:
            raise KafkaException(self._failed)

    def _produce(self, producer: Producer, place: Place, record: Record) -> None:
        self._enqueue(
            producer,
            lambda: producer.produce(
                place[0],
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=place[1],
                on_delivery=self._delivered,
            ),
        )

    def _enqueue(self, producer: Producer, produce: Callable[[], None]) -> None:
        while True:
            try:
                produce()
            except BufferError:  # the client's own queue is full: let it send
                self._give_up_in_time()
                served(lambda: producer.poll(0.1))
            else:
                return

    def _delivered(self, error: KafkaError | None, record: Message) -> None:
        if error is not None and self._failed is None and error.code() not in _PURGED:
            self._failed, self._failed_topic = error, record.topic()

    def _again(self, producer: Producer, call: Callable[[], None]) -> None:
        """Makes the call until it is answered. What it raises is final for this transaction or for this producer."""
        try:
            while not self._is_answered(producer, call):
                self._pause.wait(0.1)  # some retriable errors come back at once
            self._errors.forget()
            if self.waiting is not None:
                _log.info("kafka.answers_again")
        finally:
            self.waiting = None

    def _is_answered(self, producer: Producer, call: Callable[[], None]) -> bool:
        try:
            served(call)
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            if error.txn_requires_abort() or error.fatal() or not error.retriable():
                raise self._named(error) from None
            self._give_up_in_time()
            served(lambda: producer.poll(0))
            reason = self._errors.reason(error)
            if self.waiting is None:
                _log.warning("kafka.waiting", reason=reason)
            self.waiting = reason
            return False
        return True

    def _abort(self, producer: Producer) -> None:
        """Or readers would wait for the transaction's timeout. Raises FencedError; DependencyError when it cannot."""
        try:
            self._again(producer, lambda: producer.abort_transaction(_TRY_S))
        except FencedError:
            raise
        except RetryableError as error:
            raise DependencyError(f"the transaction could not be aborted: {error}: start the producer again") from None
        except StopError as error:
            _log.warning("transaction.not_aborted", reason=str(error))

    def _give_up_in_time(self) -> None:
        self.beat_at_s = time.monotonic()
        if time.monotonic() > self._deadline:
            raise DependencyError(
                "Kafka did not answer before the producer had to end; nothing is lost: start it again"
            )

    def _named(self, error: KafkaError) -> Exception:
        """The error by what is to be done about it. The first failed delivery says more than the commit after it."""
        cause = error if error.code() in _FENCED or self._failed is None else self._failed
        code, text = cause.code(), cause.str()
        if code in _FENCED:
            return self._fenced(code)
        refused = refusal(f"publishing to {self._topic}", (cause,), **self._rights())
        if refused is not None:
            return refused
        if code == KafkaError.INVALID_TRANSACTION_TIMEOUT:
            return ConfigurationError(
                f"the brokers allow shorter transactions (transaction.max.timeout.ms) than "
                f"DICOMCAST_PRODUCER__TRANSACTION_TIMEOUT_S={self._timeout_s:g}"
            )
        if code in _ABSENT:
            return BrokenContractError(
                f"topic {self._topic} or {cursor_topic(self._topic)} does not exist as it should ({text}): run "
                "`dicomcast-producer topics apply`"
            )
        if code in _TOO_LARGE:
            return ConfigurationError(
                f"the topic takes smaller records than DICOMCAST_TOPIC__MAX_RECORD_BYTES={self._max_record_bytes} "
                f"({text}): run `dicomcast-producer topics apply`, or lower the setting"
            )
        if error.fatal():
            return ClientBrokenError(f"the Kafka client cannot go on: {error.str()}")
        return RetryableError(f"the transaction was aborted: {text}")

    def _rights(self) -> dict[str, str]:
        topics = (self._failed_topic,) if self._failed_topic else (self._topic, cursor_topic(self._topic))
        return {
            "topic": " and ".join(f"Write on topic {topic}" for topic in topics),
            "transactional_id": f"Write on transactional id {transactional_id(self._topic)}",
        }

    def _fenced(self, code: int) -> FencedError:
        if code == KafkaError.INVALID_PRODUCER_ID_MAPPING:
            return TransactionTimedOutError(
                f"the broker does not know this producer any more (transactional id {transactional_id(self._topic)}): "
                "it published nothing for transactional.id.expiration.ms, or another instance for the same topic was "
                "started. Start it again if that is the one to run. Nothing is lost or doubled either way"
            )
        text = (
            f"the broker has fenced this producer (transactional id {transactional_id(self._topic)}). Either another "
            "instance for the same topic was started, or `cursor set` was run: then this one has to stay away. Or a "
            "transaction took longer than DICOMCAST_PRODUCER__TRANSACTION_TIMEOUT_S="
            f"{self._timeout_s:g}: then start it again. Nothing is lost or doubled either way"
        )
        late = time.monotonic() - self._begun_at > self._timeout_s
        return TransactionTimedOutError(text) if late else FencedError(text)


def _cursor_place(topic: str) -> Place:
    return cursor_topic(topic), CURSOR_PARTITION


def _names(places: Collection[Place]) -> list[str]:
    return sorted(f"{topic}[{partition}]" for topic, partition in places)


def _is_after(record: Record, cursor: Cursor | None) -> bool:
    """Whether the event is certainly not counted by the cursor."""
    identity = dict(record.headers).get(CE_ID, b"").rpartition(b":")[2]
    return cursor is not None and identity.isdigit() and int(identity) > cursor.position.sequence


def _cursor_record(cursor: Cursor) -> Record:
    return Record(key=CURSOR_KEY, value=cursor_json(cursor), headers=[], metadata_too_large=False)


_CLOSING: Final = Record(key=CURSOR_KEY, value=b"{}", headers=[], metadata_too_large=False)
"""Written and aborted, never seen: ends what an older instance left open on the cursor's partition."""
