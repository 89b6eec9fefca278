"""The cursor: how far the feed is on the topic. One record in the compacted cursor topic, written with the events.

key    `cursor`, partition 0
value  JSON: {"version": 1, "instance": …, "feed": …, "url": …, "api_version": …, "topic_id": …, "partitions": 12,
       "sequence": 4711, "last": {"sequence": …, "timestamp": …, "action": …, "sop_instance_uid": …},
       "read_to": …, "sent_from": …, "sent": [[4000, 4711]]}           the last three for API v2 alone
"""

import time
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final

import orjson
from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin._listoffsets import OffsetSpec
from dicomcast_runtime.client_errors import ClientErrors
from dicomcast_runtime.errors import BrokenContractError
from dicomcast_runtime.kafka_answers import answer_of
from dicomcast_runtime.kafka_clients import AdminClient, ReadingConsumer
from dicomcast_runtime.kafka_refusal import refusal
from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_schemas import Action
from dicomcast_schemas.topic import cursor_topic

from .errors import RetryableError, UnreadableCursorError
from .position import LastEntry, Position

__all__ = ["CURSOR_KEY", "CURSOR_PARTITION", "Cursor", "CursorReader", "Identity", "cursor_from_json", "cursor_json"]

CURSOR_KEY: Final = b"cursor"
CURSOR_PARTITION: Final = 0
_VERSION: Final = 1
_TAIL: Final = 100
"""The newest cursor is among the last offsets, nearly always; only else the topic is read from its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the cursor belongs to; with any of it different, its sequence means nothing."""

    feed: str
    url: str
    api_version: str
    partitions: int
    topic_id: str | None
    """Kafka's id of the topic; None where the broker could not be asked."""

    def differences(self, other: "Identity") -> list[str]:
        """`name: other's value, now mine`, for each that differs."""
        names = [f.name for f in fields(self)]
        if self.topic_id is None or other.topic_id is None:
            names.remove("topic_id")
        pairs = [(name, getattr(other, name), getattr(self, name)) for name in names]
        return [f"{name}: {was}, now {now}" for name, was, now in pairs if was != now]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """The cursor record."""

    identity: Identity
    position: Position
    instance: str
    """Which producer process wrote it: tells a takeover from a transaction that merely timed out."""


def cursor_json(cursor: Cursor) -> bytes:
    """The record's value."""
    position = cursor.position
    value: dict[str, Any] = {"version": _VERSION, "instance": cursor.instance, **asdict(cursor.identity)}
    value |= {"sequence": position.sequence, "last": asdict(position.last) if position.last else None}
    if position.read_to is not None:
        value |= {"read_to": position.read_to, "sent_from": position.sent_from, "sent": position.sent}
    return orjson.dumps(value)


def cursor_from_json(value: bytes) -> Cursor:
    """The cursor of a record's value. Raises BrokenContractError."""
    try:
        raw: Any = orjson.loads(value)
        if raw["version"] != _VERSION:
            raise BrokenContractError(f"the cursor is of version {raw['version']}: upgrade this producer")
        last = raw["last"]
        position = Position(
            sequence=int(raw["sequence"]),
            read_to=_time(raw.get("read_to")),
            sent_from=_time(raw.get("sent_from")),
            sent=tuple((int(first), int(end)) for first, end in raw.get("sent", ())),
            last=None if last is None else _last(last),
        )
        identity = Identity(**{f.name: raw[f.name] for f in fields(Identity)})
        return Cursor(identity=identity, position=position, instance=str(raw["instance"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UnreadableCursorError(type(error).__name__) from None


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _last(raw: Any) -> LastEntry:
    return LastEntry(
        sequence=int(raw["sequence"]),
        timestamp=datetime.fromisoformat(raw["timestamp"]),
        action=Action(raw["action"]),
        sop_instance_uid=str(raw["sop_instance_uid"]),
    )


class CursorReader:
    """Reads the cursor of a topic. Blocking."""

    def __init__(self, kafka: KafkaSettings, topic: str, *, timeout_s: float = 15.0) -> None:
        self._kafka = kafka
        self._errors = ClientErrors()
        self._topic = cursor_topic(topic)
        self._timeout_s = timeout_s

    def read(self) -> Cursor | None:
        """The newest committed cursor; None only when it is certain that there is none.

        Raises RetryableError when Kafka cannot be read to the end, also while another's transaction is open there:
        the last stable offset, where read_committed ends, may hide newer cursors. Raises BrokenContractError.
        """
        try:
            value = self._read_value()
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            doing = f"reading the cursor from {self._topic}"
            refused = refusal(doing, (error,), topic=f"Read on topic {self._topic}")
            if refused is not None:
                raise refused from None
            raise RetryableError(f"{doing}: {self._errors.reason(error)}") from None
        return None if value is None else cursor_from_json(value)

    def _read_value(self) -> bytes | None:
        first, end = self._bounds()
        if first == end:
            return None
        consumer = ReadingConsumer(
            self._errors.config(
                self._kafka.client(
                    group_id="dicomcast-cursor",  # never used: nothing is subscribed to, nothing committed
                    isolation_level="read_committed",
                    enable_auto_commit=False,
                    auto_offset_reset="error",
                )
            )
        )
        try:
            for start in dict.fromkeys((max(first, end - _TAIL), first)):
                value = self._newest(consumer, start, end)
                if value is not None:
                    return value
            return None
        finally:
            consumer.close()

    def _bounds(self) -> tuple[int, int]:
        admin = AdminClient(self._errors.config(self._kafka.client()))
        place = TopicPartition(self._topic, CURSOR_PARTITION)
        found = []
        for spec in (OffsetSpec.earliest(), OffsetSpec.latest()):  # type: ignore[no-untyped-call]
            answer = admin.list_offsets(
                {place: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=self._timeout_s
            )
            found.append(answer_of(answer[place], within_s=self._timeout_s).offset)
        return found[0], found[1]

    def _newest(self, consumer: Consumer, start: int, end: int) -> bytes | None:
        place = TopicPartition(self._topic, CURSOR_PARTITION, start)
        consumer.assign([place])
        deadline = time.monotonic() + self._timeout_s
        newest: bytes | None = None
        while True:
            record = consumer.poll(0.2)
            if record is not None:
                newest = _value(record) or newest
            position = consumer.position([place])[0].offset
            if position >= end:
                return newest
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"the cursor cannot be read to the end of {self._topic}: {max(position, start)} of {end}; "
                    "another transaction is open there, or Kafka is away"
                )


def _value(record: Message) -> bytes | None:
    error = record.error()
    if error is not None and error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return None  # the group is only a name here: reading takes no right on it
    if error is not None:
        raise KafkaException(error)
    return record.value() if record.key() == CURSOR_KEY else None
