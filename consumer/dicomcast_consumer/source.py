"""The thread that owns the Consumer handle, and the dead-letter producer beside it.

It polls, pauses and resumes, commits and serves callbacks; it never waits for HTTP, but for the bounded drain in the
revoke callback. The loop gives it work through a queue (commit, dead letter, release) and gets everything else through
`hand_over`, in the order in which it happened. confluent-kafka's callbacks all run in this thread, inside poll.
"""

import collections
import itertools
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, Message, TopicPartition
from dicomcast_runtime.errors import BrokenContractError, DependencyError, FencedError, StopError
from dicomcast_runtime.kafka_answers import asked
from dicomcast_runtime.kafka_refusal import UNKNOWN_CLIENT, property_error, refusal
from dicomcast_runtime.logs import raised_at

from .committed import committed
from .dead_letter import DeadLetterProducer, Letter
from .handover import Assigned, CommitAnswer, Failed, HandedOver, LetterAnswer, Lost, Received, Revoked
from .kafka_errors import offset_gone
from .kafka_record import record_of
from .member_state import KafkaStats, kafka_stats
from .record import Record
from .room import Bounds, Room, Rooms

__all__ = ["Source"]

log = structlog.get_logger("dicomcast.source")

_POLL_S: Final = 0.02
"""Between polls, when the last one took all there was. The thread waits for the loop's commands, not in poll, which
nothing interrupts: a group waits for its commit before it is written."""
_ANSWER_S: Final = 0.002
"""The same while a commit is under way: the answer comes with a poll."""
_FETCH: Final = 500
_ASK_S: Final = 30.0


@dataclass(slots=True)
class _Assignment:
    epoch: int
    room: Room
    paused: bool = False
    position: int | None = None


class Source:
    """Runs the Consumer in a thread of its own."""

    def __init__(
        self,
        *,
        topic: str,
        config: Mapping[str, Any],
        letters: DeadLetterProducer,
        bounds: Bounds,
        drain_s: float,
        hand_over: Callable[[HandedOver], None],
        note_stats: Callable[[KafkaStats], None],
        start: str = "earliest",
    ) -> None:
        """`hand_over` is called in the thread and must not block. `start`: where a group without offsets begins.

        `drain_s`: how long a revocation waits for the writes under way.
        """
        self._topic = topic
        self._group = str(config["group.id"])
        try:
            self._consumer = Consumer({**config, "on_commit": self._on_commit, "stats_cb": self._on_stats})
        except KafkaException as error:
            raise property_error(error.args[0]) from None
        self._note_stats = note_stats
        self._letters = letters
        self._rooms = Rooms(bounds)
        self._drain_s = drain_s
        self._hand_over = hand_over
        self._start = start
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._commits: collections.deque[int] = collections.deque()
        self._owned: dict[int, _Assignment] = {}
        self._epochs = itertools.count(1)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="kafka", daemon=True)
        self.polled_at_s = time.monotonic()
        """When the thread last reached poll, for the watchdog."""
        self.stats: KafkaStats | None = None
        """librdkafka's last statistics; for other threads to read."""

    # --- called by the loop ---

    def start(self) -> None:
        """Subscribes and begins to poll."""
        self._thread.start()

    def commit(self, token: int, offsets: Mapping[int, int]) -> None:
        """Commits offsets; a CommitAnswer with the token follows, unless the broker never answers."""
        self._commands.put(lambda: self._commit(token, offsets))

    def dead_letter(self, token: int, letter: Letter) -> None:
        """Produces a dead letter; a LetterAnswer with the token follows."""
        answer = lambda error: self._hand_over(LetterAnswer(token, error))  # noqa: E731
        self._commands.put(lambda: self._letters.send(letter, answer))

    def release(self, partition: int, epoch: int, *, records: int, size: int) -> None:
        """Gives back room: these records of the assignment are finished."""
        self._change_room(partition, epoch, lambda room: room.give_back(records=records, size=size))

    def hold(self, partition: int, epoch: int) -> None:
        """Fetches nothing more of the partition until `resume`."""
        self._change_room(partition, epoch, Room.hold)

    def resume(self, partition: int, epoch: int) -> None:
        """Ends `hold`."""
        self._change_room(partition, epoch, Room.resume)

    def _change_room(self, partition: int, epoch: int, change: Callable[[Room], None]) -> None:
        def command() -> None:
            owned = self._owned.get(partition)
            if owned is not None and owned.epoch == epoch:  # else it was meant for an assignment that is over
                change(owned.room)
                self._throttle()

        self._commands.put(command)

    def close(self, timeout_s: float) -> bool:
        """Leaves the group and ends the thread; False when it did not end in time."""
        self._closing = True
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # --- the thread ---

    def _run(self) -> None:
        try:
            self._consumer.subscribe(
                [self._topic],
                on_assign=_raising(self._on_assign),
                on_revoke=_raising(self._on_revoke),
                on_lost=_raising(self._on_lost),
            )
            while not self._closing:
                self.polled_at_s = time.monotonic()
                polled = self._consumer.consume(_FETCH, 0)
                self._deliver(polled)
                self._letters.poll()
                self._serve_commands(within_s=self._wait_s(len(polled)))
            self._serve_commands(within_s=0)
        except StopError as error:
            self._hand_over(Failed(error))
        except KafkaException as error:
            self._hand_over(Failed(self._stop(error.args[0])))
        except Exception as error:  # a bug: it must end the process, not leave it without a Kafka thread
            log.error("defect.found", error=type(error).__name__, where=raised_at(error))
            self._hand_over(Failed(DependencyError(f"the Kafka thread failed: {type(error).__name__}")))
        except:  # noqa: E722 - confluent-kafka's C code can raise what is no exception: see _raising
            self._hand_over(Failed(DependencyError("the Kafka thread failed in a callback")))
        finally:
            self._letters.flush(5.0)
            self._consumer.close()

    def _wait_s(self, polled: int) -> float:
        if polled == _FETCH:
            return 0.0
        return _ANSWER_S if self._commits else _POLL_S

    def _serve_commands(self, *, within_s: float) -> None:
        """All that wait, or the first that comes within so many seconds."""
        while True:
            try:
                command = self._commands.get(block=within_s > 0, timeout=within_s)
            except queue.Empty:
                return
            command()
            within_s = 0

    def _deliver(self, polled: list[Message]) -> None:
        by_partition: dict[int, list[Record]] = {}
        for item in polled:
            error = item.error()
            if error is not None:
                self._check(error, item.partition())
                continue
            record = record_of(item)
            by_partition.setdefault(record.partition, []).append(record)
        self._hand_over_positions(by_partition)

    def _hand_over_positions(self, by_partition: Mapping[int, list[Record]]) -> None:
        # position() is asked here, right after the poll, and travels with that poll's records: asked later it would
        # count records that are still on their way to the loop.
        if not self._owned:
            return
        for place in self._consumer.position([TopicPartition(self._topic, p) for p in self._owned]):
            owned = self._owned[place.partition]
            records = tuple(by_partition.get(place.partition, ()))
            position = place.offset if place.offset >= 0 else None
            if not records and position == owned.position:
                continue
            owned.position = position
            owned.room.take(records=len(records), size=sum(record.size for record in records))
            self._hand_over(Received(partition=place.partition, records=records, position=position))
        self._throttle()

    def _throttle(self) -> None:
        """Pauses and resumes each partition by its room, which changes with that of the others."""
        for partition, owned in self._owned.items():
            if owned.room.closed != owned.paused:
                owned.paused = owned.room.closed
                change = self._consumer.pause if owned.paused else self._consumer.resume
                change([TopicPartition(self._topic, partition)])

    def _commit(self, token: int, offsets: Mapping[int, int]) -> None:
        owned = [TopicPartition(self._topic, p, offset) for p, offset in offsets.items() if p in self._owned]
        if len(owned) < len(offsets):
            self._hand_over(CommitAnswer(token, "a partition is not assigned any more"))
            return
        try:
            self._consumer.commit(offsets=owned, asynchronous=True)
        except KafkaException as error:
            self._hand_over(CommitAnswer(token, str(error.args[0].name())))
            return
        self._commits.append(token)

    def _on_commit(self, error: KafkaError | None, places: list[TopicPartition]) -> None:
        # Answers come in the order of the commits. A commit in a revoke callback has token 0: nobody waits for it.
        token = self._commits.popleft() if self._commits else 0
        failed = error or next((place.error for place in places if place.error), None)
        if token:
            self._hand_over(CommitAnswer(token, None if failed is None else str(failed.name())))

    def _on_stats(self, text: str) -> None:
        self.stats = kafka_stats(text, topic=self._topic)
        self._note_stats(self.stats)

    # --- callbacks of the group, inside poll ---

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        begins: list[TopicPartition] = []
        first: dict[int, int] = {}
        for place in committed(consumer, places, within_s=_ASK_S):
            begin = TopicPartition(place.topic, place.partition, place.offset)
            if place.offset == OFFSET_INVALID:
                begin.offset = self._first_offset(consumer, place)
                first[place.partition] = begin.offset
            begins.append(begin)
            self._owned[place.partition] = _Assignment(next(self._epochs), self._rooms.open())
        consumer.incremental_assign(begins)
        consumer.resume(begins)  # librdkafka remembers a pause of an assignment before
        self._hand_over(Assigned({place.partition: self._owned[place.partition].epoch for place in begins}, first))

    def _first_offset(self, consumer: Consumer, place: TopicPartition) -> int:
        low, high = asked(lambda: consumer.get_watermark_offsets(place, timeout=_ASK_S), within_s=_ASK_S)
        return low if self._start == "earliest" else high

    def _on_revoke(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        partitions = tuple(place.partition for place in places)
        answered = threading.Event()
        offsets: dict[int, int] = {}

        def drained(last: Mapping[int, int]) -> None:
            offsets.update(last)
            answered.set()

        self._hand_over(Revoked(partitions, drained))
        deadline_s = time.monotonic() + self._drain_s
        while not answered.wait(_POLL_S) and time.monotonic() < deadline_s:
            self._serve_commands(within_s=0)  # a write in flight may need its dead letter acknowledged
            self._letters.poll()
        if offsets:
            last = [TopicPartition(self._topic, p, offset) for p, offset in offsets.items()]
            consumer.commit(offsets=last, asynchronous=True)
            self._commits.append(0)
        self._forget(consumer, places)

    def _on_lost(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._hand_over(Lost(tuple(place.partition for place in places)))
        self._forget(consumer, places)

    def _forget(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        for place in places:
            owned = self._owned.pop(place.partition, None)
            if owned is not None:
                owned.room.leave()
        consumer.incremental_unassign(places)

    def _check(self, error: KafkaError, partition: int | None) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise offset_gone(self._topic, partition)
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise BrokenContractError(f"the topic {self._topic} does not exist: `dicomcast-producer topics apply`")
        if error.fatal() or error.code() in (
            KafkaError._FATAL,
            KafkaError._FENCED,
        ):  # fatal() alone is False for _FATAL
            raise self._stop(error)
        refused = self._refusal(error)
        if refused is not None:
            raise refused
        log.warning("kafka.error", error=error.name())

    def _stop(self, error: KafkaError) -> StopError:
        # The code is _FATAL whatever the cause, which stands in the text.
        if any(KafkaError(code).str() in error.str() for code in _SAME_INSTANCE):
            return FencedError(f"another member has the same group.instance.id: {error.str()}")
        return self._refusal(error) or DependencyError(f"Kafka: {error.name()}: {error.str()}")

    def _refusal(self, error: KafkaError) -> StopError | None:
        if error.code() in UNKNOWN_CLIENT:
            return None  # it was let in at start: the brokers, or what they ask, are being changed
        rights = {"topic": f"Read on topic {self._topic}", "group": f"Read on group {self._group}"}
        return refusal(f"consuming {self._topic}", (error,), **rights)


_Callback = Callable[[Consumer, list[TopicPartition]], None]


def _raising(callback: _Callback) -> _Callback:
    """The callback, whose KafkaException leaves poll as one. Raised in C code it would leave it as a bare KafkaError
    (2.16.1), which is no exception: neither `except Exception` nor `except BaseException` catches it."""

    def call(consumer: Consumer, places: list[TopicPartition]) -> None:
        try:
            callback(consumer, places)
        except KafkaException as error:
            raise KafkaException(*error.args) from None

    return call


# The classic protocol ends the older member, KIP-848 the newer one (until the older has left or its session is over).
_SAME_INSTANCE: Final = (KafkaError.FENCED_INSTANCE_ID, KafkaError._FENCED, KafkaError.UNRELEASED_INSTANCE_ID)
